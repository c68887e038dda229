//! TLS with rustls and ring (RFC 3261 §26.3, RFC 5922): whom we trust, what we show, and errors that say what to do.
//!
//! Trusted are the roots of the system, since there an administrator puts the authority of his own PBX, and `ca` of the
//! settings. Left out: revocation, reloading of the files, a SIP domain as a URI in the certificate (its DNS name counts).

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::listen::{TlsIdentity, TlsSettings};

/// Both roles of TLS.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    acceptor: Option<TlsAcceptor>,
}

impl Tls {
    /// # Errors
    /// When a file cannot be read or is of no use; the message names it and its key.
    pub fn new(settings: &TlsSettings) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let identity = settings.identity.as_ref().map(Identity::read).transpose()?;
        let connector = connector(settings, &provider, identity.as_ref())?;
        let client_ca = settings.identity.as_ref().and_then(|files| files.client_ca.as_deref());
        let acceptor = identity.map(|identity| acceptor(client_ca, &provider, identity)).transpose()?;
        Ok(Tls { connector, acceptor })
    }

    /// Whether we can take TLS from others: we have a certificate.
    pub fn can_accept(&self) -> bool {
        self.acceptor.is_some()
    }

    /// # Errors
    /// Says what is wrong and what to do.
    pub async fn connect(&self, stream: TcpStream, host: &str) -> Result<client::TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name for TLS"))?;
        self.connector.connect(name, stream).await.map_err(|error| explain(host, &error))
    }

    /// # Errors
    /// Says what is wrong.
    pub async fn accept(&self, stream: TcpStream, peer: IpAddr) -> Result<server::TlsStream<TcpStream>, String> {
        let acceptor = self.acceptor.as_ref().ok_or("we have no certificate: set [sip.tls] certificate and key")?;
        acceptor.accept(stream).await.map_err(|error| explain(&peer.to_string(), &error))
    }
}

/// What an error of TLS with that host means to an operator.
pub(super) fn explain(host: &str, error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return error.to_string();
    };
    match tls {
        Error::InvalidCertificate(why) => explain_certificate(host, why),
        Error::NoCertificatesPresented => format!("{host} shows no certificate, and [sip.tls] client_ca asks for one"),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{host} asks for a certificate of ours: set [sip.tls] certificate and key")
        }
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => format!("{host} does not accept our certificate ({alert:?}): see [sip.tls] certificate"),
        Error::InvalidMessage(_) => format!("{host} does not speak TLS on that port ({tls})"),
        other => format!("TLS with {host} failed: {other}"),
    }
}

fn explain_certificate(host: &str, why: &CertificateError) -> String {
    use CertificateError as E;
    match why {
        E::NotValidForName => format!("the certificate of {host} is not valid for that name"),
        E::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("the certificate of {host} is not valid for that name: it has no name that counts")
        }
        E::NotValidForNameContext { presented, .. } => {
            format!("the certificate of {host} is not valid for that name: it is for {}", presented.join(", "))
        }
        E::Expired | E::ExpiredContext { .. } => format!("the certificate of {host} has expired"),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: check the clock of this machine")
        }
        E::UnknownIssuer => {
            format!("the certificate of {host} is from an issuer that is not known here: put the CA into [sip.tls] ca")
        }
        E::BadSignature => format!(
            "the certificate of {host} is not signed by the CA that is known here under that name: put its present CA \
             into [sip.tls] ca"
        ),
        // webpki says so of a self-signed certificate that calls itself an authority.
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            format!("the certificate of {host} is self-signed: put it into [sip.tls] ca to trust it")
        }
        other => format!("the certificate of {host} is of no use: {other}"),
    }
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn read(files: &TlsIdentity) -> io::Result<Self> {
        let chain = certificates("certificate", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
            unreadable("key", &files.key, &error, "no private key without a password (BEGIN PRIVATE KEY) is in it")
        })?;
        Ok(Identity { chain, key })
    }
}

fn acceptor(client_ca: Option<&Path>, provider: &Arc<CryptoProvider>, identity: Identity) -> io::Result<TlsAcceptor> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match client_ca {
        Some(path) => {
            let roots = Arc::new(roots_of("client_ca", path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| invalid(&file("client_ca", path, error)))?)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(identity.chain, identity.key);
    Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| mismatch(&error))?)))
}

fn connector(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    identity: Option<&Identity>,
) -> io::Result<TlsConnector> {
    if !settings.verify {
        tracing::warn!(
            "[sip.tls] verify = false: any certificate is accepted, so whoever sits between can read passwords and calls"
        );
    }
    let verifier = Arc::new(Verifier::new(settings, provider)?);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| mismatch(&error))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Trusts what the operator has put into `ca` itself, then whatever leads to a root.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
    pinned: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
