//! Who signs next. An RSA signature holds a core for a third of a millisecond and cannot be interrupted, so
//! only as many requests as there are cores stand before the scheduler with one; everything else, health and
//! key documents first of all, passes those that wait here.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Turns to sign, one for each core, given in the order of asking.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self(Semaphore::new(cores))
    }

    /// Does `work` when it is its turn; `None` is never given while the process lives.
    pub(super) async fn run<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let turn = self.0.acquire().await.ok()?;
        // Who holds a turn lets everything else that is ready go first, new requests among it. Without this a
        // free turn would be used at once, so that nobody ever met a taken one, and a turn handed on would be
        // used before the runtime looks for new requests.
        yield_now().await;
        let done = work();
        drop(turn);
        // Behind a signature nothing else is in the processor's caches any more: several are made, then their
        // replies are sent together, which takes 1 to 4 % less for each.
        yield_now().await;
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn as_many_turns_as_cores_and_none_is_lost() {
        let turns = Turns(Semaphore::new(1));
        let mut held = Box::pin(turns.run(|| "done"));
        assert!(held.as_mut().now_or_never().is_none());
        let mut waiting = Box::pin(turns.run(|| ()));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(turns.0.available_permits(), 0);
        drop(waiting);
        assert_eq!(held.await, Some("done"));
        assert_eq!(turns.0.available_permits(), 1);
        // Given up after the turn was had, but before it was used.
        let mut yielding = Box::pin(turns.run(|| ()));
        assert!(yielding.as_mut().now_or_never().is_none());
        assert_eq!(turns.0.available_permits(), 0);
        drop(yielding);
        assert_eq!(turns.0.available_permits(), 1);
    }
}
