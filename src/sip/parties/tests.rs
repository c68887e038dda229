//! The shapes in which exchanges and trunks tell who calls whom.

use super::*;
use crate::sip::message::Message;
use crate::sip::{AccountId, Network};

fn account(numbering: Numbering) -> Account {
    Account {
        id: AccountId(0),
        registrar: "trunk.example".into(),
        port: None,
        domain: "trunk.example".into(),
        username: "200".into(),
        credentials: Vec::new(),
        transport: None,
        expires: None,
        access: Vec::<Network>::new(),
        numbering,
    }
}

fn invite(bytes: &[u8]) -> (Request, NameAddr) {
    let Ok(Message::Request(request)) = Message::parse(bytes) else { panic!("not a request") };
    let from = request.headers.get("From").unwrap().parse().unwrap();
    (request, from)
}

/// `INVITE uri`, and header fields separated by `|`.
fn read(uri: &str, fields: &str, account: Option<&Account>) -> Parties {
    let (request, from) = invite(format!("INVITE {uri} SIP/2.0\r\n{}\r\n\r\n", fields.replace('|', "\r\n")).as_bytes());
    Parties::of(&request, &from, account, account.map_or("secretary", |account| &account.username))
}

fn parties(number: Option<&str>, name: Option<&str>, called: &str, diverted: Option<&str>) -> Parties {
    Parties {
        caller_number: number.map(str::to_owned),
        caller_name: name.map(str::to_owned),
        called: called.to_owned(),
        diverted_from: diverted.map(str::to_owned),
    }
}

#[test]
fn trunks_of_many_shapes_are_read() {
    let trunk = account(Numbering::default());
    for (shape, uri, fields, expected) in [
        (
            "a trunk by registration: our name in the Request-URI, the number in To, digits with 7",
            "sip:200@198.51.100.4:5060",
            "From: \"79161234567\" <sip:79161234567@trunk.example>;tag=1|To: <sip:74951234567@trunk.example>",
            parties(Some("+79161234567"), None, "+74951234567", None),
        ),
        (
            "a trunk by address: the number in the Request-URI, PAI as tel:",
            "sip:+74951234567@198.51.100.4;user=phone",
            "From: <sip:+79161234567@ims.example;user=phone>;tag=1|To: <sip:+74951234567@ims.example>\
             |P-Asserted-Identity: <tel:+79161234567>",
            parties(Some("+79161234567"), None, "+74951234567", None),
        ),
        (
            "both forms of PAI, the name in the first",
            "sip:200@198.51.100.4",
            "From: <sip:unavailable@h>;tag=1|To: <sip:200@h>\
             |P-Asserted-Identity: \"Anna\" <sip:unknown@h>, <tel:89161234567;phone-context=ims.example>",
            parties(Some("+79161234567"), Some("Anna"), "200", None),
        ),
        (
            "an IMS terminating call",
            "sip:200@198.51.100.4",
            "From: <sip:9161234567@ims.example>;tag=1|To: <sip:84950000000@ims.example>\
             |P-Called-Party-ID: <sip:+74951234567@ims.example;user=phone>",
            parties(Some("+79161234567"), None, "+74951234567", None),
        ),
        (
            "a PBX: an extension with a name",
            "sip:200@198.51.100.4",
            "From: \"Reception\" <sip:101@pbx.example>;tag=1|To: <sip:200@pbx.example>",
            parties(Some("101"), Some("Reception"), "200", None),
        ),
        (
            "Asterisk without a caller",
            "sip:200@198.51.100.4",
            "From: \"asterisk\" <sip:asterisk@192.0.2.9>;tag=1|To: <sip:200@192.0.2.9>",
            parties(None, None, "200", None),
        ),
        (
            "a trunk that signs numbers with a plus and a country",
            "sip:+14155550100@198.51.100.4:5060;transport=udp",
            "From: \"+12125550123\" <sip:+12125550123@pstn.example>;tag=1|To: <sip:+14155550100@198.51.100.4>\
             |P-Asserted-Identity: <sip:+12125550123@203.0.113.1:5060>|Diversion: <sip:+16505550111@pstn.example>;reason=unconditional",
            parties(Some("+12125550123"), None, "+14155550100", Some("+16505550111")),
        ),
        (
            "Remote-Party-ID",
            "sip:200@198.51.100.4",
            "From: <sip:1000@h>;tag=1|To: <sip:200@h>\
             |Remote-Party-ID: \"Called\" <sip:300@h>;party=called, \"Pyotr\" <sip:84951112233@h>;party=calling;privacy=off",
            parties(Some("+74951112233"), Some("Pyotr"), "200", None),
        ),
        (
            "sent on twice",
            "sip:200@198.51.100.4",
            "From: <sip:101@h>;tag=1|To: <sip:84951230000@h>\
             |Diversion: <sip:84951110000@h>;reason=no-answer|Diversion: <sip:84951230000@h>;reason=user-busy",
            parties(Some("101"), None, "+74951230000", Some("+74951110000")),
        ),
        (
            "History-Info",
            "sip:200@198.51.100.4",
            "From: <sip:101@h>;tag=1|To: <sip:200@h>\
             |History-Info: <sip:84951230000@h?Reason=SIP%3Bcause%3D302>;index=1, <sip:200@198.51.100.4>;index=1.1",
            parties(Some("101"), None, "200", Some("+74951230000")),
        ),
    ] {
        assert_eq!(read(uri, fields, Some(&trunk)), expected, "{shape}");
    }
}