enum Trust {
    Anybody,
    Roots(Arc<WebPkiServerVerifier>),
    /// This machine has no roots at all.
    Nobody,
}

impl Verifier {
    fn new(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> io::Result<Self> {
        let pinned = match &settings.ca {
            Some(path) => certificates("ca", path)?,
            None => Vec::new(),
        };
        let trust = if settings.verify { roots(&pinned, provider)? } else { Trust::Anybody };
        Ok(Verifier { provider: provider.clone(), trust, pinned })
    }
}

fn roots(own: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> io::Result<Trust> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "a root certificate of the system could not be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(own.iter().cloned());
    if roots.is_empty() {
        tracing::debug!("this machine has no root certificates, so TLS to others fails without [sip.tls] ca");
        return Ok(Trust::Nobody);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    verifier.map(Trust::Roots).map_err(io::Error::other)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::Nobody => Err(CertificateError::UnknownIssuer.into()),
            Trust::Roots(roots) => roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// All certificates of a PEM file; at least one.
fn certificates(key: &str, path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let nothing = "no certificate (BEGIN CERTIFICATE) is in it";
    let found = read.map_err(|error| unreadable(key, path, &error, nothing))?;
    if found.is_empty() { Err(unreadable(key, path, &PemError::NoItemsFound, nothing)) } else { Ok(found) }
}

fn roots_of(key: &str, path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path)? {
        roots.add(certificate).map_err(|error| invalid(&file(key, path, error)))?;
    }
    Ok(roots)
}

fn unreadable(key: &str, path: &Path, error: &PemError, nothing: &str) -> io::Error {
    let (kind, why) = match error {
        PemError::Io(error) => (error.kind(), error.to_string()),
        PemError::NoItemsFound => (io::ErrorKind::InvalidData, nothing.to_owned()),
        other => (io::ErrorKind::InvalidData, format!("not a PEM file ({other})")),
    };
    io::Error::new(kind, file(key, path, why))
}

fn file(key: &str, path: &Path, why: impl Display) -> String {
    format!("[sip.tls] {key} = \"{}\": {why}", path.display())
}

fn mismatch(error: &Error) -> io::Error {
    invalid(&format!("[sip.tls] certificate and key do not go together: {error}"))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("secretary-tls-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    impl Authority {
        fn new() -> Self {
            Self::named("an authority")
        }

        fn named(name: &str) -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Authority { issuer: Issuer::new(params, key), pem }
        }

        /// A certificate for a name, and its key.
        fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            change(&mut params);
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
        }
    }

    fn files(folder: &Folder, role: &str, (certificate, key): &(String, String)) -> TlsIdentity {
        TlsIdentity {
            certificate: folder.write(&format!("{role}.pem"), certificate),
            key: folder.write(&format!("{role}.key"), key),
            client_ca: None,
        }
    }

    fn with(folder: &Folder, role: &str, issued: &(String, String)) -> TlsSettings {
        TlsSettings { identity: Some(files(folder, role, issued)), ..TlsSettings::default() }
    }

