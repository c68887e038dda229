//! `secretary call`: a caller for tests and scripts, on the same SIP and RTP as the secretary herself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hound::{SampleFormat, WavSpec, WavWriter};
use rand::Rng;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::wav::read_mono;
use crate::app::USER_AGENT;
use crate::clock;
use crate::net::ports::PortPool;
use crate::net::sip::{Listen, SipHandle};
use crate::net::{resolve, sip as sip_net};
use crate::rtp::codec::Codec;
use crate::rtp::codec::resample::resample;
use crate::rtp::packet::{RtpTimestamp, Seq, Ssrc};
use crate::rtp::{FRAME_DURATION, Frame, Output, Stream, StreamConfig};
use crate::sip::message::Uri;
use crate::sip::sdp::{self, LocalMedia, Media};
use crate::sip::{CallKey, CallOut, Command, DirectCalls, EndCause, Endpoint, EndpointConfig, SessionEvent, Transport};

/// Sound of a call in Hz.
const RATE_HZ: u32 = 8_000;
/// The other side has finished when it was silent for this long; «Секунду…» and the answer are not so far apart.
const PAUSE: Duration = Duration::from_millis(2_500);
/// The other side says nothing at all: the next recording is played all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// After the last recording, so much silence ends the call.
const FAREWELL: Duration = Duration::from_secs(6);
/// Louder than line noise (RMS of 16-bit samples, about -44 dBFS).
const SPEECH_RMS: f64 = 200.0;
/// The longest wait for an answer.
const RING_FOR: Duration = Duration::from_secs(60);
/// A few ports of our own; those of [rtp] may belong to a secretary on this machine.
const RTP_PORTS: (u16, u16) = (20_002, 21_000);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom to call: sip:name@host, with :port and ;transport=tcp if need be.
    uri: String,
    /// A WAV file to play when the other side falls silent (or says nothing for 5 s). Several are played in turn.
    #[arg(long, value_name = "FILE")]
    play: Vec<PathBuf>,
    /// Where to write what the other side says, as WAV.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<()> {
    let mut clips = Vec::new();
    for path in &args.play {
        let (pcm, rate_hz) = read_mono(path)?;
        clips.push(resample(&pcm, rate_hz, RATE_HZ).with_context(|| path.display().to_string())?);
    }
    let uri = args.uri.parse::<Uri>().with_context(|| format!("{}: not a SIP address", args.uri))?;
    let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let flow = resolve::flows(&uri.host, uri.port, Some(Transport::Udp), SocketAddr::new(any, 0))
        .await
        .with_context(|| format!("{}: no such host", uri.host))?
        .into_iter()
        .next()
        .context("no way to that host")?;
    let listen = Listen { address: flow.local.ip(), port: 0 };
    let config = EndpointConfig {
        direct_calls: DirectCalls::Refused,
        call_out: CallOut::Anybody,
        ..EndpointConfig::new(USER_AGENT, "caller", 1)
    };
    let (sip, _calls, task) = sip_net::start(listen, Endpoint::new(config, rand::random())).await?;
    let result = converse(&sip, &args, clips, flow.local.ip()).await;
    sip.stop().await;
    task.await?;
    result
}