#[test]
fn who_wants_to_be_nobody_is_nobody() {
    let trunk = account(Numbering::default());
    let identity = "P-Asserted-Identity: \"Anna\" <sip:+79161234567@h>";
    for fields in [
        format!("From: \"Anna\" <sip:+79161234567@h>;tag=1|{identity}|Privacy: id"),
        format!("From: \"Anna\" <sip:+79161234567@h>;tag=1|{identity}|Privacy: header; user;critical"),
        format!("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1|{identity}"),
        format!("From: <sip:Anonymous@h>;tag=1|{identity}"),
        "From: <sip:restricted@h>;tag=1".to_owned(),
        "From: <sip:1@h>;tag=1|Remote-Party-ID: <sip:+79161234567@h>;privacy=full".to_owned(),
    ] {
        let Parties { caller_number, caller_name, .. } = read("sip:200@h", &fields, Some(&trunk));
        assert_eq!((caller_number, caller_name), (None, None), "{fields}");
    }
    let open = read("sip:200@h", &format!("From: <sip:1@h>;tag=1|{identity}|Privacy: none"), Some(&trunk));
    assert_eq!(open.caller_number.as_deref(), Some("+79161234567"));
}

#[test]
fn a_direct_caller_asserts_nothing() {
    let fields = "From: \"Me\" <sip:alice@192.0.2.1>;tag=1|To: <sip:desk@192.0.2.2>\
                  |P-Asserted-Identity: <tel:+79160000000>|Remote-Party-ID: <sip:+79160000001@h>";
    assert_eq!(read("sip:desk@192.0.2.2", fields, None), parties(Some("alice"), Some("Me"), "desk", None));
    let nobody = "From: <sip:192.0.2.1>;tag=1|To: <sip:192.0.2.2>";
    assert_eq!(read("sip:192.0.2.2", nobody, None), parties(None, None, "secretary", None));
}

#[test]
fn the_order_of_the_headers_is_the_accounts() {
    let fields = "From: \"Main\" <sip:+74950000000@h>;tag=1|To: <sip:84951234567@h>|Diversion: <sip:84957654321@h>\
                  |P-Asserted-Identity: \"Anna\" <tel:+79161234567>";
    let read_by = |called_from: Vec<CalledFrom>, caller_from: Vec<CallerFrom>| {
        read("sip:101@h", fields, Some(&account(Numbering { called_from, caller_from, ..Numbering::default() })))
    };
    let by_from = read_by(vec![CalledFrom::RequestUri], vec![CallerFrom::From]);
    assert_eq!(by_from, parties(Some("+74950000000"), Some("Main"), "101", Some("+74957654321")));
    let by_identity = read_by(vec![CalledFrom::Diversion, CalledFrom::To], vec![CallerFrom::PAssertedIdentity]);
    assert_eq!(by_identity, parties(Some("+79161234567"), Some("Anna"), "+74957654321", Some("+74957654321")));
}

#[test]
fn names_in_any_character_set_are_shown_right() {
    let (windows, _, _) = encoding_rs::WINDOWS_1251.encode("Иван Петров");
    let (koi, _, _) = encoding_rs::KOI8_R.encode("Иван Петров");
    let names: [&[u8]; 6] = [
        "\"Иван Петров\"".as_bytes(),
        b"=?UTF-8?B?0JjQstCw0L0g0J/QtdGC0YDQvtCy?=",
        b"\"=?koi8-r?B?6dfBziDwxdTSz9c=?=\"",
        &[b"\"", &*windows, b"\""].concat(),
        &koi,
        "\"\\Иван \\\"\t Петров\"".as_bytes(),
    ];
    for (at, name) in names.into_iter().enumerate() {
        let bytes = [b"INVITE sip:200@h SIP/2.0\r\nFrom: ", name, b" <sip:101@h>;tag=1\r\n\r\n"].concat();
        let (request, from) = invite(&bytes);
        let expected = if at == 5 { "Иван \" Петров" } else { "Иван Петров" };
        assert_eq!(Parties::of(&request, &from, None, "u").caller_name.as_deref(), Some(expected), "{at}");
    }
}

#[test]
fn numbers_written_otherwise_are_the_same() {
    let numbering = Numbering::default();
    for (uri, user, same) in [
        ("sip:+74951234567@h", "84951234567", true),
        ("sip:200@h", "200", true),
        ("sip:200@h", "201", false),
        ("sip:h", "200", false),
    ] {
        assert_eq!(is_same(&numbering, &uri.parse().unwrap(), user), same, "{uri} {user}");
    }
}
