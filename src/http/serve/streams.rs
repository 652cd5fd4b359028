//! The requests that are open on one HTTP/2 connection.

use std::collections::{BTreeMap, BTreeSet};
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
    /// When one of them last began, went on or ended.
    moved: u64,
    /// How often that was.
    moves: u64,
    next: u64,
    /// Those whose client has not sent the body to its end.
    bodies: BTreeSet<u64>,
    /// Since when the replies wait that their client has not taken yet, the oldest first.
    replies: BTreeMap<u64, u64>,
    /// Those whose client has taken them back, and whose decision goes on.
    carried: BTreeSet<u64>,
    ended: u64,
    taken_back: u64,
}

impl Streams {
    /// None is open since `now`.
    pub(super) fn new(now: u64) -> Self {
        Self(Mutex::new(State {
            open: 0,
            moved: now,
            moves: 0,
            next: 0,
            bodies: BTreeSet::new(),
            replies: BTreeMap::new(),
            carried: BTreeSet::new(),
            ended: 0,
            taken_back: 0,
        }))
    }

    /// A request came; gives its number.
    pub(super) fn begin(&self, has_body: bool, now: u64) -> u64 {
        let mut state = self.moving(now);
        state.open += 1;
        state.next += 1;
        let number = state.next;
        if has_body {
            state.bodies.insert(number);
        }
        number
    }

    /// Nobody waits for its body any more.
    pub(super) fn body_ended(&self, number: u64, now: u64) {
        self.moving(now).bodies.remove(&number);
    }

    /// The reply to it is ready.
    pub(super) fn reply(&self, number: u64, now: u64) {
        let mut state = self.moving(now);
        state.bodies.remove(&number);
        state.replies.insert(number, now);
    }

    /// Whether nobody waits for more of its body.
    pub(super) fn is_read(&self, number: u64) -> bool {
        !self.state().bodies.contains(&number)
    }

    /// Its client has taken it back, and it goes on.
    pub(super) fn carry(&self, number: u64) {
        let mut state = self.state();
        state.carried.insert(number);
        state.taken_back += 1;
    }

    /// How many go on without their client.
    pub(super) fn carried(&self) -> usize {
        self.state().carried.len()
    }

    /// It is over, with its reply or without.
    pub(super) fn end(&self, number: u64, now: u64) {
        let mut state = self.moving(now);
        state.open = state.open.saturating_sub(1);
        state.bodies.remove(&number);
        if state.replies.remove(&number).is_some() {
            state.ended += 1;
        } else if !state.carried.remove(&number) {
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
        (state.open == 0).then_some((state.moved, state.next > 0))
    }

    /// Since when all of them wait for their client, to send a body or to take a reply, if they do (as none does),
    /// with a number that is another one after every move.
    pub(super) fn waiting(&self) -> Option<(u64, u64)> {
        let state = self.state();
        let waiting = state.bodies.len() + state.replies.len();
        (waiting == state.open).then_some((state.moved, state.moves))
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

    fn moving(&self, now: u64) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.moved = now;
        state.moves += 1;
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
