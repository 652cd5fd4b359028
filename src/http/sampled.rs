//! Refusals that cost their sender nothing: some of each reason are logged in full, the rest is counted and summed
//! up once a second, so that a flood of them does not fill the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::grant::{Event, Outcome};
use crate::oauth::Reason;

/// How many refusals for one reason are logged in full each second, however long a flood lasts.
const EACH_SECOND: u32 = 10;

/// How many are logged in full at once where few came before: a build with many jobs may be refused as a whole.
const BURST: u32 = 200;

/// How long refusals are counted before they are summed up.
const ROUND: Duration = Duration::from_secs(1);

/// Decides which cheap refusals are logged in full, and counts the others.
#[derive(Debug)]
pub struct Sampled {
    tallies: Vec<(Reason, Mutex<Tally>)>,
    /// Whether a summary is on its way.
    awaited: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    /// The last second in which one came.
    second: u64,
    /// How much of the burst is used up.
    spent: u32,
    /// How many were only counted since the last summary.
    counted: u64,
}

impl Default for Sampled {
    fn default() -> Self {
        let reasons = Reason::ALL.iter();
        Self {
            tallies: reasons.map(|reason| (*reason, Mutex::default())).collect(),
            awaited: AtomicBool::new(false),
        }
    }
}

impl Sampled {
    /// Whether a refusal for `reason` is to be logged in full; else it was counted, and a summary will follow.
    pub fn admits(self: &Arc<Self>, reason: Reason, clock: &dyn Clock) -> bool {
        let Some((_, tally)) = self.tallies.iter().find(|(known, _)| *known == reason) else {
            return true;
        };
        let second = clock.monotonic().as_secs();
        let admitted = tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admits(second, burst(reason));
        if !admitted {
            self.await_summary();
        }
        admitted
    }

    /// Sees to it that what was counted is written, also if nothing more comes.
    fn await_summary(self: &Arc<Self>) {
        if self.awaited.load(Ordering::Relaxed) || self.awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        // Without a runtime, what was counted is written when this is dropped.
        if let Ok(runtime) = Handle::try_current() {
            let this = Arc::clone(self);
            runtime.spawn(async move {
                sleep(ROUND).await;
                this.sum_up();
            });
        }
    }

    /// Writes one event for each reason with what was only counted since the last.
    pub fn sum_up(&self) {
        // First, so that whatever is counted from now on has a summary of its own.
        self.awaited.store(false, Ordering::Release);
        for (reason, tally) in &self.tallies {
            let count =
                std::mem::take(&mut tally.lock().unwrap_or_else(PoisonError::into_inner).counted);
            if count > 0 {
                let (outcome, reason) = (Outcome::of_refusal(*reason).as_str(), reason.code());
                tracing::info!(name: Event::SAMPLED, target: "audit", outcome, reason, count);
            }
        }
    }
}

impl Drop for Sampled {
    fn drop(&mut self) {
        self.sum_up();
    }
}

impl Tally {
    /// Whether one more in this second is logged in full.
    fn admits(&mut self, second: u64, burst: u32) -> bool {
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        self.second = second;
        self.spent = self
            .spent
            .saturating_sub(passed.saturating_mul(EACH_SECOND));
        let admitted = self.spent < burst;
        if admitted {
            self.spent += 1;
        } else {
            self.counted += 1;
        }
        admitted
    }
}

/// Of what passes a limit many always come.
fn burst(reason: Reason) -> u32 {
    if reason.is_limit() {
        EACH_SECOND
    } else {
        BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_few_and_the_rest_is_counted() {
        let mut tally = Tally::default();
        for (second, sent, in_full, counted) in [
            (0, 25, 20, 5),
            (1, 5, 5, 5),
            (2, 16, 15, 6),
            (3, 12, 10, 8),
            (90, 21, 20, 9),
        ] {
            let admitted = (0..sent).filter(|_| tally.admits(second, 20)).count();
            assert_eq!((admitted, tally.counted), (in_full, counted), "{second}");
        }
    }
}
