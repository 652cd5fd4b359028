//! Used tokens in the memory of this process.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Answer, Uses};

/// How many that are over are forgotten by one request at most, so that none has to clean up for all.
const FORGOTTEN_AT_ONCE: usize = 256;

/// A bounded set. When it is full, it says so: a use that was forgotten could be repeated.
#[derive(Default)]
pub(super) struct Memory(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    keys: HashSet<[u8; 16]>,
    /// By the second in which they can be forgotten.
    ends: BTreeMap<u64, Vec<[u8; 16]>>,
}

impl Memory {
    /// Records all uses or none, where there are then at most `most`; `now` is seconds since the Unix epoch.
    pub(super) fn record(&self, uses: &Uses, most: usize, now: u64) -> Answer {
        let mut seen = self.lock();
        seen.forget(now);
        if uses.iter().any(|one| seen.keys.contains(&one.key)) {
            return Answer::Seen;
        }
        if uses.iter().len() > most.saturating_sub(seen.keys.len()) {
            return Answer::Full;
        }
        for one in uses.iter() {
            seen.keys.insert(one.key);
            seen.ends.entry(one.until).or_default().push(one.key);
        }
        Answer::Recorded
    }

    pub(super) fn entries(&self) -> usize {
        self.lock().keys.len()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing in here panics half way; a use that was recorded must count in any case.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget(&mut self, now: u64) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some(mut first) = self.ends.first_entry() else {
                break;
            };
            if *first.key() >= now {
                break;
            }
            match first.get_mut().pop() {
                Some(key) => {
                    self.keys.remove(&key);
                }
                None => {
                    first.remove();
                }
            }
        }
        if self.keys.capacity() > 4 * self.keys.len() + 4096 {
            self.keys.shrink_to(2 * self.keys.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Use;
    use super::*;

    fn uses(numbers: &[u8], until: u64) -> Uses {
        let one = |number: &u8| Use {
            key: [*number; 16],
            until,
        };
        Uses(numbers.iter().map(one).collect())
    }

    #[test]
    fn all_are_recorded_or_none() {
        let memory = Memory::default();
        assert_eq!(memory.record(&uses(&[1, 2], 100), 10, 50), Answer::Recorded);
        assert_eq!(memory.record(&uses(&[2, 3], 100), 10, 50), Answer::Seen);
        assert_eq!(memory.record(&uses(&[3], 100), 10, 50), Answer::Recorded);
        assert_eq!(memory.record(&uses(&[1], 100), 10, 100), Answer::Seen);
        assert_eq!(memory.record(&uses(&[1], 200), 10, 101), Answer::Recorded);
        assert_eq!(memory.entries(), 1);
    }

    #[test]
    fn a_full_memory_forgets_only_what_is_over() {
        let memory = Memory::default();
        assert_eq!(memory.record(&uses(&[1], 100), 3, 0), Answer::Recorded);
        assert_eq!(memory.record(&uses(&[2, 3], 200), 3, 0), Answer::Recorded);
        assert_eq!(memory.record(&uses(&[4], 100), 3, 0), Answer::Full);
        assert_eq!(memory.record(&uses(&[1], 100), 3, 0), Answer::Seen);
        assert_eq!(memory.record(&uses(&[4, 5], 300), 3, 101), Answer::Full);
        assert_eq!(memory.record(&uses(&[4], 300), 3, 101), Answer::Recorded);
        assert_eq!(memory.record(&uses(&[2], 300), 3, 101), Answer::Seen);
        assert_eq!(memory.entries(), 3);
    }

    #[test]
    fn many_that_are_over_go_little_by_little() {
        let memory = Memory::default();
        for number in 0..10_000_u64 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            let one = Use {
                key,
                until: number % 7,
            };
            assert_eq!(memory.record(&Uses(vec![one]), 20_000, 0), Answer::Recorded);
        }
        for _ in 0..60 {
            let _ = memory.record(&uses(&[255], 2000), 20_000, 1000);
        }
        let seen = memory.lock();
        assert_eq!((seen.keys.len(), seen.ends.len()), (1, 1));
        assert!(seen.keys.capacity() < 20_000);
    }
}
