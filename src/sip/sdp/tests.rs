//! Descriptions of every kind, and what is answered.

use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

const LOCAL: LocalMedia<'_> = LocalMedia {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 5)),
    port: 10_000,
    rtcp_port: None,
    ice: None,
    codecs: &[Codec::Pcmu, Codec::Pcma],
    events: true,
    numbers: Numbers::NONE,
    security: None,
    session_id: 77,
    session_version: 1,
};

/// A description whose head is the usual one, with `lines` after it.
fn sdp(lines: &str) -> Vec<u8> {
    format!("v=0\no=- 1 1 IN IP4 198.51.100.1\ns=-\nc=IN IP4 198.51.100.1\nt=0 0\n{lines}").into_bytes()
}

fn answered(lines: &str) -> (String, Media) {
    let (sdp, media) = answer(&parse_offer(&sdp(lines)).unwrap(), &LOCAL).unwrap();
    (String::from_utf8(sdp).unwrap(), media)
}

fn error(lines: &str) -> SdpError {
    match parse_offer(&sdp(lines)) {
        Ok(offer) => answer(&offer, &LOCAL).unwrap_err(),
        Err(error) => error,
    }
}

#[test]
fn answers_with_the_first_codec_of_the_offerer() {
    let (sdp, media) = answered("m=audio 4000 RTP/AVP 96 8 0\na=rtpmap:96 opus/48000/2\na=ptime:30\n");
    assert_eq!(
        sdp,
        "v=0\r\no=- 77 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
         m=audio 10000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    assert_eq!(
        media,
        Media {
            remote: "198.51.100.1:4000".parse().unwrap(),
            codec: Codec::Pcma,
            payload_type: 8,
            opus: OpusTerms::default(),
            accepted: vec![(8, Codec::Pcma), (0, Codec::Pcmu)],
            events: None,
            pace: Pace::default(),
            sends: true,
            receives: true,
            rtcp: RtcpPath::At("198.51.100.1:4001".parse().unwrap()),
            ice: None,
            protection: Protection::Plain,
            crypto: None,
        }
    );
}

/// What each of them offers, as they write it, and what we answer.
#[test]
fn wideband_is_agreed_with_all_kinds_of_telephones() {
    let local = LocalMedia { codecs: &Codec::ALL, ..LOCAL };
    let opus = format!("a=fmtp:N {}\r\n", OpusTerms::OURS);
    for (who, lines, codec, number, events, terms) in [
        (
            "Asterisk",
            "m=audio 4000 RTP/AVP 107 9 8 0 101\na=rtpmap:107 opus/48000/2\na=fmtp:107 useinbandfec=1\n\
             a=rtpmap:9 G722/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n\
             a=fmtp:101 0-16\na=ptime:20\na=maxptime:60\na=sendrecv\n",
            Codec::Opus,
            107,
            Some((101, 8_000)),
            OpusTerms::default(),
        ),
        (
            "Linphone",
            "m=audio 4000 RTP/AVP 96 97 98 0 8 18 101 99 100\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n\
             a=rtpmap:97 speex/16000\na=fmtp:97 vbr=on\na=rtpmap:98 speex/8000\na=fmtp:98 vbr=on\na=fmtp:18 annexb=yes\n\
             a=rtpmap:101 telephone-event/48000\na=rtpmap:99 telephone-event/16000\na=rtpmap:100 telephone-event/8000\n",
            Codec::Opus,
            96,
            Some((101, 48_000)),
            OpusTerms::default(),
        ),
        (
            "baresip",
            "m=audio 4000 RTP/AVP 9 96 0 101\na=rtpmap:9 G722/8000\na=rtpmap:96 opus/48000/2\n\
             a=fmtp:96 stereo=1;sprop-stereo=1\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n",
            Codec::G722,
            9,
            Some((101, 8_000)),
            OpusTerms::default(),
        ),
        (
            "a browser",
            "m=audio 4000 RTP/AVPF 111 63 9 0 8 13 110 126\na=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\n\
             a=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:9 G722/8000\n\
             a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\n\
             a=rtpmap:126 telephone-event/8000\n",
            Codec::Opus,
            111,
            Some((110, 48_000)),
            OpusTerms::default(),
        ),
        (
            "one that asks for little",
            "m=audio 4000 RTP/AVP 120\na=rtpmap:120 OPUS/48000/2\n\
             a=fmtp:120 maxplaybackrate=8000; maxaveragebitrate=12000; usedtx=1; cbr=0; usedtx\n",
            Codec::Opus,
            120,
            None,
            OpusTerms { dtx: true, max_bitrate: Some(12_000), max_playback_hz: Some(8_000) },
        ),
        ("one who writes little", "m=audio 4000 RTP/AVP 9\n", Codec::G722, 9, None, OpusTerms::default()),
        (
            "one whose clocks are wrong",
            "m=audio 4000 RTP/AVP 96 9 8\na=rtpmap:96 opus/16000\na=rtpmap:9 G722/16000\n",
            Codec::Pcma,
            8,
            None,
            OpusTerms::default(),
        ),
    ] {
        let (answer, media) = answer(&parse_offer(&sdp(lines)).unwrap(), &local).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        println!("{who}: {answer}");
        assert_eq!((media.codec, media.payload_type, media.opus), (codec, number, terms), "{who}");
        let told = media.events.map(|events| (events.receive, events.clock_hz));
        assert_eq!(told, events, "{who}");
        assert_eq!(answer.contains(&opus.replace('N', &number.to_string())), codec == Codec::Opus, "{who}: {answer}");
        let rtpmaps = answer.lines().filter(|line| line.starts_with("a=rtpmap:")).count();
        assert_eq!(rtpmaps, 1 + usize::from(events.is_some()), "one codec, and events beside it: {answer}");
        // The next offer of ours keeps the numbers, and another answer changes nothing.
        let again = LocalMedia { numbers: local.numbers.and(&media), ..local };
        let next = String::from_utf8(offer(&again)).unwrap();
        let known = format!("a=rtpmap:{number} {}/{}", codec.name(), codec.clock_rate_hz());
        assert!(next.contains(&known), "{who}: {next}");
        if let Some((number, clock_hz)) = events {
            assert!(next.contains(&format!("a=rtpmap:{number} telephone-event/{clock_hz}\r\n")), "{who}: {next}");
        }
        let mut formats: Vec<&str> =
            next.lines().find(|line| line.starts_with("m=")).unwrap().split(' ').skip(3).collect();
        let count = formats.len();
        formats.sort_unstable();
        formats.dedup();
        assert_eq!(formats.len(), count, "{who}: no number means two things: {next}");
        let (same, _) = super::answer(&parse_offer(&sdp(lines)).unwrap(), &again).unwrap();
        assert_eq!(continue_session(answer.as_bytes(), &same).unwrap(), answer.as_bytes(), "{who}");
    }
}

#[test]
fn an_offer_of_ours_has_events_at_each_clock_of_its_codecs() {
    let local = LocalMedia { codecs: &Codec::ALL, ..LOCAL };
    let offered = String::from_utf8(offer(&local)).unwrap();
    assert!(offered.contains("m=audio 10000 RTP/AVP 96 9 8 0 13 101 110\r\na=rtpmap:96 opus/48000/2\r\n"), "{offered}");
    assert!(offered.contains("a=rtpmap:9 G722/8000\r\n") && offered.contains("a=rtpmap:110 telephone-event/48000\r\n"));
    let opus = "m=audio 4000 RTP/AVP 111 126 102\na=rtpmap:111 opus/48000/2\na=rtpmap:126 telephone-event/8000\n\
                a=rtpmap:102 telephone-event/48000\n";
    let media = accept_answer(&sdp(opus), &local).unwrap();
    let wanted = EventSet::KEYS;
    assert_eq!((media.payload_type, &media.accepted[..]), (111, &[(96, Codec::Opus)][..]));
    assert_eq!(media.events, Some(Events { receive: 110, send: 102, wanted, clock_hz: 48_000 }));
    let without =
        accept_answer(&sdp("m=audio 4000 RTP/AVP 9 101\na=rtpmap:101 telephone-event/8000\n"), &local).unwrap();
    assert_eq!((without.codec, without.events.map(|events| events.clock_hz)), (Codec::G722, Some(8_000)));
}

#[test]
fn dynamic_and_static_payload_types_mean_what_rtpmap_says() {
    let (_, media) = answered(
        "m=audio 4000 RTP/AVP 0 97 97 300 x 8\na=rtpmap:0 PCMU/16000\na=rtpmap:97 pcmu/8000/1\na=rtpmap:8 PCMA/8000/2\n",
    );
    assert_eq!((media.codec, media.payload_type, media.accepted), (Codec::Pcmu, 97, vec![(97, Codec::Pcmu)]));
}

#[test]
fn reports_go_with_the_sound_to_the_next_port_or_to_the_one_that_is_named() {
    for (attributes, path) in [
        ("a=rtcp-mux\n", RtcpPath::Muxed),
        ("a=rtcp:9 IN IP4 0.0.0.0\na=rtcp-mux\n", RtcpPath::Muxed),
        ("", RtcpPath::At("198.51.100.1:4001".parse().unwrap())),
        ("a=rtcp:4100\n", RtcpPath::At("198.51.100.1:4100".parse().unwrap())),
        ("a=rtcp:4100 IN IP4 198.51.100.7\n", RtcpPath::At("198.51.100.7:4100".parse().unwrap())),
        ("a=rtcp:4100 IN IP6 2001:db8::7\n", RtcpPath::At("[2001:db8::7]:4100".parse().unwrap())),
        ("a=rtcp:4100 IN IP4 239.1.1.1\n", RtcpPath::At("198.51.100.1:4100".parse().unwrap())),
        ("a=rtcp:x\n", RtcpPath::At("198.51.100.1:4001".parse().unwrap())),
    ] {
        let (sdp, media) = answered(&format!("m=audio 4000 RTP/AVP 0\n{attributes}"));
        assert_eq!(media.rtcp, path, "{attributes}");
        assert_eq!(sdp.contains("\r\na=rtcp-mux\r\n"), path == RtcpPath::Muxed, "RFC 5761: accepted if offered: {sdp}");
    }
    let (_, highest) = answered("m=audio 65535 RTP/AVP 0\n");
    assert_eq!(highest.rtcp, RtcpPath::At("198.51.100.1:0".parse().unwrap()), "there is no next port");
    assert!(String::from_utf8(offer(&LOCAL)).unwrap().contains("\r\na=rtcp-mux\r\n"));
}

#[test]
fn every_other_stream_is_refused_in_its_place() {
    let (sdp, media) = answered(
        "m=video 5000 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=audio 0 RTP/AVP 0\nm=audio 4000 RTP/AVPF 0\n\
         m=audio 4002 RTP/AVP 8\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\n",
    );
    let lines: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 96",
            "m=audio 0 RTP/AVP 0",
            "m=audio 10000 RTP/AVPF 0",
            "m=audio 0 RTP/AVP 8",
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ]
    );
    assert_eq!((media.remote.port(), media.codec), (4_000, Codec::Pcmu));
}