async fn converse(sip: &SipHandle, args: &Args, clips: Vec<Vec<i16>>, address: IpAddr) -> Result<()> {
    let socket = PortPool::new(address, RTP_PORTS.0, RTP_PORTS.1).bind()?;
    let local = LocalMedia {
        address,
        port: socket.local_addr()?.port(),
        codecs: &Codec::ALL,
        session_id: rand::rng().random::<u64>() >> 1,
        session_version: 0,
    };
    let (key, mut events) =
        sip.invite(args.uri.clone(), None, sdp::offer(&local), RING_FOR).await.context("the SIP endpoint is gone")?;
    let media = tokio::select! {
        answered = answer(&mut events, &local) => match answered {
            Ok(media) => media,
            Err(error) => {
                hang_up(sip, key, &mut events).await;
                return Err(error);
            }
        },
        _ = tokio::signal::ctrl_c() => {
            hang_up(sip, key, &mut events).await;
            bail!("given up before an answer");
        }
    };
    eprintln!("answered, {} with {}", media.codec.name(), media.remote);
    let mut far = Vec::new();
    talk(sip, key, &mut events, &socket, &media, clips, &mut far).await;
    if let Some(path) = &args.record {
        let spec = WavSpec { channels: 1, sample_rate: RATE_HZ, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::create(path, spec).with_context(|| path.display().to_string())?;
        far.iter().try_for_each(|sample| writer.write_sample(*sample))?;
        writer.finalize()?;
    }
    Ok(())
}

async fn answer(events: &mut mpsc::Receiver<(CallKey, SessionEvent)>, local: &LocalMedia<'_>) -> Result<Media> {
    loop {
        match events.recv().await.context("the SIP endpoint is gone")?.1 {
            SessionEvent::Ringing => eprintln!("ringing"),
            SessionEvent::Answered { sdp, .. } => {
                return sdp::accept_answer(&sdp, local).context("the answer's SDP is of no use");
            }
            SessionEvent::Ended { cause } => bail!("not answered: {}", describe(&cause)),
            _ => {}
        }
    }
}

fn describe(cause: &EndCause) -> String {
    match cause {
        EndCause::Rejected { status, reason } => format!("{status} {reason}"),
        EndCause::Timeout => "nobody answers at that address".to_owned(),
        EndCause::TransportFailed(error) => error.clone(),
        other => format!("{other:?}"),
    }
}

async fn hang_up(sip: &SipHandle, call: CallKey, events: &mut mpsc::Receiver<(CallKey, SessionEvent)>) {
    sip.command(Command::Hangup { call }).await;
    let ended =
        async { while events.recv().await.is_some_and(|(_, event)| !matches!(event, SessionEvent::Ended { .. })) {} };
    // A peer that does not answer our BYE is left.
    let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
}

/// Holds the call to its end; what the other side says is appended to `far`.
async fn talk(
    sip: &SipHandle,
    call: CallKey,
    events: &mut mpsc::Receiver<(CallKey, SessionEvent)>,
    socket: &UdpSocket,
    media: &Media,
    clips: Vec<Vec<i16>>,
    far: &mut Vec<i16>,
) {
    let mut rng = rand::rng();
    let (ssrc, seq, timestamp) = (rng.random(), rng.random(), rng.random());
    let mut stream = Stream::new(
        clock::now(),
        StreamConfig {
            remote: media.remote,
            codec: media.codec,
            payload_type: media.payload_type,
            accepted: media.accepted.clone(),
            ssrc: Ssrc(ssrc),
            first_seq: Seq(seq),
            first_timestamp: RtpTimestamp(timestamp),
        },
    );
    let mut pace = Pace::new(clips.len());
    let mut clips = clips.into_iter();
    // The playout takes a minute at the most.
    let mut unplayed = Vec::new();
    let mut buffer = [0; 2_048];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => if let Ok((length, from)) = received {
                stream.handle_input(clock::now(), from, buffer.get(..length).unwrap_or_default());
            },
            event = events.recv() => match event.map(|(_, event)| event) {
                Some(SessionEvent::Ended { .. }) | None => {
                    eprintln!("the other side hung up after {:.1} s", far.len() as f64 / f64::from(RATE_HZ));
                    return;
                }
                Some(SessionEvent::Offer { .. }) => sip.command(Command::RejectOffer { call }).await,
                Some(_) => {}
            },
            _ = tokio::signal::ctrl_c() => return hang_up(sip, call, events).await,
            () = sleep_until(stream.poll_timeout().into()) => stream.handle_timeout(clock::now()),
        }
        while let Some(output) = stream.poll_output() {
            match output {
                Output::Transmit { to, datagram } => {
                    // A peer that is gone says BYE, or is silent until we do.
                    let _ = socket.send_to(&datagram, to).await;
                }
                Output::Skipped { ticks } => far.extend(std::iter::repeat_n(0, ticks as usize * 160)),
                Output::Tick { received, .. } => {
                    far.extend_from_slice(&received);
                    match pace.tick(&received, stream.is_playing()) {
                        Step::Listen => {}
                        Step::PlayNext => unplayed = clips.next().unwrap_or_default(),
                        Step::HangUp => return hang_up(sip, call, events).await,
                    }
                    let taken = stream.play(0, &unplayed);
                    unplayed.drain(..taken);
                }
            }
        }
    }
}

/// When to speak and when to hang up.
#[derive(Debug)]
struct Pace {
    clips_left: usize,
    has_clips: bool,
    silent_for: Duration,
    heard_since_clip: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Listen,
    PlayNext,
    HangUp,
}

impl Pace {
    fn new(clips: usize) -> Self {
        Self { clips_left: clips, has_clips: clips > 0, silent_for: Duration::ZERO, heard_since_clip: false }
    }

    fn tick(&mut self, received: &Frame, playing: bool) -> Step {
        let energy: f64 = received.iter().map(|s| f64::from(*s).powi(2)).sum();
        let loud = (energy / received.len() as f64).sqrt() > SPEECH_RMS;
        if playing || loud {
            self.silent_for = Duration::ZERO;
            self.heard_since_clip |= loud && !playing;
            return Step::Listen;
        }
        self.silent_for += FRAME_DURATION;
        let turn = self.silent_for >= PATIENCE || self.heard_since_clip && self.silent_for >= PAUSE;
        if self.clips_left > 0 && turn {
            self.clips_left -= 1;
            self.heard_since_clip = false;
            Step::PlayNext
        } else if self.has_clips && self.clips_left == 0 && self.silent_for >= FAREWELL {
            Step::HangUp
        } else {
            Step::Listen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: Frame = [4_000; 160];
    const SILENT: Frame = [0; 160];

    /// The ticks of 20 ms until something else than listening is wanted.
    fn until(pace: &mut Pace, frame: &Frame) -> (u32, Step) {
        (1..1_000).map(|n| (n, pace.tick(frame, false))).find(|(_, step)| *step != Step::Listen).unwrap()
    }

    #[test]
    fn it_waits_for_the_greeting_and_for_each_answer() {
        let mut pace = Pace::new(2);
        for _ in 0..100 {
            assert_eq!(pace.tick(&LOUD, false), Step::Listen);
        }
        assert_eq!(until(&mut pace, &SILENT), (125, Step::PlayNext));
        for _ in 0..100 {
            assert_eq!(pace.tick(&SILENT, true), Step::Listen);
        }
        pace.tick(&LOUD, false);
        assert_eq!(until(&mut pace, &SILENT), (125, Step::PlayNext));
        assert_eq!(until(&mut pace, &SILENT), (175, Step::HangUp));
    }

    #[test]
    fn it_speaks_first_to_one_who_says_nothing() {
        assert_eq!(until(&mut Pace::new(1), &SILENT), (250, Step::PlayNext));
    }
}
