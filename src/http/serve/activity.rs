//! What one connection is doing now, and until when it may.
//!
//! The socket, the service and the bodies report here; the connection's only timer and the eviction
//! of idle connections read it. It is a few atomics, so a request creates no timer and takes no lock.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::Limits;
use super::shared::Shared;
use super::streams::Streams;

/// How long a client that has connected may take to send its first request once the listeners are closed.
const LAST_REQUEST: u64 = 1000;

/// How long the server may take to hand on the beginning of a reply.
const SENDING: u64 = 100;

/// After how long an idle HTTP/1 connection gives its buffers back.
pub(super) const REST: u64 = 250;

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
    /// It was asked to end, and no request came any more.
    Stopped,
    /// Nothing has been going on for a while, so its buffers can go.
    Rest,
}

/// When something is overdue, if ever.
type Due = Option<(u64, Overdue)>;

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
    stop: AtomicU8,
    /// Until when a first request may still come; 0 while that is no question.
    stop_at: AtomicU64,
    connection: AtomicWaker,
    body_reader: AtomicWaker,
    shared: Arc<Shared>,
    /// Whether hyper knows that this request is the last one.
    told: AtomicBool,
    /// Whether hyper is to take it that the client has closed.
    hung_up: AtomicBool,
    /// Whether an idle connection has given its buffers back.
    resting: AtomicBool,
    /// The requests of an HTTP/2 connection; unset while it is not known to be one.
    streams: OnceLock<Streams>,
    /// Since when a part of an HTTP/2 head is here; 0 while none is.
    head_since: AtomicU64,
}

/// Nobody has asked it to end.
const STOP_NOT: u8 = 0;
/// It ends behind what is in flight.
const STOP_DRAIN: u8 = 1;
/// Its place is needed.
const STOP_NOW: u8 = 2;

impl Activity {
    /// A connection accepted now; `epoch` is common to all connections of a server.
    pub(super) fn new(epoch: Instant, limits: &Limits, shared: Arc<Shared>) -> Self {
        let activity = Self {
            epoch,
            header_timeout: millis(limits.header_timeout),
            body_timeout: millis(limits.body_timeout),
            idle_timeout: millis(limits.idle_timeout),
            stage: AtomicU64::new(0),
            body: AtomicU8::new(BODY_ENDED),
            blocked: AtomicU64::new(0),
            stop: AtomicU8::new(STOP_NOT),
            stop_at: AtomicU64::new(0),
            connection: AtomicWaker::new(),
            body_reader: AtomicWaker::new(),
            shared,
            told: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            streams: OnceLock::new(),
            head_since: AtomicU64::new(0),
        };
        activity.enter(Stage::Fresh, activity.now());
        activity
    }

