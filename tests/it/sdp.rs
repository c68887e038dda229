//! Offers of real telephones are answered; tests/data/sdp/README.md says where they come from.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use secretary::rtp::codec::Codec;
use secretary::sip::sdp::{LocalMedia, Media, Numbers, accept_answer, answer, parse_offer};

fn answered(file: &str) -> Media {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sdp").join(file);
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 10_000,
        rtcp_port: None,
        ice: None,
        codecs: &Codec::ALL,
        events: true,
        numbers: Numbers::NONE,
        security: None,
        session_id: 1,
        session_version: 1,
    };
    let offer = parse_offer(&std::fs::read(path).unwrap()).unwrap();
    let (sdp, media) = answer(&offer, &local).unwrap();
    println!("{file}: {media:?}\n{}", String::from_utf8_lossy(&sdp));
    // What we answer must be acceptable to one who reads as we do.
    let theirs = accept_answer(&sdp, &local).unwrap();
    assert_eq!((theirs.codec, theirs.payload_type), (media.codec, media.payload_type));
    assert!(media.sends);
    let keys = media.events.expect("all of them tell keys in RTP");
    assert_eq!(Some(keys.receive), theirs.events.map(|events| events.send));
    media
}

#[test]
fn answers_baresip() {
    let media = answered("baresip_offer.sdp");
    assert_eq!((media.remote, media.codec), ("127.0.0.1:20444".parse().unwrap(), Codec::Pcmu));
    assert_eq!(media.accepted, [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722), (96, Codec::Opus)]);
}

#[test]
fn answers_linphone_which_maps_no_static_payload_type() {
    let media = answered("linphone_offer.sdp");
    assert_eq!((media.remote, media.codec), ("127.0.0.1:23000".parse().unwrap(), Codec::Pcmu));
}

#[test]
fn answers_asterisk() {
    let media = answered("asterisk_offer.sdp");
    assert_eq!((media.remote, media.codec), ("192.0.2.10:11232".parse().unwrap(), Codec::Pcma));
}