    /// What either side says after a handshake and a byte there and back.
    async fn meet(client: &TlsSettings, server: &TlsSettings, host: &str) -> (Result<(), String>, Result<(), String>) {
        let (client, server) = (Tls::new(client).unwrap(), Tls::new(server).unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connecting = async {
            let mut stream = client.connect(TcpStream::connect(address).await.unwrap(), host).await?;
            let talk = async {
                stream.write_all(b"x").await?;
                stream.read_exact(&mut [0]).await
            };
            talk.await.map(drop).map_err(|error| explain(host, &error))
        };
        let accepting = async {
            let (stream, peer) = listener.accept().await.unwrap();
            let mut stream = server.accept(stream, peer.ip()).await?;
            let talk = async {
                stream.read_exact(&mut [0]).await?;
                stream.write_all(b"y").await?;
                stream.flush().await
            };
            talk.await.map_err(|error| explain("the client", &error))
        };
        tokio::join!(connecting, accepting)
    }

    fn trusting(folder: &Folder, ca: &str) -> TlsSettings {
        TlsSettings { ca: Some(folder.write("ca.pem", ca)), ..TlsSettings::default() }
    }

    #[tokio::test]
    async fn a_certificate_of_the_configured_authority_for_the_name_is_accepted() {
        let (folder, ca) = (Folder::new("good"), Authority::new());
        let server = with(&folder, "server", &ca.issue("pbx.example", |_| ()));
        assert_eq!(meet(&trusting(&folder, &ca.pem), &server, "pbx.example").await, (Ok(()), Ok(())));
        let numeric = with(&folder, "numeric", &ca.issue("192.0.2.1", |_| ()));
        assert_eq!(meet(&trusting(&folder, &ca.pem), &numeric, "192.0.2.1").await, (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_certificate_is_said_plainly() {
        let (folder, ca) = (Folder::new("wrong"), Authority::new());
        let trusting = trusting(&folder, &ca.pem);
        let other = with(&folder, "other", &ca.issue("other.example", |_| ()));
        let error = meet(&trusting, &other, "pbx.example").await.0.unwrap_err();
        let expected = "the certificate of pbx.example is not valid for that name: it is for";
        assert!(error.starts_with(expected) && error.contains("other.example"), "{error}");

        let old = ca.issue("pbx.example", |params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        });
        let error = meet(&trusting, &with(&folder, "old", &old), "pbx.example").await.0.unwrap_err();
        assert_eq!(error, "the certificate of pbx.example has expired");

        let stranger = with(&folder, "stranger", &Authority::named("a stranger").issue("pbx.example", |_| ()));
        let error = meet(&trusting, &stranger, "pbx.example").await.0.unwrap_err();
        assert!(error.contains("issuer") && error.contains("put the CA into [sip.tls] ca"), "{error}");
        let error = meet(&TlsSettings::default(), &stranger, "pbx.example").await.0.unwrap_err();
        assert!(error.contains("put the CA into [sip.tls] ca"), "{error}");

        let renewed = with(&folder, "renewed", &Authority::new().issue("pbx.example", |_| ()));
        let error = meet(&trusting, &renewed, "pbx.example").await.0.unwrap_err();
        assert!(error.contains("put its present CA into [sip.tls] ca"), "{error}");
    }

    #[tokio::test]
    async fn a_self_signed_certificate_counts_once_it_is_given() {
        let folder = Folder::new("self");
        let mut params = CertificateParams::new(vec!["asterisk".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let server = with(&folder, "server", &(pem.clone(), key.serialize_pem()));
        let error = meet(&TlsSettings::default(), &server, "pbx.example").await.0.unwrap_err();
        assert!(error.contains("[sip.tls] ca"), "{error}");
        assert_eq!(meet(&trusting(&folder, &pem), &server, "pbx.example").await, (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn verification_is_off_only_when_that_is_said() {
        let folder = Folder::new("off");
        let server = with(&folder, "server", &Authority::new().issue("other.example", |_| ()));
        let off = TlsSettings { verify: false, ..TlsSettings::default() };
        assert_eq!(meet(&off, &server, "pbx.example").await, (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_client_certificate_is_asked_for_when_its_authority_is_given() {
        let (folder, ca) = (Folder::new("client"), Authority::new());
        let identity = TlsIdentity {
            client_ca: Some(folder.write("client-ca.pem", &ca.pem)),
            ..files(&folder, "server", &ca.issue("pbx.example", |_| ()))
        };
        let server = TlsSettings { identity: Some(identity), ..TlsSettings::default() };
        let (client, accepted) = meet(&trusting(&folder, &ca.pem), &server, "pbx.example").await;
        let error = client.unwrap_err();
        assert!(error.contains("asks for a certificate of ours: set [sip.tls] certificate and key"), "{error}");
        assert!(accepted.unwrap_err().contains("shows no certificate"));
        let ours = with(&folder, "client", &ca.issue("phone.example", |_| ()));
        let ours = TlsSettings { ca: trusting(&folder, &ca.pem).ca, ..ours };
        assert_eq!(meet(&ours, &server, "pbx.example").await, (Ok(()), Ok(())));
    }

    #[test]
    fn a_file_that_is_of_no_use_is_named() {
        let (folder, ca) = (Folder::new("files"), Authority::new());
        let good = files(&folder, "good", &ca.issue("pbx.example", |_| ()));
        let refusal =
            |settings: TlsSettings| Tls::new(&settings).err().map(|error| error.to_string()).unwrap_or_default();
        let error = |own: TlsIdentity| refusal(TlsSettings { identity: Some(own), ..TlsSettings::default() });
        let missing = TlsIdentity { certificate: folder.0.join("absent.pem"), ..good.clone() };
        assert!(error(missing).contains("certificate = \""));
        let empty = TlsIdentity { key: folder.write("empty.key", ""), ..good.clone() };
        assert!(error(empty).contains("empty.key\": no private key"));
        let foreign = TlsIdentity { key: files(&folder, "foreign", &ca.issue("x.example", |_| ())).key, ..good };
        assert!(error(foreign).contains("do not go together"));
        let ca = TlsSettings { ca: Some(folder.write("text.pem", "hello")), ..TlsSettings::default() };
        assert!(refusal(ca).contains("text.pem\": no certificate"));
    }

    #[tokio::test]
    async fn a_peer_without_tls_is_told_apart() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"SIP/2.0 400 Bad Request\r\n\r\n").await.unwrap();
        let tls = Tls::new(&TlsSettings::default()).unwrap();
        let error = tls.connect(stream, "pbx.example").await.err().unwrap();
        assert!(error.contains("does not speak TLS"), "{error}");
    }
}
