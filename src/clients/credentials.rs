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

    /// What is conspicuous about the secret that was sent, whatever the right one is.
    pub(super) fn oddity(&self) -> Option<&'static str> {
        let secret = &self.candidates.last()?.secret;
        if secret.is_empty() {
            Some("no secret was sent: send it with Basic (curl -u ID:SECRET) or as `client_secret`")
        } else if secret.trim() != secret {
            Some(
                "the secret that was sent begins or ends with white space, such as the line break of a file",
            )
        } else {
            None
        }
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
    let mut candidates = basic::read(value).ok_or_else(|| not_basic(value))?;
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

fn not_basic(value: &[u8]) -> Refusal {
    let is_bearer = value
        .get(..6)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    let bearer = if is_bearer {
        " but Bearer, and a token to exchange goes into the body"
    } else {
        ""
    };
    Refusal::new(
        Reason::ClientInvalid,
        format!(
            "the Authorization header is not a well-formed Basic credential{bearer}: a client sends `Basic`, a space and the base64 of ID:SECRET (curl -u ID:SECRET); without a client, send no such header"
        ),
    )
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
