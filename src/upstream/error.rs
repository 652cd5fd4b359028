//! What can go wrong between Remint and an upstream issuer.

use std::sync::Arc;
use std::time::Duration;

use crate::oauth::redact;

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

/// Why one attempt to fetch something gave nothing; the text is fit for a log and for `check`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FetchError {
    timed_out: bool,
    /// The status of the answer, where there was one that is not 200.
    status: Option<u16>,
    text: Arc<str>,
}

impl FetchError {
    /// Whether the upstream gave no answer in time, as opposed to a wrong one.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    pub(super) fn failed(text: impl AsRef<str>) -> Self {
        Self {
            timed_out: false,
            status: None,
            text: redact(text.as_ref()).into(),
        }
    }

    /// The upstream answered with `status`, not with 200.
    pub(super) fn answered(status: u16, text: impl AsRef<str>) -> Self {
        Self {
            status: Some(status),
            ..Self::failed(text)
        }
    }

    /// The status that the upstream answered with, where there was an answer and it was not 200.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn late(text: impl AsRef<str>) -> Self {
        Self {
            timed_out: true,
            status: None,
            text: redact(text.as_ref()).into(),
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

/// Why an issuer does not vouch for an opaque token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserinfoError {
    /// It refuses the token.
    #[error("the issuer refuses the token: {0}")]
    Refused(FetchError),
    /// It gave no answer, or none that can be used.
    #[error("the issuer gave no usable userinfo: {0}")]
    Failed(FetchError),
    /// It gave no answer in time.
    #[error("the issuer gave no userinfo in time: {0}")]
    TimedOut(FetchError),
    /// Too many requests wait for its answers already.
    #[error("too many requests wait for userinfo of the issuer")]
    Busy,
}

impl UserinfoError {
    /// What happened, fit for a log.
    pub fn cause(&self) -> Option<&FetchError> {
        match self {
            Self::Refused(cause) | Self::Failed(cause) | Self::TimedOut(cause) => Some(cause),
            Self::Busy => None,
        }
    }

    /// How long the caller should wait before it asks again, where that makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(_) | Self::TimedOut(_) => Some(Duration::from_secs(5)),
            Self::Busy => Some(Duration::from_secs(1)),
        }
    }
}

impl From<FetchError> for UserinfoError {
    fn from(error: FetchError) -> Self {
        if error.timed_out {
            Self::TimedOut(error)
        } else {
            Self::Failed(error)
        }
    }
}
