//! Who signs next. An RSA signature holds a core for a third of a millisecond and cannot be interrupted, so
//! only as many requests as there are cores stand before the scheduler with one; everything else, health and
//! key documents first of all, passes those that wait here.

use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// Turns to sign, one for each core, given in the order of asking.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self(Semaphore::new(cores))
    }

    /// Waits for a turn; `None` is never given while the process lives.
    pub(super) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        let Ok(turn) = self.0.try_acquire() else {
            return self.0.acquire().await.ok();
        };
        // A turn that was free would be used at once, and others that are ready would never meet a taken one.
        yield_now().await;
        Some(turn)
    }
}