#[test]
fn directions_are_mirrored() {
    for (offered, mirrored, flows) in [
        ("sendrecv", "sendrecv", (true, true)),
        ("sendonly", "recvonly", (false, true)),
        ("recvonly", "sendonly", (true, false)),
        ("inactive", "inactive", (false, false)),
    ] {
        for lines in
            [format!("m=audio 4000 RTP/AVP 0\na={offered}\n"), format!("a={offered}\nm=audio 4000 RTP/AVP 0\n")]
        {
            let (sdp, media) = answered(&lines);
            assert!(sdp.contains(&format!("\r\na={mirrored}\r\n")), "{sdp}");
            assert_eq!((media.sends, media.receives), flows, "{lines}");
        }
    }
    let (sdp, media) = answered("a=inactive\nm=audio 4000 RTP/AVP 0\na=sendrecv\n");
    assert!(media.sends && sdp.contains("\r\na=sendrecv\r\n"), "the stream's own direction comes first");
}

#[test]
fn an_unspecified_address_is_hold() {
    let (sdp, media) = answered("m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n");
    assert!(sdp.contains("a=recvonly"), "{sdp}");
    assert!(!media.sends && media.remote.ip().is_unspecified());
}

#[test]
fn the_address_of_the_stream_comes_before_that_of_the_session() {
    let (_, media) = answered("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::7\n");
    assert_eq!(media.remote, "[2001:db8::7]:4000".parse::<SocketAddr>().unwrap());
    for bad in ["IN IP4 phone.example.org", "IN IP4 239.1.1.1/127", "ATM NSAP 1.2.3.4"] {
        let error = error(&format!("m=audio 4000 RTP/AVP 0\nc={bad}\n"));
        assert!(matches!(error, SdpError::Address(_)), "{bad}: {error}");
    }
    let nowhere = parse_offer(b"v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 0\n");
    assert_eq!(nowhere.unwrap_err(), SdpError::Address("none".to_owned()));
}

