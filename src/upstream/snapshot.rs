//! One good fetch's keys and how long they may be used.

use std::time::Duration;

use crate::jose::KeySet;

/// How long keys are fresh where neither configuration nor response says.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// The bounds of a lifetime taken from a response.
const RESPONSE_LIFETIMES: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(60 * 60));

/// How long last-good keys serve while the upstream is down.
pub(super) const LONGEST_USE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a kid that a fetch lacked is refused without another look.
const REFUSAL_MEMORY: Duration = Duration::from_secs(60);

const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

/// The keys of one fetch; never changed, only replaced. Times are the clock's monotonic ones.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) keys: KeySet,
    /// The number of the fetch that gave them, counted from 1; 0 where an earlier run fetched them.
    pub(super) number: u64,
    /// When this process got them.
    since: Duration,
    /// How old they were then: not zero where an earlier run fetched them.
    age_then: Duration,
    fresh_until: Duration,
    refresh_at: Duration,
}

impl Snapshot {
    /// Keys fetched at `now` that are fresh for `lifetime`; `spread` from -1 to 1 shifts the refresh by up to 10 %.
    pub(super) fn new(
        keys: KeySet,
        number: u64,
        now: Duration,
        lifetime: Duration,
        spread: f64,
    ) -> Self {
        Self {
            keys,
            number,
            since: now,
            age_then: Duration::ZERO,
            fresh_until: now + lifetime,
            refresh_at: now + lifetime.mul_f64(0.8 * (1.0 + 0.1 * spread.clamp(-1.0, 1.0))),
        }
    }

    /// Keys that an earlier run fetched `age` ago: never fresh, so the first lookup that they answer causes a fetch.
    pub(super) fn restored(keys: KeySet, age: Duration, now: Duration) -> Self {
        Self {
            keys,
            number: 0,
            since: now,
            age_then: age,
            fresh_until: now,
            refresh_at: now,
        }
    }

    /// How long ago the keys were fetched.
    pub(super) fn age(&self, now: Duration) -> Duration {
        self.age_then.saturating_add(now.saturating_sub(self.since))
    }

    /// Whether the keys count without asking the upstream again.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now < self.fresh_until
    }

    /// Whether it is time to fetch again in the background.
    pub(super) fn wants_refresh(&self, now: Duration) -> bool {
        now >= self.refresh_at
    }

    /// Whether the keys may still serve while the upstream is down.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        self.age(now) < LONGEST_USE
    }

    /// Whether a kid that was first seen when `after` fetches had begun is refused: a later fetch lacked it, not long ago.
    pub(super) fn refuses_kid_seen(&self, after: u64, now: Duration) -> bool {
        self.number > after && self.age(now) < REFUSAL_MEMORY
    }
}

/// How long fetched keys are fresh: as configured (at least 1 s), else as the response says within bounds, else 10 min.
pub(super) fn lifetime(configured: Option<Duration>, response: Option<Duration>) -> Duration {
    let (shortest, longest) = RESPONSE_LIFETIMES;
    match (configured, response) {
        (Some(configured), _) => configured.max(Duration::from_secs(1)),
        (None, Some(response)) => response.clamp(shortest, longest),
        (None, None) => DEFAULT_LIFETIME,
    }
}

/// How long to wait after the `failures`th failure in a row: 1, 2, 4 .. 60 s, less up to 10 % by `spread` from 0 to 1.
pub(super) fn back_off(failures: u32, spread: f64) -> Duration {
    let doubled = 1_u64 << failures.saturating_sub(1).min(6);
    let longest = Duration::from_secs(doubled).min(LONGEST_BACK_OFF);
    longest.mul_f64(1.0 - 0.1 * spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_keep_their_bounds() {
        let seconds = |configured: Option<u64>, response: Option<u64>| {
            lifetime(
                configured.map(Duration::from_secs),
                response.map(Duration::from_secs),
            )
            .as_secs()
        };
        assert_eq!(seconds(Some(0), Some(300)), 1);
        assert_eq!(seconds(Some(90_000), None), 90_000);
        assert_eq!(seconds(None, Some(0)), 60);
        assert_eq!(seconds(None, Some(300)), 300);
        assert_eq!(seconds(None, Some(u64::MAX)), 3_600);
        assert_eq!(seconds(None, None), 600);
    }

    #[test]
    fn back_off_doubles_up_to_a_minute() {
        let seconds: Vec<_> = (1..=9).map(|n| back_off(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(back_off(1, 1.0), Duration::from_millis(900));
        assert_eq!(back_off(u32::MAX, 0.0), LONGEST_BACK_OFF);
    }
}
