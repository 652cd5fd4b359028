//! The requests that are open on one HTTP/2 connection.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many requests a client may take back beyond those that it lets end: a browser that is closed
/// takes back a page of them, a rapid reset (CVE-2023-44487) thousands.
const TAKEN_BACK: u64 = 100;

/// What happens on one HTTP/2 connection. Its tasks run side by side, so it is one lock, held for a moment.
#[derive(Debug)]
pub(super) struct Streams(Mutex<State>);

#[derive(Debug)]
struct State {
    open: usize,
    /// Since when none is open.
    idle_since: u64,
    /// Whether there was one.
    used: bool,
    next: u64,
    /// Since when the replies wait that their client has not taken yet, the oldest first.
    replies: BTreeMap<u64, u64>,
    ended: u64,
    taken_back: u64,
}

impl Streams {
    /// None is open since `now`.
    pub(super) fn new(now: u64) -> Self {
        Self(Mutex::new(State {
            open: 0,
            idle_since: now,
            used: false,
            next: 0,
            replies: BTreeMap::new(),
            ended: 0,
            taken_back: 0,
        }))
    }

    /// A request came; gives its number.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.state();
        state.open += 1;
        state.used = true;
        state.next += 1;
        state.next
    }

    /// The reply to it is ready.
    pub(super) fn reply(&self, number: u64, now: u64) {
        self.state().replies.insert(number, now);
    }

    /// It is over, with its reply or without.
    pub(super) fn end(&self, number: u64, now: u64) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        state.idle_since = now;
        if state.replies.remove(&number).is_some() {
            state.ended += 1;
        } else {
            state.taken_back += 1;
        }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.state().open
    }

    /// Since when none is open, if none is, and whether there ever was one.
    pub(super) fn idle(&self) -> Option<(u64, bool)> {
        let state = self.state();
        (state.open == 0).then_some((state.idle_since, state.used))
    }

    /// Since when the oldest reply waits for its client.
    pub(super) fn oldest_reply(&self) -> Option<u64> {
        self.state().replies.values().next().copied()
    }

    /// Whether its client asks only to take back.
    pub(super) fn is_abused(&self) -> bool {
        let state = self.state();
        state.taken_back > TAKEN_BACK + state.ended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