#[test]
fn what_cannot_be_agreed_says_why() {
    assert_eq!(error("m=audio 4000 RTP/AVP 9 18\n"), SdpError::NoCommonCodec("9 18".to_owned()));
    assert_eq!(error("m=audio 4000 RTP/SAVP 0\n"), SdpError::Encrypted("RTP/SAVP".to_owned()));
    assert_eq!(error("m=audio 9 UDP/TLS/RTP/SAVPF 0\n"), SdpError::Encrypted("UDP/TLS/RTP/SAVPF".to_owned()));
    assert_eq!(error("m=video 4000 RTP/AVP 96\nm=audio 0 RTP/AVP 0\n"), SdpError::NoAudio);
    assert_eq!(error(""), SdpError::NoAudio);
    assert!(matches!(parse_offer(b"hello"), Err(SdpError::Syntax(_))));
    assert_eq!(parse_offer(&sdp(&"a=x\n".repeat(5_000))).unwrap_err(), SdpError::TooLong);
    assert_eq!(parse_offer(&sdp(&"m=audio 4000 RTP/AVP 0\n".repeat(17))).unwrap_err(), SdpError::TooLong);
}

#[test]
fn our_own_offer_and_answer_agree() {
    let peer = LocalMedia { port: 20_000, session_id: 5, codecs: &[Codec::Pcma], ..LOCAL };
    let offered = parse_offer(&offer(&LOCAL)).unwrap();
    let (sdp, theirs) = answer(&offered, &peer).unwrap();
    let ours = accept_answer(&sdp, &LOCAL).unwrap();
    assert_eq!((ours.codec, ours.payload_type, ours.remote.port()), (Codec::Pcma, 8, 20_000));
    assert_eq!(ours.accepted, [(8, Codec::Pcma)]);
    assert_eq!((theirs.codec, theirs.remote.port(), theirs.sends), (Codec::Pcma, 10_000, true));
}

