//! Refusals that cost a flood nothing: counted, and logged at most once a second for each reason.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::grant::Outcome;
use crate::oauth::Reason;

/// Counts refusals that are decided before a token is even looked at.
#[derive(Debug)]
pub struct Sampled {
    counters: Vec<(Reason, Counter)>,
}

#[derive(Debug, Default)]
struct Counter {
    since_last: AtomicU64,
    /// The second of the last line, plus one, so that zero means never.
    last: AtomicU64,
}

impl Default for Sampled {
    fn default() -> Self {
        let sampled = Reason::ALL.iter().filter(|reason| reason.is_sampled());
        let counters = sampled.map(|reason| (*reason, Counter::default()));
        Self {
            counters: counters.collect(),
        }
    }
}

impl Sampled {
    /// Counts one refusal; writes one audit event a second with the number since the last.
    pub fn count(&self, reason: Reason, request_id: &str, clock: &dyn Clock) {
        let known = self.counters.iter().find(|(known, _)| *known == reason);
        let second = clock.monotonic().as_secs() + 1;
        if let Some(count) = known.and_then(|(_, counter)| counter.count(second)) {
            let (outcome, code) = (Outcome::of_refusal(reason).as_str(), reason.code());
            tracing::info!(target: "audit", outcome, reason = code, request_id, count);
        }
    }
}

impl Counter {
    /// How many there were since the last line, where it is time for one.
    fn count(&self, second: u64) -> Option<u64> {
        self.since_last.fetch_add(1, Ordering::Relaxed);
        let last = self.last.load(Ordering::Relaxed);
        let mine = second > last
            && self
                .last
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        mine.then(|| self.since_last.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many() {
        let counter = Counter::default();
        let lines: Vec<_> = [1, 1, 1, 2, 5].map(|second| counter.count(second)).into();
        assert_eq!(lines, [Some(1), None, None, Some(3), Some(1)]);
    }
}
