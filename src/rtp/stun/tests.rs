//! Questions to servers of every kind, and the vectors of RFC 5769 and RFC 8489.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use stun_types::attribute::RawAttribute;

const SERVER: &str = "203.0.113.1:3478";
/// The transaction of RFC 5769.
const ID: u128 = 0xb7e7_a701_bc34_d686_fa87_dfae;

/// RFC 5769 §2.2: the answer in IPv4.
const ANSWER: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
                      000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
/// RFC 5769 §2.3: the answer in IPv6.
const ANSWER_6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
                        a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
/// RFC 8489 appendix B.1: a question with a hashed user name and SHA-256.
const QUESTION_B1: &str = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f2481941556\
                           9e60b205c46e41407f1704001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f\
                           4c394653547679363473410000000014000b6578616d706c652e6f726700001d000400020000001c0020b5c7bf\
                           005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
fn start() -> Instant {
    Instant::now()
}

fn query(server: &str, now: Instant) -> Query {
    Query::new(now, addr(server), ID, now + Duration::from_secs(1))
}

/// What it sends until it is over, in ms from the start, and how it ends.
fn run(query: &mut Query, start: Instant) -> (Vec<u64>, Option<Result<SocketAddr, QueryError>>) {
    let (mut now, mut sent) = (start, Vec::new());
    loop {
        while let Some(output) = query.poll_output() {
            match output {
                Asked::Transmit { to, datagram } => {
                    assert_eq!((to, datagram), (query.server, query.request.clone()));
                    sent.push(u64::try_from((now - start).as_millis()).unwrap());
                }
                Asked::Done(result) => return (sent, Some(result)),
            }
        }
        let Some(at) = query.poll_timeout() else { return (sent, None) };
        now = at;
        query.handle_timeout(now);
    }
}

/// An answer with these attributes.
fn answer(class: MessageClass, id: u128, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let kind = MessageType::from_class_method(class, BINDING);
    let mut message = Message::builder(kind, id.into(), MessageWriteVec::new());
    for (kind, value) in attributes {
        message.add_attribute(&RawAttribute::new((*kind).into(), value)).unwrap();
    }
    message.finish()
}