#[test]
fn an_answer_may_use_other_numbers_and_may_refuse() {
    let renumbered = sdp("m=audio 4000 RTP/AVP 97\na=rtpmap:97 PCMA/8000\na=recvonly\n");
    let media = accept_answer(&renumbered, &LOCAL).unwrap();
    assert_eq!((media.payload_type, media.accepted), (97, vec![(8, Codec::Pcma)]));
    assert!(media.sends);
    let refused = sdp("m=audio 0 RTP/AVP 0\n");
    assert_eq!(accept_answer(&refused, &LOCAL).unwrap_err(), SdpError::NoAudio);
}

#[test]
fn events_are_answered_under_the_offerers_number_with_what_both_know() {
    for (lines, answer) in [
        // Asterisk, baresip, Linphone, which has several clocks and says nothing of which events.
        ("101 telephone-event/8000\na=fmtp:101 0-16", Some((101, "0-16"))),
        ("101 telephone-event/8000\na=fmtp:101 0-15", Some((101, "0-15"))),
        ("101 telephone-event/16000\na=rtpmap:98 telephone-event/8000", Some((98, "0-15"))),
        ("127 TELEPHONE-EVENT/8000/1\na=fmtp:127 0-11,16", Some((127, "0-11,16"))),
        ("96 telephone-event/8000\na=fmtp:96  0 - 9 , 11,66,70-255", Some((96, "0-9,11"))),
        ("101 telephone-event/8000\na=fmtp:101 what", Some((101, "0-15"))),
        ("101 telephone-event/8000\na=fmtp:98 0-3", Some((101, "0-15"))),
        // None of ours, another clock, a static number, not among the formats, nothing.
        ("101 telephone-event/8000\na=fmtp:101 32-49", None),
        ("101 telephone-event/48000", None),
        ("8 telephone-event/8000", None),
        ("99 telephone-event/8000", None),
        ("101 opus/48000/2", None),
    ] {
        let (sdp, media) = answered(&format!("m=audio 4000 RTP/AVP 98 101 0 8 127 96\na=rtpmap:{lines}\n"));
        let formats = sdp.lines().find_map(|line| line.strip_prefix("m=audio 10000 RTP/AVP ")).unwrap();
        match answer {
            Some((number, events)) => {
                assert_eq!(formats, format!("0 {number}"), "{lines}");
                let described = format!("a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} {events}\r\n");
                assert!(sdp.contains(&described), "{lines}: {sdp}");
                let wanted = EventSet::parse(events).unwrap();
                assert_eq!(
                    media.events,
                    Some(Events { receive: number, send: number, wanted, clock_hz: 8_000 }),
                    "{lines}"
                );
            }
            None => assert_eq!((formats, media.events), ("0", None), "{lines}"),
        }
    }
    let without = LocalMedia { events: false, ..LOCAL };
    let offered = sdp("m=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n");
    let (sdp, media) = answer(&parse_offer(&offered).unwrap(), &without).unwrap();
    assert!(!String::from_utf8(sdp).unwrap().contains("101") && media.events.is_none(), "we take none");
}

