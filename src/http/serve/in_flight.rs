//! One HTTP/2 request, as its connection counts it.

use std::sync::Arc;

use super::MOST_STREAMS;
use super::activity::Activity;
use super::to_its_end::Progress;

/// One HTTP/2 request, from its head to the last byte of its reply, or to its decision where its client has left.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    number: u64,
    /// Whether it counts against the limit over all connections.
    is_counted: bool,
}

impl InFlight {
    /// A request came; `None` if it is refused, because too many are open over all connections or for what its
    /// connection has done.
    ///
    /// The only request of its connection is never one too many: places for connections are limited, too.
    pub(super) fn begin(activity: &Arc<Activity>, has_body: bool) -> Option<Self> {
        let streams = activity.streams().filter(|_| !activity.is_spent())?;
        if streams.carried() > MOST_STREAMS as usize {
            activity.shared().counts.refuse();
            return None;
        }
        let is_counted = streams.open() > 0;
        if is_counted && !activity.shared().open_request() {
            return None;
        }
        Some(Self {
            activity: Arc::clone(activity),
            number: streams.begin(has_body, activity.now()),
            is_counted,
        })
    }

    /// Its reply is ready.
    pub(super) fn reply(&self) {
        if let Some(streams) = self.activity.streams() {
            streams.reply(self.number, self.activity.now());
        }
    }

    /// What reports the end of its body.
    pub(super) fn reading(&self) -> Reading {
        Reading {
            activity: Arc::clone(&self.activity),
            number: self.number,
        }
    }
}

impl Progress for InFlight {
    fn is_read(&self) -> bool {
        let streams = self.activity.streams();
        streams.is_some_and(|streams| streams.is_read(self.number))
    }

    fn left(&self) {
        if let Some(streams) = self.activity.streams() {
            streams.carry(self.number);
        }
        // It may have been one too many.
        self.activity.wake();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_counted {
            self.activity.shared().close_request();
        }
        if let Some(streams) = self.activity.streams() {
            streams.end(self.number, self.activity.now());
        }
        // It runs on a task of its own: the connection may be idle from now on.
        self.activity.wake();
    }
}

/// The body of one HTTP/2 request, until nobody waits for it any more.
pub(super) struct Reading {
    activity: Arc<Activity>,
    number: u64,
}

impl Reading {
    /// It did not end in time.
    pub(super) fn expired(&self) {
        self.activity.stream_expired();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(streams) = self.activity.streams() {
            streams.body_ended(self.number, self.activity.now());
        }
    }
}
