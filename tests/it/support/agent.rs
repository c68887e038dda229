//! A telephone of few words on the secretary's own SIP: no sound, no engines. It serves the tests with sipp, and as the program
//! under load in `benches/sip.rs`, which includes this file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secretary::net::listen::Listen;
use secretary::net::sip::{self as net, Events, NewCall, SipHandle};
use secretary::rtp::codec::Codec;
use secretary::sip::sdp::{self, LocalMedia, Numbers};
use secretary::sip::{CallKey, CallOut, Command, Endpoint, EndpointConfig, Limits, SessionEvent};
use tokio::task::JoinHandle;

/// Where the sound would go: nothing listens there (RFC 863, discard).
const DISCARD: u16 = 9;
/// How long an extension that rings before it answers does so: an unacknowledged 180 is repeated meanwhile.
const RINGS_FOR: Duration = Duration::from_millis(1_200);

/// Takes calls to: `ring`, which rings and never answers; `slow`, which rings and answers; `busy`; anybody else, who answers
/// at once. Follows every transfer that it is asked for.
pub struct Agent {
    pub sip: SipHandle,
    #[allow(dead_code, reason = "the benchmark waits for it")]
    task: JoinHandle<()>,
}

/// A configuration with room for any test: calls come and go freely.
pub fn config(max_calls: usize) -> EndpointConfig {
    EndpointConfig {
        call_out: CallOut::Anybody,
        limits: Limits::NONE,
        ..EndpointConfig::new("agent", "agent", max_calls)
    }
}

impl Agent {
    /// Listens on a free port of 127.0.0.1. Runs in the runtime of whoever calls.
    pub async fn start(config: EndpointConfig) -> Self {
        let listen = Listen::on(Ipv4Addr::LOCALHOST.into(), 0);
        let endpoint = Endpoint::new(config, [7; 32]);
        let (sip, mut calls, _task) = net::start(listen, endpoint).await.expect("a free port");
        let handle = sip.clone();
        let task = tokio::spawn(async move {
            while let Some(call) = calls.recv().await {
                tokio::spawn(take(handle.clone(), call));
            }
        });
        Self { sip, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.sip.listen()
    }

    /// Calls somebody, and tells what happens.
    pub async fn call(&self, target: &str) -> (CallKey, Events) {
        let invited = self.sip.invite(target.to_owned(), None, sdp::offer(&local_media()), Duration::from_secs(30));
        invited.await.expect("the endpoint runs")
    }

    /// Serves until the process ends.
    #[allow(dead_code, reason = "the benchmark is served by it")]
    pub async fn serve(self) {
        // The task ends only with the endpoint.
        let _ = self.task.await;
    }
}

/// Our side of every session.
fn local_media() -> LocalMedia<'static> {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    LocalMedia {
        address,
        port: DISCARD,
        rtcp_port: None,
        ice: None,
        codecs: &Codec::ALL,
        events: false,
        numbers: Numbers::NONE,
        security: None,
        session_id: 1,
        session_version: 0,
    }
}

/// The answer to an offer, or our offer if there was none. `None`: nothing can be agreed.
fn described(offer: Option<&[u8]>) -> Option<Vec<u8>> {
    let Some(offer) = offer else { return Some(sdp::offer(&local_media())) };
    Some(sdp::answer(&sdp::parse_offer(offer).ok()?, &local_media()).ok()?.0)
}

async fn take(sip: SipHandle, call: NewCall) {
    let NewCall { key, incoming, events } = call;
    let Some(sdp) = described(incoming.offer.as_deref()) else {
        return sip.command(Command::Reject { call: key, status: 488, retry_after: None }).await;
    };
    match incoming.callee.user.as_deref().unwrap_or_default() {
        "busy" => return sip.command(Command::Reject { call: key, status: 486, retry_after: None }).await,
        "ring" => sip.command(Command::Ring { call: key }).await,
        "slow" => {
            sip.command(Command::Ring { call: key }).await;
            tokio::time::sleep(RINGS_FOR).await;
            sip.command(Command::Answer { call: key, sdp }).await;
        }
        _ => sip.command(Command::Answer { call: key, sdp }).await,
    }
    attend(&sip, events).await;
}

/// Stays with a call, and with what follows from it, until all is over.
pub async fn attend(sip: &SipHandle, mut events: Events) {
    while let Some((key, event)) = events.recv().await {
        answer(sip, key, &event).await;
    }
}

/// What a telephone does by itself.
pub async fn answer(sip: &SipHandle, key: CallKey, event: &SessionEvent) {
    match event {
        SessionEvent::Offer { sdp } => {
            let command = match described(sdp.as_deref()) {
                Some(sdp) => Command::AnswerOffer { call: key, sdp },
                None => Command::RejectOffer { call: key },
            };
            sip.command(command).await;
        }
        // It takes the place of this call.
        SessionEvent::Incoming(incoming) => {
            let command = match described(incoming.offer.as_deref()) {
                Some(sdp) => Command::Answer { call: key, sdp },
                None => Command::Reject { call: key, status: 488, retry_after: None },
            };
            sip.command(command).await;
        }
        SessionEvent::TransferRequested { .. } => {
            // What becomes of it comes with the events of this call.
            let _ = sip.accept_transfer(key, sdp::offer(&local_media())).await;
        }
        _ => {}
    }
}
