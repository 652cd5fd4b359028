//! Tokens that can be used once: who used which is recorded just before a new token is signed.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "without_redis.rs"]
mod redis;
mod uses;

pub use uses::{Rule, Use, Uses};

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::config::problems::Problems;
use crate::oauth::{Reason, Refusal};
use memory::Memory;
use redis::Redis;

/// What became of a request to remember some uses: all of them, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// None had been seen; now all are.
    Recorded,
    /// At least one had been seen.
    Seen,
    /// There is no room for more.
    Full,
    /// The store could not be asked. It may have recorded them all the same.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "the memory can always be asked")
    )]
    Unknown,
}

/// What the audit says of a token that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It was not used before, and cannot be used again.
    Recorded,
    /// The store could not be asked, and the configuration lets it pass.
    StoreFailed,
}

impl Checked {
    /// The word in audit events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::StoreFailed => "store_failed",
        }
    }
}

/// The memory of used tokens.
pub struct Replay {
    store: Store,
    allow_without_store: bool,
    failures: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

enum Store {
    /// And how many uses it may hold.
    Memory(Arc<Memory>, usize),
    Redis(Box<Redis>),
}

impl Replay {
    /// The store that the configuration names; what is wrong with it goes to `problems`. Nothing is connected yet.
    ///
    /// What is remembered in memory goes on from `before` a reload, whatever else changes.
    pub fn new(
        settings: &config::Replay,
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let store = match &settings.store {
            None => {
                let memory = match before.map(|before| &before.store) {
                    Some(Store::Memory(memory, _)) => Arc::clone(memory),
                    _ => Arc::default(),
                };
                Store::Memory(memory, settings.memory_entries)
            }
            Some(url) => match Redis::new(url) {
                Ok(redis) => Store::Redis(Box::new(redis)),
                Err(message) => {
                    problems.error_once("replay.store", message);
                    return None;
                }
            },
        };
        Some(Self {
            store,
            allow_without_store: settings.allow_without_store,
            failures: before.map_or_else(Arc::default, |before| Arc::clone(&before.failures)),
            clock,
        })
    }

    /// Records these uses, all or none; refuses if one of them was recorded before. `None` where there are none.
    pub async fn record(&self, uses: &Uses) -> Result<Option<Checked>, Refusal> {
        if uses.is_empty() {
            return Ok(None);
        }
        let now = self.clock.unix();
        let answer = match &self.store {
            Store::Memory(memory, most) => memory.record(uses, *most, now.as_secs()),
            Store::Redis(redis) => redis.record(uses, now, self.clock.monotonic()).await,
        };
        match answer {
            Answer::Recorded => Ok(Some(Checked::Recorded)),
            Answer::Seen => Err(Refusal::new(
                Reason::Replayed,
                "the token was used before, and can be used once: fetch a fresh one from its issuer",
            )),
            Answer::Full => Err(unavailable(
                "too many used tokens are remembered: try again later",
                "the memory of used tokens is full: raise replay.memory_entries, or accept only tokens with shorter lives",
            )),
            Answer::Unknown => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if self.allow_without_store {
                    return Ok(Some(Checked::StoreFailed));
                }
                Err(unavailable(
                    "it cannot be known whether the token was used before: try again later",
                    "the store of used tokens cannot be asked; the cause is in the log, target `replay`",
                ))
            }
        }
    }

    /// Whether recording waits for somebody else.
    pub fn is_remote(&self) -> bool {
        matches!(self.store, Store::Redis(_))
    }

    /// How many uses the memory holds; with a store there are none.
    pub fn entries(&self) -> usize {
        match &self.store {
            Store::Memory(memory, _) => memory.entries(),
            Store::Redis(_) => 0,
        }
    }

    /// How many requests found the store out of reach.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").finish_non_exhaustive()
    }
}

fn unavailable(words: &str, detail: &str) -> Refusal {
    Refusal::new(Reason::ReplayStoreUnavailable, words)
        .with_detail(detail)
        .retry_after(Duration::from_secs(1))
}
