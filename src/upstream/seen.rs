//! Which unknown kids were asked for, and when first: bounded, however many kids a flood invents.

use std::hash::{BuildHasher, RandomState};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// The most kids remembered over all sources; an entry costs about 400 bytes, so a memory per source could be made to cost too much.
const MOST_KIDS: u64 = 8 * 1024;

/// For each unknown kid of one source, how many of the source's fetches had begun when it was first seen.
///
/// Kids are kept as keyed hashes: a caller writes them, and they may be long. All sources share one bounded cache;
/// a kid forgotten too early is merely looked for again, within the limits of its source.
#[derive(Clone, Debug)]
pub(super) struct SeenKids {
    cache: Cache<u64, u64>,
    hasher: RandomState,
    source: usize,
}

impl SeenKids {
    /// An empty memory.
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::builder()
                .max_capacity(MOST_KIDS)
                // The default policy would turn away newcomers during a flood.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            hasher: RandomState::new(),
            source: 0,
        }
    }

    /// The same memory for the kids of the source with this number.
    pub(super) fn of(&self, source: usize) -> Self {
        Self {
            source,
            ..self.clone()
        }
    }

    /// How many fetches had begun when `kid` was first seen, if it is remembered.
    pub(super) fn first_seen(&self, kid: &str) -> Option<u64> {
        self.cache.get(&self.key(kid))
    }

    /// Remembers that `kid` was first seen when `begun` fetches had begun.
    pub(super) fn remember(&self, kid: &str, begun: u64) {
        self.cache.insert(self.key(kid), begun);
    }

    /// Forgets `kids`, which a fetch now has.
    pub(super) fn forget<'a>(&self, kids: impl Iterator<Item = &'a str>) {
        for kid in kids {
            self.cache.invalidate(&self.key(kid));
        }
    }

    fn key(&self, kid: &str) -> u64 {
        self.hasher.hash_one((self.source, kid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_does_not_grow_the_memory() {
        let seen = SeenKids::new().of(1);
        for kid in 0..20_000 {
            seen.remember(&kid.to_string(), kid);
        }
        seen.cache.run_pending_tasks();
        assert_eq!(seen.cache.entry_count(), MOST_KIDS);
        assert_eq!(seen.first_seen("19999"), Some(19_999));
        assert_eq!(seen.of(2).first_seen("19999"), None);
        assert_eq!(seen.first_seen("0"), None);
        seen.forget(["19999"].into_iter());
        assert_eq!(seen.first_seen("19999"), None);
    }
}
