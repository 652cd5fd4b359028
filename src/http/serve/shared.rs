//! What the connections of one `serve` share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::counts::Counts;
use super::{Limits, MOST_STREAMS};

/// What the connections of one `serve` share.
#[derive(Debug)]
pub(super) struct Shared {
    /// For the metrics.
    pub(super) counts: Arc<Counts>,
    /// Requests that are open over all HTTP/2 connections, beyond one on each.
    requests: AtomicUsize,
    most_requests: usize,
    /// The shutdown has begun: clients should go.
    leaving: AtomicBool,
}

impl Shared {
    pub(super) fn new(counts: Arc<Counts>, limits: &Limits) -> Self {
        Self {
            counts,
            requests: AtomicUsize::new(0),
            // With HTTP/1 a connection has one request, which is the bound for memory.
            most_requests: limits.max_connections.max(MOST_STREAMS as usize),
            leaving: AtomicBool::new(false),
        }
    }

    /// From now on each reply is the last one of its connection.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Whether each reply is to be the last one.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// Counts one more HTTP/2 request, unless too many are open.
    pub(super) fn open_request(&self) -> bool {
        if self.requests.fetch_add(1, Relaxed) < self.most_requests {
            return true;
        }
        self.close_request();
        self.counts.refuse();
        false
    }

    /// One that was counted is over.
    pub(super) fn close_request(&self) {
        self.requests.fetch_sub(1, Relaxed);
    }
}