#[test]
fn events_are_never_all_that_is_agreed() {
    let lines = "m=audio 4000 RTP/AVP 18 101\na=rtpmap:101 telephone-event/8000\n";
    assert_eq!(error(lines), SdpError::NoCommonCodec("18 101".to_owned()));
    assert_eq!(accept_answer(&sdp(lines), &LOCAL).unwrap_err(), SdpError::NoCommonCodec("18 101".to_owned()));
}

#[test]
fn events_that_we_offer_come_in_under_our_number_and_go_out_under_the_answerers() {
    let offered = String::from_utf8(offer(&LOCAL)).unwrap();
    assert!(offered.contains("m=audio 10000 RTP/AVP 0 8 13 101\r\n"), "{offered}");
    assert!(offered.contains("a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"), "{offered}");
    let answer = sdp("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-11\n");
    let wanted = EventSet::parse("0-11").unwrap();
    let media = accept_answer(&answer, &LOCAL).unwrap();
    assert_eq!(media.events, Some(Events { receive: 101, send: 97, wanted, clock_hz: 8_000 }));
    let without = LocalMedia { events: false, ..LOCAL };
    assert_eq!(accept_answer(&answer, &without).unwrap().events, None, "we have not offered any");
    assert!(!String::from_utf8(offer(&without)).unwrap().contains("telephone-event"));
    assert_eq!(accept_answer(&sdp("m=audio 4000 RTP/AVP 0\n"), &LOCAL).unwrap().events, None);
}

#[test]
fn a_session_keeps_its_number_for_events() {
    let (first, media) = answered("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n");
    let (again, _) = answered("m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n");
    assert_eq!(continue_session(first.as_bytes(), again.as_bytes()).unwrap(), first.as_bytes());
    let ours = LocalMedia { numbers: Numbers::NONE.and(&media), ..LOCAL };
    let held = String::from_utf8(offer_hold(&ours)).unwrap();
    assert!(held.contains("m=audio 10000 RTP/AVP 0 8 13 97\r\n") && !held.contains("101"), "{held}");
}