    /// The socket gave bytes.
    pub(super) fn bytes_read(&self) {
        match self.stage() {
            // The first head is timed from the accept: a client that connects has a request.
            (Stage::Fresh, since) => self.enter(Stage::Head, since),
            (Stage::Idle, _) => {
                self.resting.store(false, Relaxed);
                self.enter(Stage::Head, self.now());
            }
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

    /// How many requests wait for their reply, or for the reply's last byte.
    pub(super) fn in_flight(&self) -> usize {
        match self.streams.get() {
            Some(streams) => streams.open(),
            None => matches!(self.stage().0, Stage::Busy | Stage::Flushing).into(),
        }
    }

    /// Since when the connection only waits for its client, to send something or to take something, if it does.
    pub(super) fn waits_since(&self) -> Option<u64> {
        if let Some(streams) = self.streams.get() {
            let (since, _) = streams.waiting()?;
            // A reply may be on its way to the socket.
            let is_sent = streams.oldest_reply().is_none() || self.now() >= since + SENDING;
            return is_sent.then_some(since);
        }
        match self.stage() {
            (Stage::Fresh | Stage::Idle | Stage::Head, since) => Some(since),
            (_, since) if self.body.load(Relaxed) == BODY_OPEN => Some(since),
            _ => Some(self.blocked.load(Relaxed)).filter(|since| *since != 0),
        }
    }

    /// Something that changes with all that an HTTP/2 connection does; `None` while it has something to do.
    pub(super) fn stillness(&self) -> Option<u64> {
        self.streams.get()?.waiting().map(|(_, moves)| moves)
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn is_unread(&self) -> bool {
        self.body.load(Relaxed) != BODY_ENDED
    }

    /// The next deadline and what it means, if there is one.
    pub(super) fn deadline(&self) -> Option<(Instant, Overdue)> {
        let (reading, late) = match self.streams.get() {
            Some(streams) => self.stream_deadlines(streams),
            None => (self.stage_deadline(), None),
        };
        let writing = match self.blocked.load(Relaxed) {
            0 => None,
            since => Some((since + self.idle_timeout, Overdue::Write)),
        };
        let stopping = match self.stop_at.load(Relaxed) {
            0 => None,
            at => {
                let is_done = self.in_flight() == 0 && self.blocked.load(Relaxed) == 0;
                is_done.then_some((at, Overdue::Stopped))
            }
        };
        [reading, late, writing, stopping]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
            .map(|(at, what)| (self.epoch + Duration::from_millis(at), what))
    }

    /// Until when the head, the body or the next request must come.
    fn stage_deadline(&self) -> Due {
        let (stage, since) = self.stage();
        match stage {
            Stage::Fresh => Some((since + self.header_timeout, Overdue::Idle)),
            Stage::Idle if self.idle_timeout <= REST || self.resting.load(Relaxed) => {
                Some((since + self.idle_timeout, Overdue::Idle))
            }
            Stage::Idle => Some((since + REST, Overdue::Rest)),
            Stage::Head => Some((since + self.header_timeout, Overdue::Head)),
            Stage::Busy | Stage::Flushing if self.body.load(Relaxed) == BODY_OPEN => {
                Some((since + self.body_timeout, Overdue::Body))
            }
            Stage::Busy | Stage::Flushing => None,
        }
    }

    /// Until when a head or the next request must come, and until when the oldest reply must be taken.
    fn stream_deadlines(&self, streams: &Streams) -> (Due, Due) {
        let head = match self.head_since.load(Relaxed) {
            0 => None,
            since => Some((since + self.header_timeout, Overdue::Head)),
        };
        let idle = streams.idle().map(|(since, used)| {
            // Frames such as PING do not make it less idle.
            let timeout = if used {
                self.idle_timeout
            } else {
                self.header_timeout
            };
            (since + timeout, Overdue::Idle)
        });
        let reply = streams.oldest_reply();
        let reply = reply.map(|since| (since + self.idle_timeout, Overdue::Write));
        (head.or(idle), reply)
    }

    /// The connection turned out to be HTTP/2.
    pub(super) fn become_http2(&self) {
        let (_, since) = self.stage();
        self.streams.get_or_init(|| Streams::new(since));
    }

    /// Whether a part of an HTTP/2 head is here.
    pub(super) fn head_is_open(&self, open: bool) {
        let since = self.head_since.load(Relaxed);
        if open && since == 0 {
            self.head_since.store(self.now(), Relaxed);
        } else if !open && since != 0 {
            self.head_since.store(0, Relaxed);
        }
    }

    /// The requests of an HTTP/2 connection.
    pub(super) fn streams(&self) -> Option<&Streams> {
        self.streams.get()
    }

    /// When the body of a request that comes now must have ended.
    pub(super) fn body_deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.body_timeout)
    }

    /// The body of an HTTP/2 request did not end in time: as with HTTP/1, the connection ends behind the reply.
    pub(super) fn stream_expired(&self) {
        self.body.store(BODY_EXPIRED, Relaxed);
        self.drain();
    }

    /// Whether an HTTP/2 connection takes no more requests: its client does not end its bodies, or its requests.
    pub(super) fn is_spent(&self) -> bool {
        self.body_expired() || self.is_abused()
    }

    /// Whether the client of an HTTP/2 connection only takes back what it asks.
    pub(super) fn is_abused(&self) -> bool {
        self.streams.get().is_some_and(Streams::is_abused)
    }

    /// What the connections share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether each reply is to be the last one.
    pub(super) fn is_leaving(&self) -> bool {
        self.shared.is_leaving()
    }

    /// Whether it is for the caller to tell hyper that this request is the last one: true once.
    pub(super) fn tell_once(&self) -> bool {
        !self.told.swap(true, Relaxed)
    }

    /// From now on the connection reads as if its client had closed it.
    pub(super) fn hang_up(&self) {
        self.hung_up.store(true, Relaxed);
    }

    /// Whether it does.
    pub(super) fn has_hung_up(&self) -> bool {
        self.hung_up.load(Relaxed)
    }

    /// The buffers of the idle connection are gone.
    pub(super) fn rest(&self) {
        self.resting.store(true, Relaxed);
    }

    /// Makes the connection look at what it should do.
    pub(super) fn wake(&self) {
        self.connection.wake();
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

    /// Asks a connection to end as soon as it waits for its client.
    pub(super) fn evict(&self) {
        self.stop.store(STOP_NOW, Relaxed);
        self.connection.wake();
    }

    /// Asks the connection to end: behind what is in flight, and behind a first request that may be on its way.
    pub(super) fn drain(&self) {
        // One that went round knows that it may be closed while it is idle (RFC 9112 §9.5).
        let is_idle = self.streams.get().is_none() && self.stage().0 == Stage::Idle;
        let last = if is_idle { 0 } else { LAST_REQUEST };
        self.stop_at.store(self.now() + last, Relaxed);
        self.stop.fetch_max(STOP_DRAIN, Relaxed);
        self.connection.wake();
    }

    /// Whether nothing more is waited for; wakes `connection` when that or anything else changes.
    pub(super) fn poll_evicted(&self, connection: &Waker) -> bool {
        self.connection.register(connection);
        self.stop.load(Relaxed) == STOP_NOW
    }

    /// Whether the connection was asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Relaxed) != STOP_NOT
    }

    /// The time, as all times in here.
    pub(super) fn now(&self) -> u64 {
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
