//! The audit event: exactly one per decision on a request to `/token`.

use std::sync::Arc;

use super::Issued;
use crate::jose::{SigningAlgorithm, Verified};
use crate::oauth::{Reason, Refusal, redact};
use crate::replay::Checked;

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A token was issued.
    Issued,
    /// The request was refused.
    Refused,
    /// Remint or an upstream failed.
    Error,
}

impl Outcome {
    /// How a result counts: a refusal that is nobody's fault but ours or an upstream's is an error.
    pub fn of(result: Result<(), &Refusal>) -> Self {
        match result {
            Ok(()) => Self::Issued,
            Err(refusal) => Self::of_refusal(refusal.reason),
        }
    }

    /// How a refusal for this reason counts.
    pub fn of_refusal(reason: Reason) -> Self {
        match reason.oauth() {
            (500.., _) => Self::Error,
            _ => Self::Refused,
        }
    }

    /// The word in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Error => "error",
        }
    }
}

/// What is known of a decision, filled in on its way. It never holds a token or a secret.
#[derive(Debug, Default)]
pub struct Event {
    /// The grant's short name.
    pub grant: &'static str,
    /// The connector's id.
    pub connector: Option<Arc<str>>,
    /// The client's id, once it is known who asks.
    pub client: Option<Arc<str>>,
    /// The id of the client that the credentials name, where they are not right.
    pub client_named: Option<Arc<str>>,
    /// Whether the client proved a secret.
    pub client_proved: bool,
    /// The name of the rule in force.
    pub rule: Option<Arc<str>>,
    /// `iss`, `sub` and `jti` of the verified subject token.
    pub subject: Option<[Option<String>; 3]>,
    /// What vouched for it: its signature, or the issuer's userinfo endpoint.
    pub verified_by: Option<&'static str>,
    /// Whether it is known that the token was not used before, where that is asked.
    pub replay: Option<Checked>,
    /// The audiences of the new token.
    pub aud: Vec<String>,
    /// The `jti` of the new token.
    pub jti: Option<String>,
    /// The `jti` of the ID token beside it.
    pub id_token_jti: Option<String>,
    /// The key that signed it.
    pub kid: Option<String>,
    /// Its algorithm.
    pub alg: Option<SigningAlgorithm>,
    /// Its `exp`.
    pub exp: Option<u64>,
}

impl Event {
    /// The `tracing` name of events of tokens that were issued.
    pub const ISSUED: &str = "issued";
    /// The `tracing` name of events of refusals that somebody had to prove something for.
    pub const REFUSED: &str = "refused";
    /// The `tracing` name of events of refusals that a stranger can cause for nothing.
    pub const SAMPLED: &str = "sampled";

    /// An event of the grant with this short name.
    pub fn new(grant: &'static str) -> Self {
        Self {
            grant,
            ..Self::default()
        }
    }

    /// Notes who the subject is: only a verified token may be named.
    pub fn subject(&mut self, token: &Verified) {
        let claim = |name| {
            let text = token.claims().text(name)?;
            Some(redact(text).into_owned())
        };
        let issuer = Some(token.issuer().to_owned());
        self.subject = Some([issuer, claim("sub"), claim("jti")]);
        self.verified_by = Some(if token.is_opaque() {
            "userinfo"
        } else {
            "signature"
        });
    }

    /// Notes the token that was issued.
    pub fn issued(&mut self, issued: &Issued) {
        self.aud.clone_from(&issued.aud);
        self.jti = Some(issued.jti.clone());
        self.kid = Some(issued.kid.clone());
        self.alg = Some(issued.alg);
        self.exp = Some(issued.exp);
    }

    /// Whether a stranger can cause a refusal for `reason` at no cost, so that a flood of it must not fill the log: no
    /// token was verified and no client has proved a secret, or it is a limit that was passed.
    pub fn is_cheap(&self, reason: Reason) -> bool {
        reason.is_limit() || !(self.client_proved || self.subject.is_some())
    }

    /// Writes the event to the log target `audit`.
    pub fn write(&self, result: Result<(), &Refusal>, request: &RequestFacts<'_>) {
        let outcome = Outcome::of(result).as_str();
        let [subject_iss, subject_sub, subject_jti] = self.subject.clone().unwrap_or_default();
        let cheap = result.is_err_and(|refusal| self.is_cheap(refusal.reason));
        macro_rules! write_as {
            ($name:expr) => {
                tracing::info!(
                    name: $name,
                    target: "audit",
                    outcome,
                    grant = (!self.grant.is_empty()).then_some(self.grant),
                    connector = self.connector.as_deref(),
                    rule = self.rule.as_deref(),
                    client = self.client.as_deref(),
                    client_named = self.client_named.as_deref(),
                    subject_iss,
                    subject_sub,
                    subject_jti,
                    verified_by = self.verified_by,
                    replay = self.replay.map(Checked::as_str),
                    aud = (!self.aud.is_empty()).then(|| redact(&self.aud.join(" ")).into_owned()),
                    jti = self.jti,
                    id_token_jti = self.id_token_jti,
                    kid = self.kid,
                    alg = self.alg.map(SigningAlgorithm::name),
                    exp = self.exp,
                    reason = result.err().map(|refusal| refusal.reason.code()),
                    detail = result
                        .err()
                        .map(|refusal| refusal.detail.as_deref().unwrap_or(&refusal.description)),
                    remote = request.remote,
                    request_id = request.request_id,
                    duration_us = request.duration_us,
                    count = cheap.then_some(1_u64),
                )
            };
        }
        // A name for each call site: by it the writer knows what an event is worth before it is formatted.
        match result {
            Ok(()) => write_as!(Event::ISSUED),
            Err(_) if cheap => write_as!(Event::SAMPLED),
            Err(_) => write_as!(Event::REFUSED),
        }
    }
}

/// What the event says of the request itself.
#[derive(Debug)]
pub struct RequestFacts<'a> {
    /// The address that it came from.
    pub remote: Option<String>,
    /// Its id, as it stands in the reply.
    pub request_id: &'a str,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}
