//! Which of the registrar's addresses is asked (RFC 3263 §4.3): the best that is not known to be dead, and back to a
//! better one some time after it was.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::sip::{Flow, Transport};

const FIRST_PENALTY: Duration = Duration::from_secs(30);
const LONGEST_PENALTY: Duration = Duration::from_secs(600);
/// How many addresses are remembered.
const MAX_REMEMBERED: usize = 32;

/// What we know of the addresses of one registrar.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Those that did not answer, until one answers again.
    failed: BTreeMap<(Transport, SocketAddr), Penalty>,
}

#[derive(Debug, Clone, Copy)]
struct Penalty {
    until: Instant,
    /// Failures in a row.
    failures: u32,
}

impl Targets {
    /// The flows in the order in which they are to be tried. `found` is the resolver's, best first; `known` is where we
    /// are registered: we leave it only for a better one that we have fled from, for a resolver may shuffle equals.
    pub fn order(&self, now: Instant, found: &[Flow], known: Option<Flow>) -> Vec<Flow> {
        let at_known = known.and_then(|known| found.iter().position(|flow| is_same(flow, &known)));
        let mut ranked: Vec<(u8, Option<Instant>, Flow)> = found
            .iter()
            .enumerate()
            .map(|(at, flow)| match self.penalty(flow) {
                _ if at_known == Some(at) => (1, None, *flow),
                Some(penalty) if penalty.until > now => (3, Some(penalty.until), *flow),
                Some(_) if at_known.is_some_and(|known| at < known) => (0, None, *flow),
                _ => (2, None, *flow),
            })
            .collect();
        // A stable sort: equals stay as the resolver had them.
        ranked.sort_by_key(|(rank, until, _)| (*rank, *until));
        ranked.into_iter().map(|(_, _, flow)| flow).collect()
    }

    /// It is dead: not the first choice for a while, which grows each time and is `at_least` that long.
    pub fn punish(&mut self, now: Instant, flow: &Flow, at_least: Option<Duration>) {
        let failures = self.penalty(flow).map_or(0, |penalty| penalty.failures);
        let pause = FIRST_PENALTY.saturating_mul(1 << failures.min(8)).max(at_least.unwrap_or_default());
        let penalty = Penalty { until: now + pause.min(LONGEST_PENALTY), failures: failures.saturating_add(1) };
        self.failed.insert((flow.transport, flow.remote), penalty);
        if self.failed.len() > MAX_REMEMBERED
            && let Some(oldest) = self.failed.iter().min_by_key(|(_, penalty)| penalty.until).map(|(key, _)| *key)
        {
            self.failed.remove(&oldest);
        }
    }

    /// It answers.
    pub fn forgive(&mut self, flow: &Flow) {
        self.failed.remove(&(flow.transport, flow.remote));
    }

    /// When one of those that the resolver put before `known` may be tried again.
    pub fn better_at(&self, found: &[Flow], known: &Flow) -> Option<Instant> {
        let better = found.iter().take_while(|flow| !is_same(flow, known));
        better.filter_map(|flow| self.penalty(flow)).map(|penalty| penalty.until).min()
    }

    fn penalty(&self, flow: &Flow) -> Option<Penalty> {
        self.failed.get(&(flow.transport, flow.remote)).copied()
    }
}

pub(super) fn is_same(one: &Flow, other: &Flow) -> bool {
    (one.transport, one.remote) == (other.transport, other.remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way; all times are relative to it"
    )]
    fn clock() -> Instant {
        Instant::now()
    }

    fn flow(host: u8) -> Flow {
        let local = ([192, 0, 2, 1], 5060).into();
        Flow { transport: Transport::Udp, local, remote: ([192, 0, 2, host], 5060).into() }
    }

    fn order(targets: &Targets, now: Instant, known: Option<u8>) -> Vec<u8> {
        let found = [flow(10), flow(11), flow(12)];
        let ordered = targets.order(now, &found, known.map(flow));
        ordered.iter().map(|f| (10..13).find(|host| flow(*host) == *f).unwrap()).collect()
    }

    #[test]
    fn the_dead_come_last_and_the_one_in_use_first() {
        let (mut targets, now) = (Targets::default(), clock());
        assert_eq!(order(&targets, now, None), [10, 11, 12]);
        assert_eq!(order(&targets, now, Some(11)), [11, 10, 12], "equals may be shuffled");
        targets.punish(now, &flow(10), None);
        assert_eq!(order(&targets, now, None), [11, 12, 10]);
        targets.punish(now + Duration::from_secs(1), &flow(11), None);
        assert_eq!(order(&targets, now + Duration::from_secs(1), None), [12, 10, 11]);
    }

    #[test]
    fn a_better_one_is_tried_again_when_its_penalty_is_over() {
        let (mut targets, now) = (Targets::default(), clock());
        targets.punish(now, &flow(10), None);
        targets.punish(now, &flow(12), None);
        assert_eq!(targets.better_at(&[flow(10), flow(11)], &flow(11)), Some(now + FIRST_PENALTY));
        assert_eq!(order(&targets, now + FIRST_PENALTY / 2, Some(11)), [11, 10, 12]);
        assert_eq!(order(&targets, now + FIRST_PENALTY, Some(11)), [10, 11, 12], "12 is no better one");
        targets.forgive(&flow(10));
        assert_eq!(targets.better_at(&[flow(10), flow(11)], &flow(11)), None);
    }

    #[test]
    fn the_penalty_grows_to_ten_minutes() {
        let (mut targets, now) = (Targets::default(), clock());
        let pauses: Vec<u64> = (0..7)
            .map(|_| {
                targets.punish(now, &flow(10), None);
                (targets.better_at(&[flow(10)], &flow(11)).unwrap() - now).as_secs()
            })
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        targets.punish(now, &flow(12), Some(Duration::from_secs(90)));
        assert_eq!(targets.better_at(&[flow(12)], &flow(11)), Some(now + Duration::from_secs(90)));
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (mut targets, now) = (Targets::default(), clock());
        for host in 0..=255 {
            targets.punish(now + Duration::from_millis(u64::from(host)), &flow(host), None);
        }
        assert_eq!(targets.failed.len(), MAX_REMEMBERED);
        assert!(targets.penalty(&flow(255)).is_some());
    }
}
