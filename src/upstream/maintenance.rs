//! Keeps sources warm: the first fetch, refreshes of sources in use, and retries, without waiting for a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::source::KeySource;
use super::store::Store;

/// How many background fetches run at a time.
const MOST_AT_ONCE: usize = 8;

/// How often the sources are looked at.
const ROUND: Duration = Duration::from_secs(1);

/// How often useless files are removed from the state directory.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The background task of a set of sources; dropping it stops the task.
#[derive(Debug)]
pub struct Maintenance(JoinHandle<()>);

impl Maintenance {
    pub(super) fn of(sources: Vec<Arc<KeySource>>, store: Option<Arc<Store>>) -> Self {
        Self(tokio::spawn(async move {
            tokio::join!(run(&sources), sweep(&sources, store));
        }))
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

/// Keeps the state directory from filling with the keys of sources that are gone.
async fn sweep(sources: &[Arc<KeySource>], store: Option<Arc<Store>>) {
    let Some(store) = store else {
        return;
    };
    let mut rounds = tokio::time::interval(SWEEP);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let configured = sources.iter().filter_map(|source| source.file());
        store.sweep(configured.map(str::to_owned).collect());
    }
}

async fn run(sources: &[Arc<KeySource>]) {
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        for source in sources {
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