#[test]
fn the_version_grows_only_with_a_change() {
    let first = offer(&LOCAL);
    assert_eq!(continue_session(&first, &first).unwrap(), first);
    let moved = offer(&LocalMedia { port: 10_002, session_id: 1, session_version: 1, ..LOCAL });
    let second = String::from_utf8(continue_session(&first, &moved).unwrap()).unwrap();
    assert!(second.contains("o=- 77 2 ") && second.contains("m=audio 10002 "), "{second}");
}

#[test]
fn damaged_descriptions_never_panic() {
    let mut rng = StdRng::seed_from_u64(3);
    let whole = sdp("m=audio 4000 RTP/AVP 0 8 97 98\na=rtpmap:97 PCMU/8000\na=rtpmap:98 telephone-event/8000\n\
         a=fmtp:98 0-15\na=ptime:20\na=sendonly\nm=video 1 X y\n");
    let mut usable = 0;
    for _ in 0..50_000 {
        let mut damaged = whole.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..damaged.len());
            match rng.random_range(0..3) {
                0 => damaged[at] = rng.random(),
                1 => damaged.truncate(at.max(1)),
                _ => damaged.insert(at, b"\n0:/ =-9"[rng.random_range(0..8)]),
            }
        }
        if let Ok(offer) = parse_offer(&damaged)
            && let Ok((sdp, _)) = answer(&offer, &LOCAL)
        {
            usable += 1;
            Session::parse(&sdp).expect("an answer is always well formed");
        }
        let _ = accept_answer(&damaged, &LOCAL);
    }
    println!("{usable} of 50000 damaged offers were still usable");
    assert!(usable > 1_000);
}

const UFRAG: &str = "a=ice-ufrag:F7gI\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\n";

/// The answer to an offer with these lines, by somebody who does ICE.
fn answered_with_ice(lines: &str) -> (String, Media) {
    let ours = Credentials { ufrag: "ours".to_owned(), password: "our0password0of022chars".to_owned() };
    let local = LocalMedia { ice: Some(&ours), ..LOCAL };
    let (sdp, media) = answer(&parse_offer(&sdp(lines)).unwrap(), &local).unwrap();
    (String::from_utf8(sdp).unwrap(), media)
}

#[test]
fn ice_is_answered_by_an_agent_that_only_answers() {
    for (lines, is_muxed) in [
        // Asterisk: media level, sound and reports apart.
        (
            format!(
                "m=audio 4000 RTP/AVP 0\n{UFRAG}a=candidate:Hc0a80a02 1 UDP 2130706431 198.51.100.1 4000 typ host\n\
                 a=candidate:Hc0a80a02 2 UDP 2130706430 198.51.100.1 4001 typ host\n"
            ),
            false,
        ),
        // Linphone: session level, mux, reflexive and relayed addresses.
        (
            format!(
                "{UFRAG}m=audio 4000 RTP/AVP 0\na=rtcp-mux\na=candidate:1 1 UDP 2130706303 10.0.0.7 7078 typ host\n\
                 a=candidate:2 1 UDP 1694498687 198.51.100.1 4000 typ srflx raddr 10.0.0.7 rport 7078\n"
            ),
            true,
        ),
        // A browser: mDNS names and an address that is not known yet, candidates to come.
        (
            format!(
                "a=ice-options:trickle\nm=audio 9 RTP/AVPF 0\nc=IN IP4 0.0.0.0\na=rtcp-mux\n{UFRAG}\
                 a=candidate:1 1 udp 2113937151 4b1c7f3e-0000-4d2b-9f0a-000000000000.local 51472 typ host generation 0\n\
                 a=candidate:2 1 tcp 1518280447 10.0.0.7 9 typ host tcptype active\n"
            ),
            true,
        ),
        // No candidates at all yet; and one whose name may be any address.
        (format!("m=audio 4000 RTP/AVP 0\n{UFRAG}"), false),
        (format!("m=audio 4000 RTP/AVP 0\n{UFRAG}a=candidate:1 1 udp 1 x.local 4 typ host\n"), false),
    ] {
        let (sdp, media) = answered_with_ice(&lines);
        let password = "x9cml/YzichV2+XlhiMu8g".to_owned();
        assert_eq!(media.ice, Some(Credentials { ufrag: "F7gI".to_owned(), password }), "{lines}");
        assert!(media.sends, "{lines}");
        let (head, stream) = sdp.split_once("m=audio").unwrap();
        assert!(head.contains("\r\na=ice-lite\r\n"), "{sdp}");
        assert!(stream.contains("\r\na=ice-ufrag:ours\r\na=ice-pwd:our0password0of022chars\r\n"), "{sdp}");
        let of_sound = "a=candidate:1 1 UDP 2130706431 192.0.2.5 10000 typ host\r\n";
        let of_reports = "a=candidate:1 2 UDP 2130706430 192.0.2.5 10001 typ host\r\n";
        assert_eq!((stream.contains(of_sound), stream.contains(of_reports)), (true, !is_muxed), "{sdp}");
    }
}