#[test]
fn the_answers_of_the_rfc_tell_the_address() {
    for (server, answer, seen_as) in [
        (SERVER, ANSWER, "192.0.2.1:32853"),
        ("[2001:db8::1]:3478", ANSWER_6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let now = start();
        let mut query = query(server, now);
        query.handle_input(addr(server), &bytes(answer));
        assert_eq!(run(&mut query, now), (vec![0], Some(Ok(addr(seen_as)))));
        query.handle_input(addr(server), &bytes(answer));
        assert_eq!(query.poll_output(), None, "once");
    }
}

#[test]
fn the_question_is_one_that_a_server_understands() {
    let request = request(ID.into());
    assert_eq!(request, bytes("000100002112a442b7e7a701bc34d686fa87dfae"));
    let message = read(&request).unwrap();
    assert!(message.has_class(MessageClass::Request) && message.has_method(BINDING));
}

#[test]
fn a_server_that_is_silent_is_asked_again_and_then_no_more() {
    let now = start();
    assert_eq!(run(&mut query(SERVER, now), now), (vec![0, 500], Some(Err(QueryError::NoAnswer))));
    let mut long = Query::new(now, addr(SERVER), ID, now + Duration::from_secs(8));
    assert_eq!(run(&mut long, now), (vec![0, 500, 1_500, 3_500, 7_500], Some(Err(QueryError::NoAnswer))));
}

#[test]
fn an_answer_to_the_second_question_is_taken_and_one_after_the_end_is_not() {
    let now = start();
    let mut late = query(SERVER, now);
    late.handle_timeout(now + Duration::from_millis(500));
    late.handle_input(addr(SERVER), &bytes(ANSWER));
    assert_eq!(std::iter::from_fn(|| late.poll_output()).last(), Some(Asked::Done(Ok(addr("192.0.2.1:32853")))));
    let mut over = query(SERVER, now);
    over.handle_timeout(now + Duration::from_secs(1));
    over.handle_input(addr(SERVER), &bytes(ANSWER));
    assert_eq!(std::iter::from_fn(|| over.poll_output()).last(), Some(Asked::Done(Err(QueryError::NoAnswer))));
}

#[test]
fn nobody_but_the_server_answers_the_question() {
    let good = bytes(ANSWER);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let now = start();
    for (from, datagram) in [
        ("203.0.113.2:3478", good.clone()),
        ("203.0.113.1:3479", good.clone()),
        (SERVER, changed(19, 0xaf)),   // another transaction
        (SERVER, changed(4, 0x22)),    // no magic cookie
        (SERVER, changed(1, 0x03)),    // another method
        (SERVER, changed(60, 0)),      // FINGERPRINT
        (SERVER, good[..79].to_vec()), // cut
        (SERVER, [&good[..], &[0; 4]].concat()),
        (SERVER, request(ID.into())), // our own, reflected
        (SERVER, b"\x80\x08 a packet of sound".to_vec()),
        (SERVER, Vec::new()),
    ] {
        let mut query = query(SERVER, now);
        query.handle_input(addr(from), &datagram);
        assert_eq!(run(&mut query, now).1, Some(Err(QueryError::NoAnswer)), "{from} {datagram:02x?}");
    }
}

#[test]
fn old_and_bad_servers_are_understood() {
    let v4 = |ip: [u8; 4], port: u16| [&[0, 1][..], &port.to_be_bytes(), &ip].concat();
    let (plain, nowhere, no_port) = (v4([198, 51, 100, 7], 4_000), v4([0; 4], 4_000), v4([198, 51, 100, 7], 0));
    let ours = Ok(addr("198.51.100.7:4000"));
    let six = [&[0, 2, 1, 1][..], &[7; 16]].concat();
    let success = |attributes: &[(u16, &[u8])]| answer(MessageClass::Success, ID, attributes);
    for (datagram, result) in [
        // RFC 3489: MAPPED-ADDRESS, with SOURCE-ADDRESS and CHANGED-ADDRESS, which must be understood.
        (success(&[(1, &plain), (4, &plain), (5, &plain)]), ours.clone()),
        (success(&[]), Err(QueryError::NoAddress)),
        (success(&[(1, &nowhere)]), Err(QueryError::NoAddress)),
        (success(&[(1, &no_port)]), Err(QueryError::NoAddress)),
        (success(&[(1, &six)]), Err(QueryError::NoAddress)),
        (success(&[(1, &plain[..5])]), Err(QueryError::NoAddress)),
        (answer(MessageClass::Error, ID, &[(9, &[0, 0, 4, 1])]), Err(QueryError::Refused(401))),
        (answer(MessageClass::Error, ID, &[]), Err(QueryError::Refused(0))),
    ] {
        let now = start();
        let mut query = query(SERVER, now);
        query.handle_input(addr(SERVER), &datagram);
        assert_eq!(run(&mut query, now).1, Some(result), "{datagram:02x?}");
    }
}

#[test]
fn stun_is_told_from_all_else_by_its_first_byte() {
    let told: Vec<u8> = (0..=u8::MAX).filter(|first| is_stun(&[*first])).collect();
    assert_eq!(told, [0, 1, 2, 3]);
    assert!(!is_stun(&[]));
}

#[test]
fn the_question_of_the_rfc_can_be_read() {
    let question = bytes(QUESTION_B1);
    let message = read(&question).unwrap();
    assert!(message.has_class(MessageClass::Request));
    assert_eq!(message.transaction_id(), 0x78ad_3433_c6ad_72c0_29da_412e.into());
    assert_eq!(message.iter_attributes().count(), 5);
}

#[test]
fn damaged_answers_never_panic() {
    let mut rng = StdRng::seed_from_u64(11);
    let (whole, now) = (bytes(ANSWER), start());
    let mut told = 0;
    for _ in 0..50_000 {
        let mut damaged = whole.clone();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..damaged.len());
            match rng.random_range(0..4) {
                0 => damaged.truncate(at.max(1)),
                1 => damaged.insert(at, rng.random()),
                _ => damaged[at] = rng.random(),
            }
        }
        let mut query = query(SERVER, now);
        query.handle_input(addr(SERVER), &damaged);
        told += usize::from(run(&mut query, now).1 == Some(Ok(addr("192.0.2.1:32853"))));
    }
    println!("{told} of 50000 damaged answers told the address");
    assert!(told < 500, "the FINGERPRINT is checked");
}
