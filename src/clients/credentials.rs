//! What a request says about who sends it, wherever it says it.

use std::fmt;

use super::basic;
use crate::oauth::{Form, Reason, Refusal};

/// What a request presents; not checked yet. `Debug` shows none of it.
pub struct Credentials {
    candidates: Vec<Candidate>,
}

/// One meaning of what is presented; without a secret that is empty.
#[derive(PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: String,
    pub(super) secret: String,
}

impl Candidate {
    pub(super) fn new(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
        }
    }
}

impl Credentials {
    /// Reads the value of the `Authorization` header, any bytes, and the body if it is a form.
    ///
    /// Refused: what is not Basic or not well-formed, two ways at once (RFC 6749 §2.3), a secret without an id.
    pub fn read(authorization: Option<&[u8]>, form: Option<&Form<'_>>) -> Result<Self, Refusal> {
        let get = |name| form.and_then(|form| form.get(name));
        if get("client_assertion")
            .or(get("client_assertion_type"))
            .is_some()
        {
            return Err(Refusal::new(
                Reason::ClientInvalid,
                "client assertions are not supported: authenticate with Basic, or with client_id and client_secret in the body",
            ));
        }
        let (id, secret) = (get("client_id"), get("client_secret"));
        let candidates = match (authorization, id, secret) {
            (Some(value), id, secret) => from_header(value, id, secret)?,
            (None, Some(id), secret) => vec![Candidate::new(id, secret.unwrap_or_default())],
            (None, None, Some(_)) => {
                return Err(Refusal::new(
                    Reason::ParameterMissing,
                    "there is a client_secret without a client_id: send both",
                ));
            }
            (None, None, None) => Vec::new(),
        };
        Ok(Self { candidates })
    }

    /// Whether the request says nothing about who sends it.
    pub fn is_anonymous(&self) -> bool {
        self.candidates.is_empty()
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }
}

/// Reads the header beside what the body says.
fn from_header(
    value: &[u8],
    id: Option<&str>,
    secret: Option<&str>,
) -> Result<Vec<Candidate>, Refusal> {
    let malformed = |description| Err(Refusal::new(Reason::ParameterMalformed, description));
    let mut candidates = basic::read(value).ok_or_else(|| {
        Refusal::new(
            Reason::ClientInvalid,
            "the Authorization header is not a well-formed Basic credential, the only kind that is taken",
        )
    })?;
    if secret.is_some() {
        return malformed(
            "there is a client_secret beside the Authorization header: authenticate in one way only",
        );
    }
    if let Some(id) = id {
        candidates.retain(|candidate| candidate.id == id);
        if candidates.is_empty() {
            return malformed(
                "the client_id differs from the one in the Authorization header: send the same, or only the header",
            );
        }
    }
    Ok(candidates)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
