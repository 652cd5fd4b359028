//! How a key source is doing, for health checks, `check` and start-up lines.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::error::FetchError;
use super::kept::StateWrites;

/// A source's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Whether there are keys and how old they are.
    pub state: SourceState,
    /// Why the last fetch failed; `None` if it succeeded or none has ended.
    pub last_error: Option<FetchError>,
    /// How long until the next attempt, after a failed one.
    pub retry_in: Option<Duration>,
    /// How many fetches succeeded.
    pub succeeded: u64,
    /// How many fetches failed.
    pub failed: u64,
    /// How often the keys were written to the state directory; `None` where they are not kept.
    pub state_writes: Option<StateWrites>,
}

/// Whether a source has keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// No fetch has ended yet.
    NeverFetched,
    /// The keys count without asking again.
    Fresh {
        /// Time since they were fetched.
        age: Duration,
        /// How many there are.
        keys: usize,
    },
    /// The keys are past their freshness: the source is idle, or `last_error` says why they could not be renewed.
    Stale {
        /// Time since they were fetched.
        age: Duration,
        /// How many there are.
        keys: usize,
    },
    /// There are no keys, or none that may still be used.
    Failed,
}

/// How many of a set of sources are degraded.
///
/// A source becomes degraded when a fetch fails and whole when one succeeds, never by time alone: so counting these
/// two moments, under the source's own lock, is exact.
#[derive(Debug, Default)]
pub struct Degraded(AtomicUsize);

impl Degraded {
    /// Whether no source is degraded.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub(super) fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fewer(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SourceStatus {
    /// Whether no fetch has ended yet; there may be keys of an earlier run.
    pub fn is_untried(&self) -> bool {
        self.succeeded + self.failed == 0
    }

    /// Whether an operator should look: the last fetch failed.
    pub fn is_degraded(&self) -> bool {
        self.last_error.is_some()
    }
}

impl fmt::Display for SourceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            SourceState::NeverFetched => write!(f, "keys not fetched yet")?,
            SourceState::Fresh { age, keys } => {
                write!(f, "{keys} keys, fetched {} s ago", age.as_secs())?;
            }
            SourceState::Stale { age, keys } => {
                write!(f, "{keys} stale keys, fetched {} s ago", age.as_secs())?;
            }
            SourceState::Failed => write!(f, "no keys")?,
        }
        if let Some(error) = &self.last_error {
            write!(f, "; last attempt failed: {error}")?;
        }
        if let Some(retry_in) = self.retry_in {
            write!(f, "; next attempt in {} s", retry_in.as_secs())?;
        }
        Ok(())
    }
}
