//! The connections that are open: how many may be, which one goes first, how they end.
//!
//! Whoever waits for its client may be closed for another: else clients that begin requests and do not go on
//! could take all the places. The one that has waited for the longest time goes first, so a new one has its time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::activity::Activity;
use super::counts::{Closed, Counts};
use super::shared::Shared;
use super::{Drained, Limits};

/// How often a new connection that waits for a place looks for one that has begun to wait.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long tasks that were cut off may take to notice it.
const ABORT: Duration = Duration::from_secs(1);

/// The open connections. The accept loop owns it, so it needs no lock.
pub(super) struct Room {
    limits: Limits,
    shared: Arc<Shared>,
    epoch: Instant,
    tasks: JoinSet<()>,
    activities: HashMap<Id, Arc<Activity>>,
    /// Connections that waited for their client at the last scan, the longest wait first. One that has not moved
    /// since is still before every connection that is not in here.
    waiting: VecDeque<(u64, Id)>,
}

impl Room {
    pub(super) fn new(limits: Limits, counts: Arc<Counts>) -> Self {
        Self {
            shared: Arc::new(Shared::new(counts, &limits)),
            limits,
            epoch: Instant::now(),
            tasks: JoinSet::new(),
            activities: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Spawns what `run` makes of the new connection's activity.
    pub(super) fn admit<F>(&mut self, run: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let activity = Arc::new(Activity::new(
            self.epoch,
            &self.limits,
            Arc::clone(&self.shared),
        ));
        let task = self.tasks.spawn(run(Arc::clone(&activity)));
        self.activities.insert(task.id(), activity);
        self.shared.counts.set_open(self.activities.len());
    }

    /// Waits for a connection to end and forgets it; never returns while there are none. Safe to cancel.
    pub(super) async fn reap(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits until one more connection may be admitted, and closes waiting ones to get there.
    pub(super) async fn wait_for_place(&mut self) {
        loop {
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.forget(ended);
            }
            if self.tasks.len() < self.limits.max_connections {
                return;
            }
            self.stop_longest_waiting(Closed::Limit);
            tokio::select! {
                () = self.reap() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Closes the connection that has waited for its client for the longest time, if any does, and counts `why`.
    pub(super) fn stop_longest_waiting(&mut self, why: Closed) {
        if let Some(activity) = self.next_waiting().or_else(|| self.scan()) {
            activity.evict();
            self.shared.counts.count(why);
        }
    }

    /// Makes the next reply of every connection its last one.
    pub(super) fn leave(&self) {
        self.shared.leave();
        self.activities
            .values()
            .for_each(|activity| activity.wake());
    }

    /// Ends every connection: idle ones now, busy ones behind their reply or when the time is over.
    pub(super) async fn drain(mut self) -> Drained {
        for activity in self.activities.values() {
            activity.drain();
        }
        let _ = timeout(self.limits.drain, self.empty()).await;
        let in_flight = |activity: &Arc<Activity>| activity.in_flight();
        let abandoned = self.activities.values().map(in_flight).sum();
        self.tasks.abort_all();
        // A handler that never yields cannot be ended, and must not keep the process from exiting.
        let _ = timeout(ABORT, self.empty()).await;
        Drained { abandoned }
    }

    async fn empty(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a handler panicked; its connection is closed");
                }
                error.id()
            }
        };
        self.activities.remove(&id);
        self.shared.counts.set_open(self.activities.len());
    }

    /// Scans all connections; one scan serves many calls of `next_waiting`.
    fn scan(&mut self) -> Option<Arc<Activity>> {
        let waits = |(id, activity): (&Id, &Arc<Activity>)| Some((activity.waits_since()?, *id));
        let mut found: Vec<_> = self.activities.iter().filter_map(waits).collect();
        found.sort_unstable_by_key(|(since, _)| *since);
        self.waiting = found.into();
        self.next_waiting()
    }

    fn next_waiting(&mut self) -> Option<Arc<Activity>> {
        while let Some((since, id)) = self.waiting.pop_front() {
            let unmoved = |activity: &&Arc<Activity>| {
                activity.waits_since() == Some(since) && !activity.is_stopping()
            };
            if let Some(activity) = self.activities.get(&id).filter(unmoved) {
                return Some(Arc::clone(activity));
            }
        }
        None
    }
}
