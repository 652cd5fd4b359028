//! One key source: finds a token's key in the last good keys, and fetches when that is called for.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::jose::{Algorithm, CandidateKeys, Candidates};
use crate::oauth::redact;

use super::error::{FetchError, KeysError, UnavailableKind};
use super::fetch::{Fetched, Fetcher};
use super::flight::{Flight, Landing};
use super::kept::{Kept, Restored};
use super::seen::SeenKids;
use super::snapshot::{Snapshot, lifetime};
use super::state::State;
use super::status::{Degraded, SourceState, SourceStatus};
use super::terms::Terms;

/// How many requests may wait for one source's fetch.
const MOST_WAITING: usize = 64;

/// How often one lookup may wait: a fetch that began before the kid was seen proves nothing, so a second may follow.
const MOST_WAITS: usize = 3;

/// The keys of one upstream, shared by every connector that reads them from the same place.
pub struct KeySource {
    clock: Arc<dyn Clock>,
    fetcher: Fetcher,
    terms: Mutex<Terms>,
    snapshot: ArcSwapOption<Snapshot>,
    used: AtomicBool,
    /// Whether a fetch should begin as soon as none is under way.
    wanted: AtomicBool,
    waiting: Semaphore,
    seen: SeenKids,
    kept: Option<Kept>,
    state: Mutex<State>,
}

/// What a lookup does next.
enum Step {
    Answer(Result<CandidateKeys, KeysError>),
    Wait(Flight<usize>),
}

/// A lookup that the fast path could not answer.
struct Lookup<'a> {
    kid: Option<&'a str>,
    algorithm: Algorithm,
    /// How many fetches had begun when the lookup began.
    began: Option<u64>,
    /// Whether a good fetch has ended since the lookup began: what it gave counts, however short its freshness.
    renewed: bool,
}

