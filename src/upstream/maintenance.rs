//! Keeps sources warm: the first fetch, refreshes of sources in use, and retries, without waiting for a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::source::KeySource;

/// How many background fetches run at a time.
const MOST_AT_ONCE: usize = 8;

/// How often the sources are looked at.
const ROUND: Duration = Duration::from_secs(1);

/// The background task of a set of sources; dropping it stops the task.
#[derive(Debug)]
pub struct Maintenance(JoinHandle<()>);

impl Maintenance {
    pub(super) fn of(sources: Vec<Arc<KeySource>>) -> Self {
        Self(tokio::spawn(run(sources)))
    }

    /// Stops; a fetch already under way still ends, within its timeout.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(sources: Vec<Arc<KeySource>>) {
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        for source in &sources {
            // Waiting for a place before looking keeps at most eight fetches under way.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            if let Some(flight) = source.refresh_if_due() {
                tokio::spawn(async move {
                    // The source has noted and logged the outcome.
                    let _ = flight.landed().await;
                    drop(place);
                });
            }
        }
    }
}
