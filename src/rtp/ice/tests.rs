//! Checks of peers, of strangers and of the RFC.

use super::*;
use rand::{SeedableRng, rngs::StdRng};
use stun_types::attribute::RawAttribute;
use stun_types::message::{MessageType, TransactionId};

const ICE_CONTROLLING: u16 = 0x802a;
/// RFC 5769 §2.1: a check of a controlled peer, as our agent would be asked for by the credentials of the RFC.
const CHECK: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
    0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65,
    0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51,
    0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20,
    0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2,
    0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];

fn of_the_rfc() -> Credentials {
    Credentials { ufrag: "evtj".to_owned(), password: "VOkJxbRl1RmTxUk/WvJxBt".to_owned() }
}

fn from() -> SocketAddr {
    "198.51.100.9:4000".parse().unwrap()
}

/// A check by a controlling peer; each part can be left out or be another.
struct Asking<'a> {
    username: Option<&'a str>,
    password: Option<&'a str>,
    algorithm: IntegrityAlgorithm,
    attributes: Vec<(u16, Vec<u8>)>,
    has_fingerprint: bool,
}

impl Default for Asking<'_> {
    fn default() -> Self {
        Self {
            username: Some("evtj:h6vY"),
            password: Some("VOkJxbRl1RmTxUk/WvJxBt"),
            algorithm: IntegrityAlgorithm::Sha1,
            attributes: vec![(0x0024, vec![0, 0, 1, 2]), (ICE_CONTROLLING, vec![9; 8])],
            has_fingerprint: true,
        }
    }
}

impl Asking<'_> {
    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.attributes.push((kind, value.to_vec()));
        self
    }

    fn build(&self) -> Vec<u8> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut message = Message::builder(kind, TransactionId::from(77), MessageWriteVec::new());
        if let Some(username) = self.username {
            message.add_attribute(&Username::new(username).unwrap()).unwrap();
        }
        for (kind, value) in &self.attributes {
            message.add_attribute(&RawAttribute::new((*kind).into(), value)).unwrap();
        }
        if let Some(password) = self.password {
            let key = ShortTermCredentials::new(password.to_owned()).into();
            message.add_message_integrity(&key, self.algorithm).unwrap();
        }
        if self.has_fingerprint {
            message.add_fingerprint().unwrap();
        }
        message.finish()
    }
}

/// The status of an error, and whether it is signed by our password.
fn refusal(check: &Check) -> (u16, bool) {
    let Check::Refused { answer } = check else { panic!("{check:?}") };
    let message = Message::from_bytes(answer).unwrap();
    assert!(message.has_class(MessageClass::Error) && message.has_attribute(Fingerprint::TYPE));
    let key = ShortTermCredentials::new(of_the_rfc().password).into();
    (message.attribute::<ErrorCode>().unwrap().code(), message.validate_integrity(&key).is_ok())
}

#[test]
fn who_knows_the_password_is_told_where_he_is_and_may_nominate() {
    let lite = Lite::new(of_the_rfc());
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        for (asking, nominated) in [
            (Asking { algorithm, ..Asking::default() }, None),
            (Asking { algorithm, ..Asking::default() }.with(0x0025, &[]), Some(0x102)),
        ] {
            let Check::Passed { answer, nominates } = lite.check(from(), &asking.build()) else { panic!() };
            assert_eq!(nominates, nominated);
            let answer = Message::from_bytes(&answer).unwrap();
            assert!(answer.has_class(MessageClass::Success) && answer.has_attribute(Fingerprint::TYPE));
            assert_eq!(answer.transaction_id(), TransactionId::from(77));
            assert_eq!(answer.attribute::<XorMappedAddress>().unwrap().addr(77.into()), from());
            let key = ShortTermCredentials::new(of_the_rfc().password).into();
            assert_eq!(answer.validate_integrity(&key).unwrap(), algorithm);
        }
    }
}

#[test]
fn the_check_of_the_rfc_is_of_one_who_is_controlled_as_we_are() {
    assert_eq!(refusal(&Lite::new(of_the_rfc()).check(from(), &CHECK)), (487, true));
    let other = Credentials { password: "another0password000000".to_owned(), ..of_the_rfc() };
    assert_eq!(refusal(&Lite::new(other).check(from(), &CHECK)), (401, false));
}

