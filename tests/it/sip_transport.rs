//! The SIP task with real sockets on loopback: transports, addresses, and events that find their call. What is slow, lost
//! or false on one stream is in the unit tests of `net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use secretary::net::listen::{Listen, TlsIdentity, TlsSettings};
use secretary::net::sip::{self, Events, NewCall, SipHandle};
use secretary::sip::{CallKey, CallOut, Command, EndCause, Endpoint, EndpointConfig, Limits, SessionEvent, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OFFER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";

struct Agent {
    sip: SipHandle,
    calls: mpsc::Receiver<NewCall>,
    task: JoinHandle<()>,
}

impl Agent {
    async fn start(listen: Listen) -> Self {
        let config = EndpointConfig { call_out: CallOut::Anybody, ..EndpointConfig::new("test", "desk", 8) };
        let (sip, calls, task) = sip::start(listen, Endpoint::new(config, [7; 32])).await.unwrap();
        Agent { sip, calls, task }
    }

    async fn call(&self, target: String) -> (CallKey, Events) {
        self.sip.invite(target, None, OFFER.to_vec(), Duration::from_secs(30)).await.unwrap()
    }

    async fn stop(self) {
        self.sip.stop(sip::AT_ONCE).await;
        self.task.await.unwrap();
    }
}

/// The next event of a call that changes it.
async fn event(events: &mut Events) -> SessionEvent {
    loop {
        match events.recv().await.unwrap().1 {
            SessionEvent::Ringing => {}
            event => return event,
        }
    }
}

/// One calls the other, who answers; then he hangs up. Both see the transport and the addresses.
async fn call_through(caller: &Agent, callee: &mut Agent, target: String, transport: Transport) {
    let (_, mut events) = caller.call(target).await;
    let mut call = callee.calls.recv().await.unwrap();
    assert_eq!(call.incoming.flow.transport, transport);
    callee.sip.command(Command::Answer { call: call.key, sdp: OFFER.to_vec() }).await;
    let SessionEvent::Answered { flow, .. } = event(&mut events).await else { panic!("it is answered") };
    assert_eq!(flow.transport, transport);
    assert!(matches!(event(&mut call.events).await, SessionEvent::Established { .. }));
    callee.sip.command(Command::Hangup { call: call.key }).await;
    assert!(matches!(event(&mut events).await, SessionEvent::Ended { cause: EndCause::RemoteBye(_) }));
}

/// Files of certificates, gone with the test.
struct Certificates {
    folder: tempdir::Folder,
    issuer: Issuer<'static, KeyPair>,
    ca: PathBuf,
}

mod tempdir {
    use std::path::PathBuf;

    pub struct Folder(pub PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Certificates {
    fn new(test: &str) -> Self {
        let folder = tempdir::Folder(std::env::temp_dir().join(format!("secretary-{test}-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = folder.0.join("ca.pem");
        std::fs::write(&ca, params.self_signed(&key).unwrap().pem()).unwrap();
        Certificates { folder, issuer: Issuer::new(params, key), ca }
    }

    /// Settings with a certificate for this name.
    fn of(&self, name: &str) -> TlsSettings {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.0.join(format!("{name}.{end}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let identity = TlsIdentity { certificate: path("pem"), key: path("key"), client_ca: None };
        TlsSettings { identity: Some(identity), ..self.trusting() }
    }

    fn trusting(&self) -> TlsSettings {
        TlsSettings { port: 0, ca: Some(self.ca.clone()), ..TlsSettings::default() }
    }
}

fn with_tls(tls: TlsSettings) -> Listen {
    Listen { tls: Some(tls), ..Listen::on(HERE, 0) }
}

#[tokio::test]
async fn a_call_goes_over_each_transport() {
    let certificates = Certificates::new("each");
    let mut callee = Agent::start(with_tls(certificates.of("localhost"))).await;
    let caller = Agent::start(with_tls(certificates.trusting())).await;
    let (port, tls_port) = (callee.sip.listen().port(), callee.sip.tls_port().unwrap());
    assert_eq!(caller.sip.tls_port(), None, "without a certificate nobody is listened to");
    call_through(&caller, &mut callee, format!("sip:a@127.0.0.1:{port}"), Transport::Udp).await;
    call_through(&caller, &mut callee, format!("sip:a@127.0.0.1:{port};transport=tcp"), Transport::Tcp).await;
    call_through(&caller, &mut callee, format!("sip:a@localhost:{tls_port};transport=tls"), Transport::Tls).await;
    caller.stop().await;
    callee.stop().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_a_stranger_ends_the_call_with_the_reason() {
    let certificates = Certificates::new("wrong");
    let callee = Agent::start(with_tls(certificates.of("other.example"))).await;
    let target = format!("sip:a@localhost:{};transport=tls", callee.sip.tls_port().unwrap());
    for (settings, reason) in [
        (certificates.trusting(), "the certificate of localhost is not valid for that name"),
        (TlsSettings { ca: None, ..certificates.trusting() }, "put the CA into [sip.tls] ca"),
    ] {
        let caller = Agent::start(with_tls(settings)).await;
        let (_, mut events) = caller.call(target.clone()).await;
        match event(&mut events).await {
            SessionEvent::Ended { cause: EndCause::TransportFailed(error) } => {
                assert!(error.contains(reason), "{error}")
            }
            other => panic!("{other:?}"),
        }
        caller.stop().await;
    }
    callee.stop().await;
}

#[tokio::test]
async fn a_phone_without_the_certificate_that_is_asked_for_does_not_get_through() {
    let certificates = Certificates::new("client");
    let mut server = certificates.of("localhost");
    server.identity.as_mut().unwrap().client_ca = Some(certificates.ca.clone());
    let mut callee = Agent::start(with_tls(server)).await;
    let target = format!("sip:a@localhost:{};transport=tls", callee.sip.tls_port().unwrap());
    let stranger = Agent::start(with_tls(certificates.trusting())).await;
    let (_, mut events) = stranger.call(target.clone()).await;
    assert!(matches!(event(&mut events).await, SessionEvent::Ended { cause: EndCause::TransportFailed(_) }));
    stranger.stop().await;
    let known = Agent::start(with_tls(certificates.of("phone.example"))).await;
    call_through(&known, &mut callee, target, Transport::Tls).await;
    known.stop().await;
    callee.stop().await;
}

#[tokio::test]
async fn each_address_and_family_is_answered_from_where_it_was_reached() {
    let six = IpAddr::from(Ipv6Addr::LOCALHOST);
    let second = IpAddr::from([127, 0, 0, 2]);
    let mut callee = Agent::start(Listen { addresses: vec![HERE, six, second], ..Listen::on(HERE, 0) }).await;
    let port = callee.sip.listen().port();
    for address in [HERE, six, second] {
        let peer = UdpSocket::bind((address, 0)).await.unwrap();
        let to = SocketAddr::new(address, port);
        peer.send_to(options(peer.local_addr().unwrap()).as_bytes(), to).await.unwrap();
        let (answer, from) = receive(&peer).await;
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        assert_eq!(from, to);
    }
    let caller = Agent::start(Listen { addresses: vec![six, HERE], ..Listen::on(HERE, 0) }).await;
    for (target, transport) in [
        (format!("sip:a@[::1]:{port}"), Transport::Udp),
        (format!("sip:a@[::1]:{port};transport=tcp"), Transport::Tcp),
        (format!("sip:a@127.0.0.2:{port};transport=tcp"), Transport::Tcp),
    ] {
        call_through(&caller, &mut callee, target, transport).await;
    }
    caller.stop().await;
    callee.stop().await;
}

#[tokio::test]
async fn the_public_address_is_not_shown_to_peers_of_the_private_network() {
    let public = Some(IpAddr::from([203, 0, 113, 7]));
    let mut callee = Agent::start(Listen { public, ..Listen::on(HERE, 0) }).await;
    let caller = Agent::start(Listen::on(HERE, 0)).await;
    let (_, mut events) = caller.call(format!("sip:a@127.0.0.1:{}", callee.sip.listen().port())).await;
    let call = callee.calls.recv().await.unwrap();
    assert_eq!(call.incoming.our_address, HERE);
    callee.sip.command(Command::Reject { call: call.key, status: 486, retry_after: None }).await;
    assert!(matches!(event(&mut events).await, SessionEvent::Ended { .. }));
    caller.stop().await;
    callee.stop().await;
}

#[tokio::test]
async fn a_stream_in_single_bytes_is_answered_and_kept_alive() {
    let callee = Agent::start(Listen::on(HERE, 0)).await;
    let mut peer = TcpStream::connect(callee.sip.listen()).await.unwrap();
    peer.set_nodelay(true).unwrap();
    let request = options(peer.local_addr().unwrap()).replace("/UDP", "/TCP");
    for byte in request.as_bytes() {
        peer.write_all(&[*byte]).await.unwrap();
    }
    let answer = read_until(&mut peer, "\r\n\r\n").await;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    peer.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut peer, "\r\n").await, "\r\n");
    peer.write_all(b"INVITE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n").await.unwrap();
    // It may be told why; then it is closed.
    let mut rest = Vec::new();
    let _ = peer.read_to_end(&mut rest).await;
    callee.stop().await;
}

#[tokio::test]
async fn keep_alive_datagrams_are_no_messages() {
    let callee = Agent::start(Listen::on(HERE, 0)).await;
    let peer = UdpSocket::bind((HERE, 0)).await.unwrap();
    peer.send_to(b"\r\n\r\n", callee.sip.listen()).await.unwrap();
    peer.send_to(options(peer.local_addr().unwrap()).as_bytes(), callee.sip.listen()).await.unwrap();
    assert!(receive(&peer).await.0.starts_with("SIP/2.0 200"));
    callee.stop().await;
}

#[tokio::test]
async fn a_burst_of_calls_finds_room_for_all() {
    let config = EndpointConfig { limits: Limits::NONE, ..EndpointConfig::new("test", "desk", 500) };
    let (sip, mut calls, task) = sip::start(Listen::on(HERE, 0), Endpoint::new(config, [7; 32])).await.unwrap();
    let peer = UdpSocket::bind((HERE, 0)).await.unwrap();
    let port = peer.local_addr().unwrap().port();
    for n in 0..200 {
        let invite = options(SocketAddr::new(HERE, port)).replace("OPTIONS", "INVITE").replace("one", &format!("n{n}"));
        peer.send_to(invite.as_bytes(), sip.listen()).await.unwrap();
        // In step with the endpoint, so that the kernel's queue of this socket is not what is tried.
        while !receive(&peer).await.0.contains(&format!("Call-ID: n{n}\r\n")) {}
    }
    let mut taken = Vec::new();
    while taken.len() < 200 {
        taken.push(calls.recv().await.unwrap());
    }
    sip.stop(sip::AT_ONCE).await;
    task.await.unwrap();
}

#[tokio::test]
async fn a_transfer_of_an_unknown_call_and_a_text_after_the_end_are_told() {
    let agent = Agent::start(Listen::on(HERE, 0)).await;
    assert_eq!(agent.sip.accept_transfer(CallKey(99), OFFER.to_vec()).await, None);
    let sip = agent.sip.clone();
    agent.stop().await;
    let told = sip.message(None, "sip:a@127.0.0.1".to_owned(), "hello".to_owned()).await;
    assert!(matches!(told, Err(EndCause::TransportFailed(_))));
}

fn options(from: SocketAddr) -> String {
    format!(
        "OPTIONS sip:desk@here SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bKone\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{from}>;tag=a\r\nTo: <sip:desk@here>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:a@{from}>\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), from)
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}
