//! What one connection is doing now, and until when it may.
//!
//! The socket, the service and the bodies report here; the connection's only timer and the eviction
//! of idle connections read it. It is a few atomics, so a request creates no timer and takes no lock.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::Limits;

/// Where a connection stands; it goes round from `Head` to `Idle` with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Accepted, and no byte has come.
    Fresh,
    /// Every reply is out, and no byte of a next request has come (or a part of it came along with
    /// the last one: hyper holds it, and the idle timeout bounds that, too).
    Idle,
    /// A part of a head is here.
    Head,
    /// A request is with the service, or its reply is being written.
    Busy,
    /// The reply has been handed over whole, but is not all with the kernel.
    Flushing,
}

/// A deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing was going on.
    Idle,
    /// The head did not end.
    Head,
    /// The body did not end.
    Body,
    /// The client did not take its reply.
    Write,
}

/// There is no request body, or it has ended.
const BODY_ENDED: u8 = 0;
/// It has not ended, and somebody may still read it.
const BODY_OPEN: u8 = 1;
/// Its time is over.
const BODY_EXPIRED: u8 = 2;
/// It was dropped before its end.
const BODY_UNREAD: u8 = 3;

/// The state of one connection. Times are milliseconds since `epoch`, never 0.
pub(super) struct Activity {
    epoch: Instant,
    header_timeout: u64,
    body_timeout: u64,
    idle_timeout: u64,
    /// The stage in the lowest three bits, since when above: one word, so that both always fit.
    stage: AtomicU64,
    body: AtomicU8,
    /// Since when the socket takes no bytes; 0 while it does.
    blocked: AtomicU64,
    stopping: AtomicBool,
    connection: AtomicWaker,
    body_reader: AtomicWaker,
}

impl Activity {
    /// A connection accepted now; `epoch` is common to all connections of a server.
    pub(super) fn new(epoch: Instant, limits: &Limits) -> Self {
        let activity = Self {
            epoch,
            header_timeout: millis(limits.header_timeout),
            body_timeout: millis(limits.body_timeout),
            idle_timeout: millis(limits.idle_timeout),
            stage: AtomicU64::new(0),
            body: AtomicU8::new(BODY_ENDED),
            blocked: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            connection: AtomicWaker::new(),
            body_reader: AtomicWaker::new(),
        };
        activity.enter(Stage::Fresh, activity.now());
        activity
    }

    /// The socket gave bytes.
    pub(super) fn bytes_read(&self) {
        match self.stage() {
            // The first head is timed from the accept: a client that connects has a request.
            (Stage::Fresh, since) => self.enter(Stage::Head, since),
            (Stage::Idle, _) => self.enter(Stage::Head, self.now()),
            _ => {}
        }
    }

    /// A head is complete and goes to the service; `has_body` if a body follows.
    pub(super) fn request_began(&self, has_body: bool) {
        self.body
            .store(if has_body { BODY_OPEN } else { BODY_ENDED }, Relaxed);
        self.enter(Stage::Busy, self.now());
    }

    /// The request body has ended, or failed.
    pub(super) fn body_ended(&self) {
        self.body.store(BODY_ENDED, Relaxed);
    }

    /// The request body was dropped before its end.
    pub(super) fn body_dropped(&self) {
        let _ = self
            .body
            .compare_exchange(BODY_OPEN, BODY_UNREAD, Relaxed, Relaxed);
    }

    /// The last byte of the reply was handed to hyper.
    pub(super) fn reply_ended(&self) {
        if let (Stage::Busy, since) = self.stage() {
            self.enter(Stage::Flushing, since);
        }
    }

    /// hyper has nothing left to write.
    pub(super) fn flushed(&self) {
        if let (Stage::Flushing, _) = self.stage() {
            self.enter(Stage::Idle, self.now());
        }
    }

    /// The socket took bytes, or would not.
    pub(super) fn wrote(&self, blocked: bool) {
        let since = self.blocked.load(Relaxed);
        if !blocked && since != 0 {
            self.blocked.store(0, Relaxed);
        } else if blocked && since == 0 {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    /// Whether a request waits for its reply, or for the reply's last byte.
    pub(super) fn in_flight(&self) -> bool {
        matches!(self.stage().0, Stage::Busy | Stage::Flushing)
    }

    /// Since when the connection waits for a first byte, if it does.
    pub(super) fn idle_since(&self) -> Option<u64> {
        match self.stage() {
            (Stage::Fresh | Stage::Idle, since) => Some(since),
            _ => None,
        }
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn is_unread(&self) -> bool {
        self.body.load(Relaxed) != BODY_ENDED
    }

    /// The next deadline and what it means, if there is one.
    pub(super) fn deadline(&self) -> Option<(Instant, Overdue)> {
        let (stage, since) = self.stage();
        let reading = match stage {
            Stage::Fresh => Some((since + self.header_timeout, Overdue::Idle)),
            Stage::Idle => Some((since + self.idle_timeout, Overdue::Idle)),
            Stage::Head => Some((since + self.header_timeout, Overdue::Head)),
            Stage::Busy | Stage::Flushing if self.body.load(Relaxed) == BODY_OPEN => {
                Some((since + self.body_timeout, Overdue::Body))
            }
            Stage::Busy | Stage::Flushing => None,
        };
        let writing = match self.blocked.load(Relaxed) {
            0 => None,
            since => Some((since + self.idle_timeout, Overdue::Write)),
        };
        [reading, writing]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
            .map(|(at, what)| (self.epoch + Duration::from_millis(at), what))
    }

    /// Ends the wait for the request body: its reader gets a `BodyTimeout`.
    pub(super) fn expire_body(&self) {
        let _ = self
            .body
            .compare_exchange(BODY_OPEN, BODY_EXPIRED, Relaxed, Relaxed);
        self.body_reader.wake();
    }

    /// Whether the time of the request body is over.
    pub(super) fn body_expired(&self) -> bool {
        self.body.load(Relaxed) == BODY_EXPIRED
    }

    /// Wakes `reader` when the time of the request body is over.
    pub(super) fn wake_on_expiry(&self, reader: &Waker) {
        self.body_reader.register(reader);
    }

    /// Asks the connection to end: at once if nothing is in flight, else behind the reply.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.connection.wake();
    }

    /// Whether the connection was asked to end; wakes `connection` when it is.
    pub(super) fn poll_stopping(&self, connection: &Waker) -> bool {
        self.connection.register(connection);
        self.is_stopping()
    }

    /// Whether the connection was asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).map_or(1, |now| now + 1)
    }

    fn enter(&self, stage: Stage, since: u64) {
        self.stage.store(since << 3 | stage as u64, Relaxed);
    }

    fn stage(&self) -> (Stage, u64) {
        let word = self.stage.load(Relaxed);
        let stage = match word & 7 {
            0 => Stage::Fresh,
            1 => Stage::Idle,
            2 => Stage::Head,
            3 => Stage::Busy,
            _ => Stage::Flushing,
        };
        (stage, word >> 3)
    }
}

/// A limit in whole milliseconds, at most a year: added to a time it never overflows.
fn millis(limit: Duration) -> u64 {
    const YEAR: u64 = 366 * 24 * 60 * 60 * 1000;
    u64::try_from(limit.as_millis()).map_or(YEAR, |limit| limit.min(YEAR))
}
