//! What became of the connections of one `serve`, for the metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Why the server closed a connection before its client would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It had waited for its client for the longest time, and its place was needed.
    Limit,
    /// It waited for its client, and the process had no descriptors left.
    Descriptors,
    /// The TLS handshake failed or did not end in time.
    Handshake,
    /// A head was not complete in time.
    Head,
    /// Nothing was going on for too long.
    Idle,
    /// The client did not take its reply.
    Write,
    /// It took back more requests than it let end (HTTP/2).
    Resets,
}

impl Closed {
    /// Every cause, in the order of their places.
    pub const ALL: [Self; 7] = [
        Self::Limit,
        Self::Descriptors,
        Self::Handshake,
        Self::Head,
        Self::Idle,
        Self::Write,
        Self::Resets,
    ];

    /// The value of its label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Descriptors => "descriptors",
            Self::Handshake => "handshake",
            Self::Head => "head_timeout",
            Self::Idle => "idle_timeout",
            Self::Write => "write_timeout",
            Self::Resets => "resets",
        }
    }
}

/// The counters of one `serve`.
#[derive(Debug, Default)]
pub struct Counts {
    open: AtomicUsize,
    closed: [AtomicU64; Closed::ALL.len()],
    refused: AtomicU64,
}

impl Counts {
    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// How many were closed for `why`.
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed
            .get(why as usize)
            .map_or(0, |count| count.load(Relaxed))
    }

    /// How many HTTP/2 requests were refused because too many were open over all connections.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    pub(super) fn set_open(&self, open: usize) {
        self.open.store(open, Relaxed);
    }

    pub(super) fn count(&self, why: Closed) {
        if let Some(count) = self.closed.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }
}
