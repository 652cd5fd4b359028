//! How often each caller may ask: the generic cell rate algorithm, in bounded memory.
//!
//! Of a caller one moment is kept: the one at which its burst is whole again. Once that is past, the caller is as
//! good as new, so forgetting it gives nobody anything. Nobody is forgotten before: a flood of fresh addresses cannot
//! wash out one that is limited. Where the map is full of such, all further callers share one more rate.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many callers are told apart. Each is kept for at most two seconds, the time that a burst takes to come back.
const MOST_CALLERS: usize = 100_000;

/// How often callers are looked through for those that can be forgotten.
const SWEEP: Duration = Duration::from_millis(500);

/// The seconds of the rate that may come at once.
const BURST: u32 = 2;

/// A rate for each of many callers.
pub struct Rate<K> {
    /// Between two requests of a caller whose burst is used up.
    interval: Duration,
    /// How far ahead of the rate a caller may be.
    tolerance: Duration,
    most: usize,
    callers: Mutex<Callers<K>>,
}

struct Callers<K> {
    whole_at: HashMap<K, Duration>,
    /// For those that find no place.
    others: Duration,
    next_sweep: Duration,
}

impl<K: Eq + Hash> Rate<K> {
    /// So many requests a second, at least one, and twice as many at once.
    pub fn new(per_second: u32) -> Self {
        Self::for_callers(per_second, MOST_CALLERS)
    }

    fn for_callers(per_second: u32, most: usize) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            tolerance: interval * (per_second.max(1).saturating_mul(BURST) - 1),
            most,
            callers: Mutex::new(Callers {
                whole_at: HashMap::new(),
                others: Duration::ZERO,
                next_sweep: Duration::ZERO,
            }),
        }
    }

    /// Takes one request of `caller` at the moment `now` of a clock that never goes back; `Err` says when to try again.
    pub fn take(&self, caller: K, now: Duration) -> Result<(), Duration> {
        // The map is sound after each line, so a panic elsewhere does not spoil it.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.sweep(now);
        let has_place =
            callers.whole_at.len() < self.most || callers.whole_at.contains_key(&caller);
        let whole_at = if has_place {
            callers.whole_at.entry(caller).or_default()
        } else {
            &mut callers.others
        };
        let ahead = whole_at.saturating_sub(now);
        if ahead > self.tolerance {
            return Err(ahead.saturating_sub(self.tolerance));
        }
        *whole_at = now + ahead + self.interval;
        Ok(())
    }
}

impl<K: Eq + Hash> Callers<K> {
    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        // Memory comes back after a flood.
        if self.whole_at.capacity() > 4 * self.whole_at.len() + 1024 {
            self.whole_at.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_of_twice_the_rate_and_then_the_rate() {
        let rate = Rate::new(10);
        for _ in 0..20 {
            assert_eq!(rate.take("a", at(0)), Ok(()));
        }
        assert_eq!(rate.take("a", at(0)), Err(at(100)));
        assert_eq!(rate.take("a", at(60)), Err(at(40)));
        assert_eq!(rate.take("b", at(60)), Ok(()));
        assert_eq!(rate.take("a", at(100)), Ok(()));
        assert_eq!(rate.take("a", at(100)), Err(at(100)));
        for _ in 0..20 {
            assert_eq!(rate.take("a", at(2100)), Ok(()));
        }
        assert_eq!(rate.take("a", at(2100)), Err(at(100)));
    }

    #[test]
    fn a_flood_of_callers_frees_nobody_and_is_forgotten() {
        let rate = Rate::for_callers(1, 100);
        for _ in 0..2 {
            assert_eq!(rate.take(0, at(0)), Ok(()));
        }
        let passed = (1..10_000).filter(|caller| rate.take(*caller, at(1)).is_ok());
        // 99 have places of their own, all others one burst together.
        assert_eq!(passed.count(), 99 + 2);
        assert_eq!(
            rate.take(0, at(900)),
            Err(at(100)),
            "the limited one is still limited"
        );
        assert_eq!(rate.take(1, at(1)), Ok(()), "who has a place keeps it");
        let held = || rate.callers.lock().unwrap().whole_at.len();
        assert_eq!(held(), 100);
        assert_eq!(rate.take(20_000, at(4000)), Ok(()));
        assert_eq!(held(), 1);
    }
}
