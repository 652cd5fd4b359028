//! A refusal on its way from where it was decided to the reply and the audit event.

use std::time::Duration;

use super::{Reason, redact};

/// Why a request is refused, in words for the caller and, where they must differ, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable cause.
    pub reason: Reason,
    /// What the caller is told: what was wrong and what to do. Never holds a token or a secret.
    pub description: String,
    /// What only the log is told, where the caller must not learn what was expected.
    pub detail: Option<String>,
    /// When trying again makes sense, for causes that pass.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal that tells the caller and the log the same; a token in `description` is taken out.
    pub fn new(reason: Reason, description: impl AsRef<str>) -> Self {
        Self {
            reason,
            description: redact(description.as_ref()).into_owned(),
            detail: None,
            retry_after: None,
        }
    }

    /// Adds what only the log is told; a token in it is taken out.
    #[must_use]
    pub fn with_detail(mut self, detail: impl AsRef<str>) -> Self {
        self.detail = Some(redact(detail.as_ref()).into_owned());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}
