//! What a source remembers about its fetches: the one under way, failures, counts, the cooldown of unknown kids.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::jose::Skipped;

use super::error::{FetchError, KeysError, UnavailableKind};
use super::flight::{Flight, Landing, take_off};
use super::snapshot::{Snapshot, back_off};
use super::status::Degraded;

/// How long after one fetch for an unknown kid the next one may begin.
const COOLDOWN: Duration = Duration::from_secs(30);

/// Guarded by the source's lock, which is never held across a fetch. Times are the clock's monotonic ones.
#[derive(Debug, Default)]
pub(super) struct State {
    /// How many fetches have begun.
    pub(super) begun: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    flight: Option<Flight<usize>>,
    outage: Option<Outage>,
    kid_fetch_at: Option<Duration>,
    skipped: Vec<Skipped>,
    counts: Vec<Weak<Degraded>>,
}

/// Failures in a row since the last good fetch.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) error: FetchError,
    pub(super) retry_at: Duration,
    failures: u32,
}

impl Outage {
    /// The refusal of a lookup at `now`, or `None` when it is time for another attempt.
    pub(super) fn refusal(&self, now: Duration) -> Option<KeysError> {
        (now < self.retry_at).then(|| self.error.unavailable(self.retry_at.saturating_sub(now)))
    }
}

impl State {
    /// The fetch under way.
    pub(super) fn flight(&self) -> Option<&Flight<usize>> {
        self.flight.as_ref().filter(|flight| flight.is_running())
    }

    /// The failures since the last good fetch.
    pub(super) fn outage(&self) -> Option<&Outage> {
        self.outage.as_ref()
    }

    /// Notes that a fetch begins; gives its number and its two ends.
    pub(super) fn begin(&mut self) -> (u64, Landing<usize>, Flight<usize>) {
        let (landing, flight) = take_off();
        self.begun += 1;
        self.flight = Some(flight.clone());
        (self.begun, landing, flight)
    }

    /// Notes that a fetch for an unknown kid begins at `now`, or refuses it during the cooldown of the last one.
    pub(super) fn spend_cooldown(&mut self, now: Duration) -> Result<(), KeysError> {
        let free_at = self.kid_fetch_at.map_or(now, |at| at + COOLDOWN);
        if now < free_at {
            return Err(KeysError::Unavailable {
                kind: UnavailableKind::Cooldown,
                retry_after: free_at.saturating_sub(now),
            });
        }
        self.kid_fetch_at = Some(now);
        Ok(())
    }

    /// Whether a background fetch should begin at `now`: the first one, a retry, or the refresh of a source in use.
    pub(super) fn is_due(&self, snapshot: Option<&Snapshot>, used: bool, now: Duration) -> bool {
        if self.flight().is_some() {
            return false;
        }
        match (&self.outage, snapshot) {
            (Some(outage), _) => now >= outage.retry_at,
            (None, None) => true,
            (None, Some(snapshot)) => used && snapshot.wants_refresh(now),
        }
    }

    /// Notes a good fetch; gives the keys it left out if they differ from the last time.
    pub(super) fn succeed(&mut self, skipped: Vec<Skipped>) -> Option<Vec<Skipped>> {
        self.flight = None;
        if self.outage.take().is_some() {
            self.each_count(Degraded::fewer);
        }
        self.succeeded += 1;
        if skipped == self.skipped {
            return None;
        }
        self.skipped.clone_from(&skipped);
        Some(skipped)
    }

    /// Notes a failed fetch; `spread` from 0 to 1 shortens the wait before the next one by up to 10 %.
    pub(super) fn fail(&mut self, error: FetchError, now: Duration, spread: f64) {
        self.flight = None;
        self.failed += 1;
        let before = self.outage.as_ref().map_or(0, |outage| outage.failures);
        let failures = before.saturating_add(1);
        let outage = Outage {
            error,
            retry_at: now + back_off(failures, spread),
            failures,
        };
        if self.outage.replace(outage).is_none() {
            self.each_count(Degraded::more);
        }
    }

    /// From now on the source counts in `count` while it is degraded. Two sets of sources may share one for a while.
    pub(super) fn count_in(&mut self, count: &Arc<Degraded>) {
        self.counts.retain(|known| known.strong_count() > 0);
        self.counts.push(Arc::downgrade(count));
        if self.outage.is_some() {
            count.more();
        }
    }

    fn each_count(&self, change: impl Fn(&Degraded)) {
        for count in self.counts.iter().filter_map(Weak::upgrade) {
            change(&count);
        }
    }
}
