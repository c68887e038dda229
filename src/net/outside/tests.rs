//! Peers near and far, and STUN servers on loopback that answer, or do not.

use super::*;
use stun_types::attribute::XorMappedAddress;
use stun_types::message::{Message, MessageWriteVec};
use stun_types::prelude::*;
use tokio::task::JoinHandle;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PUBLIC: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 5));
const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));
const NEXT_DOOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 10));

/// How a server answers what comes to it.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// It sees the sender's port plus 1,000.
    Ports,
    /// It sees the same ports.
    Same,
    /// The first question is lost.
    SecondTime,
    Garbage,
    /// From another socket.
    Elsewhere,
    Never,
}

async fn server(manner: Manner) -> (StunServer, JoinHandle<()>) {
    let socket = UdpSocket::bind((HERE, 0)).await.unwrap();
    let other = UdpSocket::bind((HERE, 0)).await.unwrap();
    let server = StunServer::new("127.0.0.1", socket.local_addr().unwrap().port());
    let task = tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        let mut asked = std::collections::BTreeSet::new();
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_bytes(&buffer[..length]).unwrap();
            let shift = if manner == Manner::Ports { 1_000 } else { 0 };
            let seen_as = SocketAddr::new(PUBLIC, from.port() + shift);
            let mut answer = Message::builder_success(&question, MessageWriteVec::new());
            answer.add_attribute(&XorMappedAddress::new(seen_as, question.transaction_id())).unwrap();
            let answer = answer.finish();
            match manner {
                Manner::SecondTime if asked.insert(from) => {}
                Manner::Ports | Manner::Same | Manner::SecondTime => drop(socket.send_to(&answer, from).await.unwrap()),
                Manner::Garbage => drop(socket.send_to(&answer[..answer.len() - 2], from).await.unwrap()),
                Manner::Elsewhere => drop(other.send_to(&answer, from).await.unwrap()),
                Manner::Never => {}
            }
        }
    });
    (server, task)
}

fn sockets(first: u16) -> MediaSockets {
    PortPool::new(&[HERE], first, first + 9).bind(HERE).unwrap()
}

#[tokio::test]
async fn the_public_address_is_for_the_public_network() {
    let sockets = sockets(42_100);
    let port = sockets.port();
    let six: IpAddr = "2001:db8::5".parse().unwrap();
    for (outside, peer, address) in [
        (Outside::Same, OUTSIDE, HERE),
        (Outside::Public(PUBLIC), OUTSIDE, PUBLIC),
        (Outside::Public(PUBLIC), NEXT_DOOR, HERE),
        (Outside::Public(six), OUTSIDE, HERE),
    ] {
        let place = outside.place(&sockets, HERE, peer).await;
        assert_eq!(place, Place { address, port, rtcp_port: None }, "{outside:?} for {peer}");
    }
}

#[tokio::test]
async fn a_server_tells_the_address_and_ports_of_the_very_sockets() {
    let sockets = sockets(42_110);
    let port = sockets.port();
    for (manner, seen_at, rtcp_port) in
        [(Manner::Same, port, None), (Manner::Ports, port + 1_000, None), (Manner::SecondTime, port, None)]
    {
        let (server, task) = server(manner).await;
        let place = Outside::Stun(server.clone()).place(&sockets, HERE, OUTSIDE).await;
        assert_eq!(place, Place { address: PUBLIC, port: seen_at, rtcp_port });
        let next_door = Outside::Stun(server).place(&sockets, HERE, NEXT_DOOR).await;
        assert_eq!(next_door, Place { address: HERE, port, rtcp_port: None });
        task.abort();
    }
}

#[tokio::test]
async fn a_server_that_tells_nothing_costs_one_wait_and_what_it_told_last_is_assumed() {
    let sockets = sockets(42_120);
    for manner in [Manner::Never, Manner::Garbage, Manner::Elsewhere] {
        let (server, task) = server(manner).await;
        let outside = Outside::Stun(server.clone());
        let place = outside.place(&sockets, HERE, OUTSIDE).await;
        assert_eq!(place, Place { address: HERE, port: sockets.port(), rtcp_port: None }, "nothing else is known");
        assert!(matches!(server.ask(&sockets).await, Err(StunError::Resting)), "nobody waits for it again so soon");
        server.lock(false).seen_as = Some(PUBLIC);
        assert_eq!(outside.place(&sockets, HERE, OUTSIDE).await.address, PUBLIC);
        server.lock(false).rests_until = None;
        assert!(matches!(server.ask(&sockets).await, Err(StunError::Query(QueryError::NoAnswer))), "but later on");
        task.abort();
    }
}

#[tokio::test]
async fn a_name_that_is_not_found_is_told() {
    let pool = PortPool::new(&[HERE], 42_130, 42_139);
    let error = StunServer::new("stun.invalid", STUN_PORT).refresh(&pool, HERE).await.unwrap_err();
    assert!(matches!(error, StunError::Name(_)), "{error}");
    let (server, task) = server(Manner::Same).await;
    assert_eq!(server.refresh(&pool, HERE).await.unwrap().ip(), PUBLIC);
    task.abort();
}