#[test]
fn who_does_not_know_the_password_gets_an_error_or_nothing() {
    let lite = Lite::new(of_the_rfc());
    let nominating = || Asking::default().with(0x0025, &[]);
    for (asking, status) in [
        (Asking { password: Some("wrong0password00000000"), ..nominating() }, 401),
        (Asking { username: Some("evtJ:h6vY"), ..nominating() }, 401),
        (Asking { username: Some("h6vY:evtj"), ..nominating() }, 401),
        (Asking { username: Some(""), ..nominating() }, 401),
        (Asking { username: None, ..nominating() }, 400),
        (Asking { password: None, ..nominating() }, 400),
    ] {
        let datagram = asking.build();
        let check = lite.check(from(), &datagram);
        assert_eq!(refusal(&check), (status, false));
        let Check::Refused { answer } = check else { unreachable!() };
        assert!(answer.len() <= datagram.len(), "no use for who wants to flood another");
    }
    let unmarked = Asking { has_fingerprint: false, ..nominating() };
    assert_eq!(lite.check(from(), &unmarked.build()), Check::Bad);
    // A nomination behind the signature is nobody's.
    let mut message = nominating().build();
    message.truncate(message.len() - 8 - 24);
    assert!(!matches!(lite.check(from(), &message), Check::Passed { .. }));
}

#[test]
fn what_must_be_understood_and_is_not_is_named() {
    let check = Lite::new(of_the_rfc()).check(from(), &Asking::default().with(0x7001, &[1, 2]).build());
    assert_eq!(refusal(&check), (420, true));
    let Check::Refused { answer } = check else { unreachable!() };
    let unknown = Message::from_bytes(&answer).unwrap().attribute::<UnknownAttributes>().unwrap();
    assert!(unknown.has_attribute(0x7001.into()) && !unknown.has_attribute(PRIORITY));
    let other = Lite::new(of_the_rfc()).check(from(), &Asking::default().with(0xc001, &[1, 2]).build());
    assert!(matches!(other, Check::Passed { .. }), "what need not be is passed over");
}

#[test]
fn keep_alives_and_answers_are_not_answered() {
    let lite = Lite::new(of_the_rfc());
    let of_class = |class| {
        let kind = MessageType::from_class_method(class, BINDING);
        Message::builder(kind, TransactionId::from(1), MessageWriteVec::new()).finish()
    };
    assert_eq!(lite.check(from(), &of_class(MessageClass::Indication)), Check::KeepAlive);
    assert_eq!(lite.check(from(), &of_class(MessageClass::Success)), Check::Bad);
    assert_eq!(lite.check(from(), &of_class(MessageClass::Error)), Check::Bad);
    assert_eq!(lite.check(from(), &[0; 20]), Check::Bad);
}

#[test]
fn after_a_restart_the_former_password_is_answered_but_nominates_nothing() {
    let mut lite = Lite::new(of_the_rfc());
    assert!(!lite.restart(of_the_rfc()), "the same is no restart");
    let new = Credentials { ufrag: "neuu".to_owned(), password: "0123456789012345678901".to_owned() };
    assert!(lite.restart(new.clone()));
    let former = lite.check(from(), &Asking::default().with(0x0025, &[]).build());
    assert!(matches!(former, Check::Passed { nominates: None, .. }), "{former:?}");
    let asking = Asking { username: Some("neuu:h6vY"), password: Some(&new.password), ..Asking::default() };
    let current = lite.check(from(), &asking.with(0x0025, &[]).build());
    assert!(matches!(current, Check::Passed { nominates: Some(0x102), .. }), "{current:?}");
    // Those before the former are gone.
    assert!(lite.restart(Credentials { ufrag: "dritt".to_owned(), ..new }));
    assert_eq!(refusal(&lite.check(from(), &Asking::default().build())).0, 401);
}

#[test]
fn credentials_are_random_and_fit_the_grammar() {
    let mut rng = StdRng::seed_from_u64(5);
    let (one, other) = (Credentials::random(&mut rng), Credentials::random(&mut rng));
    assert!(one.ufrag != other.ufrag && one.password != other.password);
    for Credentials { ufrag, password } in [one, other] {
        assert!(Credentials::of_peer(&ufrag, &password).is_some());
        assert!(!format!("{:?}", Credentials { ufrag, password: password.clone() }).contains(&password));
    }
    let long = "x".repeat(257);
    for (ufrag, password) in [
        ("abc", "0123456789012345678901"),
        ("abcd", "012345678901234567890"),
        ("ab d", "0123456789012345678901"),
        ("abcd", "012345678901234567890ё"),
        (&long, "0123456789012345678901"),
        ("", ""),
    ] {
        assert_eq!(Credentials::of_peer(ufrag, password), None, "{ufrag} {password}");
    }
}
