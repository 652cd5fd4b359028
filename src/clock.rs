//! Time as a value that is passed in, so that every expiry is exact in a test.

use std::fmt;
use std::time::Duration;

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since the Unix epoch: what `exp`, `nbf` and `iat` are compared with.
    fn unix(&self) -> Duration;

    /// Time since some fixed point that never goes back: what caches and back-offs count in.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's monotonic clock"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's wall clock"
    )]
    fn unix(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved: for tests and for `explain --at`.
#[derive(Debug)]
pub struct ManualClock {
    unix: std::sync::atomic::AtomicU64,
    monotonic: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// A clock that shows `unix`, to the millisecond.
    pub fn at(unix: Duration) -> Self {
        Self {
            unix: millis(unix).into(),
            monotonic: 0.into(),
        }
    }

    /// Moves both clocks forward by `by`.
    pub fn advance(&self, by: Duration) {
        let by = millis(by);
        self.unix.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
        self.monotonic
            .fetch_add(by, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix(&self) -> Duration {
        Duration::from_millis(self.unix.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(std::sync::atomic::Ordering::SeqCst))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