impl KeySource {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        fetcher: Fetcher,
        seen: SeenKids,
        kept: Option<Kept>,
    ) -> Self {
        Self {
            clock,
            fetcher,
            terms: Mutex::default(),
            snapshot: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            waiting: Semaphore::new(MOST_WAITING),
            seen,
            kept,
            state: Mutex::default(),
        }
    }

    /// From now on the source counts in `count` while it is degraded.
    pub(super) fn count_in(&self, count: &Arc<Degraded>) {
        lock(&self.state).count_in(count);
    }

    /// The digest by which the file of its kept keys is named, where they are kept.
    pub(super) fn file(&self) -> Option<&str> {
        self.kept.as_ref().map(Kept::source)
    }

    /// Adds a connector; of several, the shortest `max_age` and the longest `timeout` count.
    pub(super) fn serve(&self, connector: &str, max_age: Option<Duration>, timeout: Duration) {
        lock(&self.terms).add(connector, max_age, timeout);
    }

    /// From now on these connectors are served, after a reload. Cached keys stay; where they may be fresh for another
    /// time now, or where asking again costs nobody anything, the upkeep fetches soon.
    pub(super) fn serve_on(&self, terms: Terms) {
        let mut own = lock(&self.terms);
        if own.max_age != terms.max_age || self.fetcher.is_file() {
            self.wanted.store(true, Ordering::Relaxed);
        }
        *own = terms;
    }

    /// The connectors that read their keys here.
    pub fn connectors(&self) -> Vec<String> {
        lock(&self.terms).connectors.clone()
    }

    /// Where the keys come from: the path of a file, or a URL without its query.
    pub fn location(&self) -> String {
        self.fetcher.location()
    }

    /// The keys to try on a token with this `kid` and `algorithm`.
    ///
    /// Answers at once while the keys are fresh and the kid is known; else waits for a fetch where one is called for.
    pub async fn find(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<CandidateKeys, KeysError> {
        if let Some(answer) = self.find_known(kid, algorithm) {
            return answer;
        }
        if self.kept.as_ref().is_some_and(Kept::is_untried) {
            let _place = self.waiting.try_acquire().map_err(|_| busy())?;
            self.restore().await;
            if let Some(answer) = self.find_known(kid, algorithm) {
                return answer;
            }
        }
        let mut lookup = Lookup {
            kid,
            algorithm,
            began: None,
            renewed: false,
        };
        for _ in 0..=MOST_WAITS {
            let flight = match self.step(&mut lookup) {
                Step::Answer(answer) => return answer,
                Step::Wait(flight) => flight,
            };
            let Ok(_place) = self.waiting.try_acquire() else {
                return Err(busy());
            };
            lookup.renewed |= flight.landed().await.is_ok();
        }
        Err(busy())
    }

    /// Fetches now, or joins the fetch under way; gives the number of usable keys.
    pub async fn fetch_now(self: &Arc<Self>) -> Result<usize, FetchError> {
        let flight = {
            let mut state = lock(&self.state);
            match state.flight() {
                Some(flight) => flight.clone(),
                None => self.begin(&mut state),
            }
        };
        flight.landed().await
    }

    /// How the source is doing now.
    pub fn status(&self) -> SourceStatus {
        let now = self.clock.monotonic();
        let state = lock(&self.state);
        let snapshot = self.snapshot.load_full();
        let outage = state.outage();
        let source_state = match snapshot {
            Some(snapshot) if outage.is_none() || snapshot.is_usable(now) => {
                let age = snapshot.age(now);
                let keys = snapshot.keys.len();
                if snapshot.is_fresh(now) {
                    SourceState::Fresh { age, keys }
                } else {
                    SourceState::Stale { age, keys }
                }
            }
            None if outage.is_none() => SourceState::NeverFetched,
            _ => SourceState::Failed,
        };
        SourceStatus {
            state: source_state,
            last_error: outage.map(|outage| outage.error.clone()),
            retry_in: outage.map(|outage| outage.retry_at.saturating_sub(now)),
            succeeded: state.succeeded,
            failed: state.failed,
            state_writes: self.kept.as_ref().map(Kept::writes),
        }
    }

    /// Begins the first fetch, a retry or a refresh if it is time for one, or the fetch that a reload wants.
    pub(super) fn refresh_if_due(self: &Arc<Self>) -> Option<Flight<usize>> {
        let mut state = lock(&self.state);
        if self.wanted.load(Ordering::Relaxed) && state.flight().is_none() {
            return Some(self.begin(&mut state));
        }
        self.begin_if_due(&mut state)
    }

    fn begin_if_due(self: &Arc<Self>, state: &mut State) -> Option<Flight<usize>> {
        let now = self.clock.monotonic();
        let used = self.used.load(Ordering::Relaxed);
        let due = state.is_due(self.snapshot.load().as_deref(), used, now);
        due.then(|| self.begin(state))
    }

    /// The hot path: a known kid waits for no lock and allocates nothing.
    ///
    /// Keys past their freshness still answer for the kids that they have, while a fetch begins behind it.
    fn find_known(
        self: &Arc<Self>,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<Result<CandidateKeys, KeysError>> {
        let snapshot = self.snapshot.load();
        let snapshot = snapshot.as_ref()?;
        let now = self.clock.monotonic();
        if !snapshot.is_usable(now) {
            return None;
        }
        let answer = answer(snapshot, kid, algorithm)?;
        if answer.is_err() && !snapshot.is_fresh(now) {
            return None;
        }
        self.mark_used();
        // Who holds the lock meanwhile looks after the refresh, or the next lookup does.
        if snapshot.wants_refresh(now)
            && let Ok(mut state) = self.state.try_lock()
        {
            self.begin_if_due(&mut state);
        }
        Some(answer)
    }

    /// Decides under the lock, where no fetch can begin or end meanwhile.
    fn step(self: &Arc<Self>, lookup: &mut Lookup<'_>) -> Step {
        let now = self.clock.monotonic();
        let mut state = lock(&self.state);
        let began = *lookup.began.get_or_insert(state.begun);
        let snapshot = self.snapshot.load_full();
        let snapshot = snapshot.filter(|snapshot| snapshot.is_usable(now));
        let fresh = lookup.renewed || snapshot.as_ref().is_some_and(|it| it.is_fresh(now));
        if let Some(snapshot) = snapshot
            && (fresh || state.outage().is_some())
        {
            if let Some(answer) = answer(&snapshot, lookup.kid, lookup.algorithm) {
                self.mark_used();
                self.begin_if_due(&mut state);
                return Step::Answer(answer);
            }
            if let Some(kid) = lookup.kid
                && self.refuses(kid, began, &snapshot, now)
            {
                return Step::Answer(Err(KeysError::Unknown));
            }
        }
        if let Some(flight) = state.flight() {
            return Step::Wait(flight.clone());
        }
        let refusal = match state.outage() {
            Some(outage) => outage.refusal(now),
            // The keys are fresh, so it is the kid that calls for a fetch.
            None if fresh => state.spend_cooldown(now).err(),
            None => None,
        };
        match refusal {
            Some(refusal) => Step::Answer(Err(refusal)),
            None => Step::Wait(self.begin(&mut state)),
        }
    }

    /// Whether a fetch begun after the unknown `kid` was first seen lacked it, not long ago.
    ///
    /// `began` counts the fetches begun before this lookup; the kid is noted with it if it was not seen before.
    fn refuses(&self, kid: &str, began: u64, snapshot: &Snapshot, now: Duration) -> bool {
        let first_seen = match self.seen.first_seen(kid) {
            Some(first_seen) if snapshot.number <= first_seen => return false,
            Some(first_seen) if snapshot.refuses_kid_seen(first_seen, now) => return true,
            // Never seen, or refused so long ago that it deserves another look.
            _ => began,
        };
        self.seen.remember(kid, first_seen);
        snapshot.refuses_kid_seen(first_seen, now)
    }

    /// Starts a fetch in a task of its own, so that no cancelled request cancels it.
    fn begin(self: &Arc<Self>, state: &mut State) -> Flight<usize> {
        let (number, landing, flight) = state.begin();
        self.used.store(false, Ordering::Relaxed);
        self.wanted.store(false, Ordering::Relaxed);
        let source = Arc::clone(self);
        tokio::spawn(async move {
            source.restore().await;
            let limit = lock(&source.terms).timeout;
            let fetched = source.fetcher.fetch(limit).await;
            source.end(number, landing, fetched);
        });
        flight
    }

    /// Takes the keys of an earlier run, if there are any and this was not done before; never over fetched ones.
    async fn restore(&self) {
        let Some(kept) = &self.kept else {
            return;
        };
        let install = |restored: Restored| {
            let now = self.clock.monotonic();
            let (keys, age) = (restored.keys.len(), restored.age.as_secs());
            let snapshot = Snapshot::restored(restored.keys, restored.age, now);
            // A fetch that began before the folder could be read may have ended meanwhile.
            let _state = lock(&self.state);
            if self.snapshot.load().is_some() {
                return;
            }
            self.snapshot.store(Some(Arc::new(snapshot)));
            tracing::info!(target: "upstream", connector = self.name(), keys, age, "keys of an earlier run are used until the first fetch");
        };
        kept.restore(install).await;
    }

    fn end(&self, number: u64, landing: Landing<usize>, fetched: Result<Fetched, FetchError>) {
        let now = self.clock.monotonic();
        let outcome = match fetched {
            Ok(fetched) => {
                let keys = fetched.keys.len();
                self.take(number, now, fetched);
                Ok(keys)
            }
            Err(error) => {
                lock(&self.state).fail(error.clone(), now, rand::random());
                tracing::warn!(
                    target: "upstream",
                    connector = self.name(),
                    cause = %error,
                    "keys could not be fetched"
                );
                Err(error)
            }
        };
        landing.land(outcome);
    }

    /// Makes freshly fetched keys the ones in force.
    fn take(&self, number: u64, now: Duration, fetched: Fetched) {
        let configured = lock(&self.terms).max_age;
        let lifetime = lifetime(configured, fetched.max_age);
        let spread = rand::random::<f64>() * 2.0 - 1.0;
        let keys = fetched.keys.len();
        if let Some(kept) = &self.kept {
            kept.keep(fetched.document);
        }
        let snapshot = Arc::new(Snapshot::new(fetched.keys, number, now, lifetime, spread));
        self.seen.forget(snapshot.keys.kids());
        let skipped = {
            let mut state = lock(&self.state);
            self.snapshot.store(Some(snapshot));
            state.succeed(fetched.skipped)
        };
        let connector = self.name();
        tracing::debug!(target: "upstream", connector, keys, ?lifetime, "keys fetched");
        for skipped in skipped.iter().flatten() {
            let cause = skipped.to_string();
            tracing::warn!(target: "upstream", connector, cause = %redact(&cause), "key skipped");
        }
    }

    /// The connectors in short, for a log line.
    fn name(&self) -> String {
        lock(&self.terms).name()
    }

    fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource")
            .field("location", &self.location())
            .finish_non_exhaustive()
    }
}

/// What these keys say to a token; `None` where they do not have its kid.
fn answer(
    snapshot: &Snapshot,
    kid: Option<&str>,
    algorithm: Algorithm,
) -> Option<Result<CandidateKeys, KeysError>> {
    match snapshot.keys.candidates(kid, algorithm) {
        Candidates::Fit(keys) => Some(Ok(keys)),
        Candidates::Ambiguous | Candidates::NoFit => Some(Err(KeysError::NoFit)),
        Candidates::KidUnknown => None,
    }
}

fn busy() -> KeysError {
    KeysError::Unavailable {
        kind: UnavailableKind::Busy,
        retry_after: Duration::from_secs(1),
    }
}

/// The guarded value, even where a panic has poisoned it: every change to it is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
