//! Refusals that cost a flood nothing: counted, and logged at most once a second.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::oauth::Refusal;

/// Counts refusals that are decided before a token is even looked at.
#[derive(Debug, Default)]
pub struct Sampled {
    since_last: AtomicU64,
    /// The second of the last line, plus one, so that zero means never.
    last: AtomicU64,
}

impl Sampled {
    /// Counts one refusal; writes one audit event a second with the number since the last.
    pub fn count(&self, refusal: &Refusal, request_id: &str, clock: &dyn Clock) {
        self.since_last.fetch_add(1, Ordering::Relaxed);
        let second = clock.monotonic().as_secs() + 1;
        let last = self.last.load(Ordering::Relaxed);
        let mine = second > last
            && self
                .last
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            tracing::info!(
                target: "audit",
                outcome = "refused",
                reason = refusal.reason.code(),
                request_id,
                count = self.since_last.swap(0, Ordering::Relaxed),
            );
        }
    }
}
