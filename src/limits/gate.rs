//! How many exchanges are worked on at once: from the key at hand to the signed token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::oauth::{Reason, Refusal};

/// How many requests may wait for a permit.
const WAITING: usize = 2048;

/// How long each of them waits at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Permits to verify and sign. Clones share them.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
    patience: Duration,
}

/// The leave to verify and to sign; dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate with this many permits.
    pub fn new(permits: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Arc::new(Semaphore::new(WAITING)),
            refused: Arc::default(),
            patience: PATIENCE,
        }
    }

    /// A permit: at once where one is free, else after a wait of at most a second. The refusal is `overloaded`.
    pub async fn enter(&self) -> Result<Permit, Refusal> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => self.wait().await,
        };
        let permit = permit.map(|permit| Permit { _permit: permit });
        permit.ok_or_else(|| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Refusal::new(
                Reason::Overloaded,
                "too many exchanges are under way: try again",
            )
            .retry_after(Duration::from_secs(1))
        })
    }

    /// How many requests wait for a permit.
    pub fn waiting(&self) -> usize {
        WAITING.saturating_sub(self.waiting.available_permits())
    }

    /// How many requests got none.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let _place = self.waiting.try_acquire().ok()?;
        let permit = Arc::clone(&self.permits).acquire_owned();
        timeout(self.patience, permit).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    type Entering<'a> = Pin<Box<dyn Future<Output = Result<Permit, Refusal>> + 'a>>;

    async fn poll(entering: &mut Entering<'_>) -> Poll<Result<Permit, Refusal>> {
        poll_fn(|context| Poll::Ready(entering.as_mut().poll(context))).await
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let gate = Gate::new(2);
        let held = [gate.enter().await.unwrap(), gate.enter().await.unwrap()];
        let mut waiting: Vec<Entering<'_>> = Vec::new();
        for _ in 0..WAITING {
            let mut entering: Entering<'_> = Box::pin(gate.enter());
            assert!(poll(&mut entering).await.is_pending());
            waiting.push(entering);
        }
        assert_eq!(gate.waiting(), WAITING);
        let refusal = gate.enter().await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert_eq!(refusal.retry_after, Some(PATIENCE));
        assert_eq!(gate.refused(), 1);
        drop(held);
        for entering in &mut waiting[..2] {
            assert!(poll(entering).await.is_ready(), "first come, first served");
        }
        assert_eq!(gate.waiting(), WAITING - 2);
        drop(waiting);
        assert_eq!(gate.waiting(), 0);
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waited_too_long_is_refused() {
        let gate = Gate {
            patience: Duration::from_millis(1),
            ..Gate::new(1)
        };
        let held = gate.enter().await.unwrap();
        let refusal = gate.enter().await.unwrap_err();
        assert_eq!(refusal.reason, Reason::Overloaded);
        assert_eq!(gate.waiting(), 0);
        drop(held);
        assert!(gate.enter().await.is_ok());
    }
}