#[test]
fn without_ice_there_is_none() {
    for lines in [
        "m=audio 4000 RTP/AVP 0\n",
        "m=audio 4000 RTP/AVP 0\na=ice-ufrag:F7gI\n",
        "m=audio 4000 RTP/AVP 0\na=ice-ufrag:F7gI\na=ice-pwd:short\n",
        "m=audio 4000 RTP/AVP 0\na=ice-ufrag\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\n",
        "m=audio 4000 RTP/AVP 0\na=candidate:1 1 UDP 2130706431 198.51.100.1 4000 typ host\n",
    ] {
        let (sdp, media) = answered_with_ice(lines);
        assert!(!sdp.contains("ice") && !sdp.contains("candidate") && media.ice.is_none(), "{sdp}");
    }
    let lines = format!("m=audio 4000 RTP/AVP 0\n{UFRAG}");
    let (sdp, media) = answered(&lines);
    assert!(!sdp.contains("ice") && media.ice.is_none(), "who does not do it does not say so: {sdp}");
    assert!(!String::from_utf8(offer(&LOCAL)).unwrap().contains("ice"));
}

#[test]
fn somebody_on_the_way_who_has_changed_the_address_ends_ice() {
    let candidate = "a=candidate:1 1 UDP 2130706431 10.0.0.7 7078 typ host\n";
    let (sdp, media) = answered_with_ice(&format!("m=audio 4000 RTP/AVP 0\n{UFRAG}{candidate}"));
    assert!(sdp.contains("\r\na=ice-mismatch\r\n") && !sdp.contains("ice-lite") && media.ice.is_none(), "{sdp}");
}

#[test]
fn a_port_for_reports_that_is_not_the_next_one_is_named() {
    let muxed = "m=audio 4000 RTP/AVP 0\na=rtcp-mux\n";
    for (rtcp_port, lines, named) in [
        (None, "m=audio 4000 RTP/AVP 0\n", false),
        (Some(10_001), "m=audio 4000 RTP/AVP 0\n", false),
        (Some(50_007), "m=audio 4000 RTP/AVP 0\n", true),
        (Some(50_007), muxed, false),
    ] {
        let local = LocalMedia { rtcp_port, ..LOCAL };
        let (sdp, _) = answer(&parse_offer(&sdp(lines)).unwrap(), &local).unwrap();
        assert_eq!(String::from_utf8(sdp).unwrap().contains("\r\na=rtcp:50007\r\n"), named, "{lines}");
        let offered = String::from_utf8(offer(&local)).unwrap();
        assert_eq!(offered.contains("\r\na=rtcp:50007\r\n"), rtcp_port == Some(50_007), "{offered}");
    }
}
