//! Every input that fuzzing found worth keeping, through what it was found with.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

use crate::support::pair::epoch;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "the corpus of {target} is gone");
    for path in paths {
        // Shown when the input makes it fail.
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
    }
}

#[test]
fn messages_are_written_as_they_were_read() {
    replay("message", fuzz::message);
}

#[test]
fn a_stream_gives_the_same_frames_in_any_pieces() {
    replay("stream", fuzz::stream);
}

#[test]
fn challenges_are_answered_in_one_line() {
    replay("digest", fuzz::digest);
}

#[test]
fn our_descriptions_can_be_read_by_ourselves() {
    replay("sdp", fuzz::sdp);
}

#[test]
fn a_stream_that_is_sent_anything_keeps_its_time() {
    replay("rtp", |data| fuzz::rtp(epoch(), data));
}

#[test]
fn reports_of_anybody_change_nothing_but_figures() {
    replay("rtcp", |data| fuzz::rtcp(epoch(), data));
}

#[test]
fn an_encrypted_stream_takes_only_what_its_peer_has_sealed() {
    replay("srtp", |data| fuzz::srtp(epoch(), data));
}

#[test]
fn a_handshake_to_which_anything_happens_gives_keys_to_nobody_but_the_peer() {
    replay("dtls", |data| fuzz::dtls(epoch(), data));
}

#[test]
fn checks_of_anybody_are_answered_and_move_nothing_without_our_password() {
    replay("stun", |data| fuzz::stun(epoch(), data));
}

#[test]
fn presses_are_told_once_whatever_came_before() {
    replay("dtmf", |data| fuzz::dtmf(epoch(), data));
}

#[test]
fn an_endpoint_that_is_told_anything_comes_to_rest() {
    replay("endpoint", |data| fuzz::endpoint(epoch(), data));
}

#[test]
fn a_jitter_buffer_that_is_told_anything_falls_silent() {
    replay("jitter", |data| fuzz::jitter(epoch(), data));
}
