//! Trunks in virtual time: by registration and by address, and what is told of their calls.

use std::net::SocketAddr;
use std::time::Duration;

use secretary::sip::message::Response;
use secretary::sip::{
    Account, AccountId, CalledFrom, CallerFrom, Command, Incoming, Input, Numbering, Parties, RegistrationFailure,
    RegistrationState, Rewrite, Transport,
};

use crate::support::registrar::Phone;

const TRUNK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 5060);

fn phone() -> Phone {
    Phone::new(
        Transport::Udp,
        Box::new(|request| {
            let contact = request.headers.get("Contact").unwrap();
            Some(Response::answer(request, 200).with("Contact", format!("{contact};expires=60")))
        }),
    )
}

fn by_address(phone: &Phone) -> Account {
    Account { expires: None, credentials: Vec::new(), ..phone.account() }
}

/// An INVITE with header fields separated by `|`.
fn invite(call_id: &str, uri: &str, fields: &str) -> String {
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{call_id}\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:192.0.2.9>\r\n{}\r\n\r\n",
        fields.replace('|', "\r\n")
    )
}

/// The call that this INVITE becomes; it is ended again.
fn called(phone: &mut Phone, from: SocketAddr, uri: &str, fields: &str) -> Incoming {
    phone.receive(from, &invite(&format!("call{}", phone.answers.len()), uri, fields));
    let (call, incoming) = phone.incoming();
    phone.input(Input::Command(Command::Reject { call, status: 486, retry_after: None }));
    phone.calls.clear();
    incoming
}

const FIELDS: &str = "From: <sip:79161234567@trunk.example>;tag=1|To: <sip:74951234567@trunk.example>";

#[test]
fn a_trunk_by_address_is_looked_up_and_not_registered() {
    let mut phone = phone();
    phone.add(by_address(&phone));
    phone.run_for(Duration::from_secs(1000));
    assert!(phone.sent.is_empty());
    assert_eq!(phone.states, [(0, RegistrationState::Static { trunk: TRUNK })], "told once");
    let pauses: Vec<u64> = phone.asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() >= 3 && pauses.iter().all(|pause| (270_000..330_000).contains(pause)), "{pauses:?}");
    let incoming = called(&mut phone, TRUNK, "sip:74951234567@192.0.2.1", FIELDS);
    assert_eq!(incoming.account, Some(AccountId(0)));
    assert_eq!(incoming.parties.called, "+74951234567");

    // It moves.
    phone.flow.remote = ([192, 0, 2, 30], 5060).into();
    phone.run_for(Duration::from_secs(330));
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Static { trunk: phone.flow.remote });
    phone.input(Input::Command(Command::Unregister));
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Unregistered);
    phone.run_for(Duration::from_secs(1000));
    assert!(phone.sent.is_empty());
}

#[test]
fn a_trunk_whose_name_cannot_be_looked_up_keeps_its_addresses() {
    let mut phone = phone();
    phone.add(by_address(&phone));
    phone.resolvable = false;
    phone.run_for(Duration::from_secs(340));
    let (_, state) = phone.states.back().unwrap();
    assert!(matches!(state, RegistrationState::Failed { reason: RegistrationFailure::NoAddress, .. }), "{state:?}");
    assert_eq!(called(&mut phone, TRUNK, "sip:1@192.0.2.1", FIELDS).account, Some(AccountId(0)));
    phone.resolvable = true;
    phone.run_for(Duration::from_secs(30));
    assert_eq!(phone.states.back().unwrap().1, RegistrationState::Static { trunk: TRUNK });
}

#[test]
fn calls_from_the_access_list_are_the_accounts_and_others_are_refused() {
    let mut phone = phone();
    phone.add(Account { access: vec!["203.0.113.0/24".parse().unwrap()], ..by_address(&phone) });
    let listed = ([203, 0, 113, 77], 5060).into();
    assert_eq!(called(&mut phone, listed, "sip:1@192.0.2.1", FIELDS).account, Some(AccountId(0)));
    phone.answers.clear();
    phone.receive(([203, 0, 114, 77], 5060).into(), &invite("stranger", "sip:1@192.0.2.1", FIELDS));
    assert_eq!(phone.answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [100, 403]);
}

#[test]
fn of_several_accounts_at_one_address_the_called_one_has_the_call() {
    let mut phone = phone();
    for (id, username) in [(0, "100"), (1, "74957654321"), (2, "300")] {
        phone.add(Account { id: AccountId(id), username: username.into(), ..phone.account() });
    }
    let from = "From: <sip:7@pbx.example>;tag=1";
    for (uri, fields, id) in [
        ("sip:300@192.0.2.1", "To: <sip:9@pbx.example>", 2),
        ("sip:s@192.0.2.1", "To: <sip:300@pbx.example>", 2),
        ("sip:s@192.0.2.1", "To: <sip:9@pbx.example>|P-Called-Party-ID: <sip:300@pbx.example>", 2),
        ("sip:+74957654321@192.0.2.1;user=phone", "To: <sip:9@pbx.example>", 1),
        ("sip:unknown@192.0.2.1", "To: <sip:9@pbx.example>", 0),
    ] {
        let incoming = called(&mut phone, TRUNK, uri, &format!("{from}|{fields}"));
        assert_eq!(incoming.account, Some(AccountId(id)), "{uri} {fields}");
    }
}

#[test]
fn who_calls_whom_is_read_by_the_rules_of_the_account() {
    let mut phone = phone();
    let numbering = Numbering {
        called_from: vec![CalledFrom::To],
        caller_from: vec![CallerFrom::From],
        rewrite: vec![Rewrite { prefix: "9".into(), digits: Some(8), replace: "+7495".into() }],
        ..Numbering::default()
    };
    phone.add(Account { numbering, ..phone.account() });
    let fields = "From: =?koi8-r?B?6dfBzg==?= <sip:91234567@trunk.example>;tag=1|To: <sip:84951112233@trunk.example>\
                  |P-Asserted-Identity: <tel:+79990000000>|Diversion: <sip:84950000000@trunk.example>;reason=no-answer";
    let parties = called(&mut phone, TRUNK, "sip:100@192.0.2.1", fields).parties;
    let expected = Parties {
        caller_number: Some("+74951234567".into()),
        caller_name: Some("Иван".into()),
        called: "+74951112233".into(),
        diverted_from: Some("+74950000000".into()),
    };
    assert_eq!(parties, expected);
}

#[test]
fn another_address_of_a_trunk_behind_nat_gets_our_address_outside() {
    let mut phone = phone();
    phone.nat = Some(([203, 0, 113, 5], 40_000).into());
    phone.add(Account { access: vec!["198.51.100.0/24".parse().unwrap()], ..phone.account() });
    let incoming = called(&mut phone, ([198, 51, 100, 3], 5060).into(), "sip:100@192.0.2.1", FIELDS);
    assert_eq!(incoming.our_address, std::net::IpAddr::from([203, 0, 113, 5]));
}
