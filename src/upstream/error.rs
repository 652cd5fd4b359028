//! What can go wrong between Remint and an upstream issuer.

use std::sync::Arc;
use std::time::Duration;

/// Why a key source cannot be set up; names the configuration key and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SourceError {
    /// The connector's configuration key that is wrong, such as `jwks_uri`.
    pub key: &'static str,
    /// What is wrong with its value and what to do.
    pub problem: String,
}

impl SourceError {
    pub(super) fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self {
            key,
            problem: problem.into(),
        }
    }
}

/// Why one attempt to fetch keys gave none; the text is fit for a log and for `check`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FetchError {
    timed_out: bool,
    text: Arc<str>,
}

impl FetchError {
    /// Whether the upstream gave no answer in time, as opposed to a wrong one.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    pub(super) fn failed(text: impl Into<Arc<str>>) -> Self {
        Self {
            timed_out: false,
            text: text.into(),
        }
    }

    pub(super) fn late(text: impl Into<Arc<str>>) -> Self {
        Self {
            timed_out: true,
            text: text.into(),
        }
    }

    pub(super) fn unavailable(&self, retry_after: Duration) -> KeysError {
        KeysError::Unavailable {
            kind: if self.timed_out {
                UnavailableKind::TimedOut
            } else {
                UnavailableKind::Failed
            },
            retry_after,
        }
    }
}

/// Why a token's key cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The issuer does not have the token's kid: asked after the kid was first seen.
    #[error("the issuer has no key with the token's kid")]
    Unknown,
    /// The kid is known but no key of it fits the token's algorithm, or the token has no kid and not exactly one key fits.
    #[error("no single key of the issuer fits the token's kid and algorithm")]
    NoFit,
    /// The keys cannot be had now.
    #[error("the issuer's keys cannot be had now")]
    Unavailable {
        /// Why not.
        kind: UnavailableKind,
        /// How long the caller should wait before it asks again.
        retry_after: Duration,
    },
}

/// Why keys cannot be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnavailableKind {
    /// Too many requests wait for this source already.
    Busy,
    /// The kid is new, and the issuer was asked for another new kid less than 30 s ago.
    Cooldown,
    /// The last fetch failed.
    Failed,
    /// The last fetch timed out.
    TimedOut,
}
