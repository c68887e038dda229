//! Until when a certificate counts: its validity (RFC 5280 §4.1.2.5), read from the file that it is in. Whether it is
//! believed is for rustls to say.

use std::path::Path;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDateTime, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which certificates of the first version leave out.
const VERSION: u8 = 0xa0;

/// The end of the validity of the first certificate in a PEM file.
///
/// # Errors
/// When the file cannot be read or has no certificate.
pub(super) fn valid_until(path: &Path) -> Result<DateTime<Utc>> {
    let certificate = CertificateDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::Io(error) => anyhow::anyhow!("{}: {error}", path.display()),
        error => anyhow::anyhow!("{}: no certificate in PEM: {error}", path.display()),
    })?;
    not_after(&certificate).with_context(|| format!("{}: no X.509 certificate", path.display()))
}

fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate, _) = element(certificate)?;
    let (SEQUENCE, body, _) = element(certificate)? else { return None };
    let (tag, _, after_first) = element(body)?;
    let (_, _, rest) = if tag == VERSION { element(after_first)? } else { (tag, body, after_first) };
    // Behind the serial number: the signature's algorithm, the issuer, the validity.
    let (_, _, rest) = element(rest)?;
    let (_, _, rest) = element(rest)?;
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (_, _, rest) = element(validity)?;
    let (tag, time, _) = element(rest)?;
    let time = std::str::from_utf8(time).ok()?;
    let time = match tag {
        // RFC 5280 §4.1.2.5.1: two digits of the year, 50 to 99 of the century before.
        UTC_TIME => format!("{}{time}", if time.get(..2)? >= "50" { "19" } else { "20" }),
        GENERALIZED_TIME => time.to_owned(),
        _ => return None,
    };
    Some(NaiveDateTime::parse_from_str(&time, "%Y%m%d%H%M%SZ").ok()?.and_utc())
}

/// The first element of DER: tag, content, what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The length has so many bytes of its own; four are more than any certificate needs.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Tells until when it counts.
///
/// # Errors
/// When it is of no use at `now`.
pub(super) fn describe(path: &Path, now: DateTime<Utc>) -> Result<String> {
    let until = valid_until(path)?;
    match until > now {
        true => Ok(format!("{}, valid until {}", path.display(), until.format("%Y-%m-%d"))),
        false => bail!("{} has expired on {}: renew it", path.display(), until.format("%Y-%m-%d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=pbx.example -days 3650`.
    const PEM: &str = "\
        -----BEGIN CERTIFICATE-----\n\
        MIIBgjCCASegAwIBAgIUTuP1rN5LZHO4IPACQgB9KK8Wpl4wCgYIKoZIzj0EAwIw\n\
        FjEUMBIGA1UEAwwLcGJ4LmV4YW1wbGUwHhcNMjYxMTIyMTgzOTI4WhcNMzYxMTE5\n\
        MTgzOTI4WjAWMRQwEgYDVQQDDAtwYnguZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG\n\
        SM49AwEHA0IABH4lykLXtWKAhX+g/d8WVW4/aYBn6V9smU49t8eBL/QByHhuh0Gv\n\
        G6w/y75Tj3C80TMNWzakFQnIXIkjt0HVWX+jUzBRMB0GA1UdDgQWBBRWKgF5SzMr\n\
        4gXfhBGZ250PWhpMHTAfBgNVHSMEGDAWgBRWKgF5SzMr4gXfhBGZ250PWhpMHTAP\n\
        BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDfD8N2P3/0obZJce1q\n\
        xNJXyy1IGz3HU64IzKUaXcmO/wIhAKzlu7VR3MtlixZhGwO8wE9CuvzUXYfFEcBt\n\
        VrJzCZhb\n\
        -----END CERTIFICATE-----\n";

    #[test]
    fn a_certificate_tells_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pem");
        fs::write(&path, PEM).unwrap();
        let until = valid_until(&path).unwrap();
        assert_eq!(until.format("%Y-%m-%d").to_string(), "2036-11-19");
        assert!(describe(&path, until - chrono::TimeDelta::days(1)).unwrap().contains("valid until 2036-11-19"));
        assert!(describe(&path, until).unwrap_err().to_string().contains("expired"));
    }

    #[test]
    fn what_is_no_certificate_is_told_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.pem");
        fs::write(&path, "BEGIN NOTHING").unwrap();
        assert!(format!("{:#}", valid_until(&path).unwrap_err()).contains("a.pem: no certificate"));
        let missing = format!("{:#}", valid_until(&dir.path().join("b.pem")).unwrap_err());
        assert!(missing.contains("b.pem"), "{missing}");
    }

    #[test]
    fn half_a_certificate_is_none() {
        let whole = CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap();
        for length in 0..whole.len() {
            assert_eq!(not_after(&whole[..length]), None);
        }
        assert_eq!(not_after(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
