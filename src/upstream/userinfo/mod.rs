//! Opaque access tokens: the issuer's userinfo endpoint says whose they are (`OpenID` Connect Core 1.0 §5.3).

mod answers;
mod endpoint;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::jose::{OpaqueToken, Verified};
use crate::limits::{Network, Place, Queue};
use http::HeaderValue;

use super::access::{Access, bearer};
use super::client::LazyClient;
use super::error::{FetchError, SourceError, UserinfoError};
use super::flight::{Flight, Outcome, take_off};
use super::origin;
use super::spec::SourceSpec;
use super::web::Document;
use answers::{Name, Reply};
use endpoint::Endpoint;

pub(super) use answers::Answers;

/// How many tokens are asked about at once at one connector's endpoint, and how many of them for one address, so that one
/// that sends useless tokens leaves places for others.
const ASKING: usize = 64;
const ASKING_PER_ADDRESS: usize = 16;

/// How many requests may wait for the answer to a question that another has asked.
const JOINING: usize = 256;
const JOINING_PER_ADDRESS: usize = 64;

/// The userinfo endpoint of one connector.
pub struct Userinfo {
    connector: String,
    issuer: String,
    clock: Arc<dyn Clock>,
    endpoint: Endpoint,
    access: Access,
    /// The time that one question may take in all, discovery included.
    timeout: Duration,
    asking: Queue,
    joining: Queue,
    /// The questions under way, so that one token is asked about once at a time.
    flights: Mutex<HashMap<Name, Flight<Reply>>>,
    answers: Answers,
    counts: Arc<Counts>,
}

/// How often an endpoint was asked, and to what end; answers that were kept are not counted again.
#[derive(Debug, Default)]
pub(super) struct Counts {
    vouched: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What an endpoint says to a request without a token.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The URL that was asked, without its query.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
}

impl Userinfo {
    /// The endpoint of `connector`, at `uri` or where the discovery of `spec` says; nothing is fetched.
    ///
    /// `client` is told whether the first URL is on loopback.
    pub(super) fn new(
        (connector, spec, uri): (&str, &SourceSpec, Option<&str>),
        clock: Arc<dyn Clock>,
        answers: Answers,
        counts: Arc<Counts>,
        client: impl FnOnce(bool) -> Result<Arc<LazyClient>, SourceError>,
    ) -> Result<Self, SourceError> {
        let endpoint = Endpoint::new(spec, uri)?;
        let client = client(origin::is_loopback(endpoint.first()))?;
        Ok(Self {
            connector: connector.to_owned(),
            issuer: spec.issuer.clone(),
            clock,
            endpoint,
            access: Access::new(spec, client)?,
            timeout: spec.timeout,
            asking: Queue::new(ASKING, ASKING_PER_ADDRESS),
            joining: Queue::new(JOINING, JOINING_PER_ADDRESS),
            flights: Mutex::default(),
            answers,
            counts,
        })
    }

    /// What the issuer says of `token`: by an answer that still counts, else by asking.
    ///
    /// Where too many wait for that, in all or from the same `from`, it is [`UserinfoError::Busy`].
    pub async fn vouch(
        self: &Arc<Self>,
        token: OpaqueToken<'_>,
        from: Option<Network>,
    ) -> Result<Verified, UserinfoError> {
        let name = self.answers.name(&self.connector, token.as_str());
        let reply = match self.answers.get(&name, self.clock.monotonic()) {
            Some(reply) => reply,
            None => self.ask(name, token, from).await?,
        };
        let body = match reply {
            Reply::Vouched(body) => body,
            Reply::Refused(error) => return Err(UserinfoError::Refused(error)),
        };
        Verified::by_userinfo(&self.issuer, body.to_vec())
            .map_err(|problem| FetchError::failed(problem.to_string()).into())
    }

    /// What the endpoint says to a request without a token.
    pub async fn probe(self: &Arc<Self>) -> Result<Probe, FetchError> {
        let url = self.url().await?;
        let answer = self.within_limit(self.access.get_as(&url, None)).await;
        let status = match answer {
            Ok(_) => 200,
            Err(error) => error.status().ok_or(error)?,
        };
        let url = origin::shown(&url);
        Ok(Probe { url, status })
    }

    /// Where the endpoint is, or is looked up, without the query.
    pub fn location(&self) -> String {
        self.endpoint.location()
    }

    /// How often the endpoint was asked, by outcome.
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let Counts {
            vouched,
            refused,
            failed,
        } = self.counts.as_ref();
        [
            ("success", vouched),
            ("refused", refused),
            ("failure", failed),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// Joins the question about this token that is under way, or asks.
    async fn ask(
        self: &Arc<Self>,
        name: Name,
        token: OpaqueToken<'_>,
        from: Option<Network>,
    ) -> Result<Reply, UserinfoError> {
        let place = |queue: &Queue| queue.enter(from).ok_or(UserinfoError::Busy);
        let (flight, _place) = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.retain(|_, flight| flight.is_running());
            if let Some(flight) = flights.get(&name) {
                (flight.clone(), Some(place(&self.joining)?))
            } else if let Some(reply) = self.answers.get(&name, self.clock.monotonic()) {
                // The answer came since it was last looked for.
                return Ok(reply);
            } else {
                let flight = self.begin(name, token, place(&self.asking)?)?;
                flights.insert(name, flight.clone());
                (flight, None)
            }
        };
        Ok(flight.landed().await?)
    }

    /// Asks in a task of its own, which keeps the place: who hangs up does not make room for more questions.
    fn begin(
        self: &Arc<Self>,
        name: Name,
        token: OpaqueToken<'_>,
        place: Place,
    ) -> Result<Flight<Reply>, UserinfoError> {
        let unfit = || FetchError::failed("the token cannot be sent in a header");
        let header = bearer(token.as_str().as_bytes()).ok_or_else(unfit)?;
        let (landing, flight) = take_off();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let asked_at = this.clock.monotonic();
            let outcome = this.within_limit(this.question(header)).await;
            this.counts.count(&outcome);
            if let Ok(reply) = &outcome {
                let times = (asked_at, this.clock.monotonic());
                this.answers.keep(name, times, reply);
            }
            drop(place);
            landing.land(outcome);
        });
        Ok(flight)
    }

    async fn question(self: &Arc<Self>, token: HeaderValue) -> Outcome<Reply> {
        let url = self.url().await?;
        match self.access.get_as(&url, Some(token)).await {
            Ok(document) => self.read(document).map(Reply::Vouched),
            // RFC 6750 §3.1: the token is malformed, not good, or not good enough.
            Err(error) if matches!(error.status(), Some(400 | 401 | 403)) => {
                Ok(Reply::Refused(error))
            }
            Err(error) => Err(error),
        }
    }

    /// The body of an answer that can be decided on.
    fn read(&self, document: Document) -> Result<Arc<[u8]>, FetchError> {
        let Document {
            origin,
            body,
            content_type,
            ..
        } = document;
        let problem = |words: &str| FetchError::failed(format!("{origin}: {words}"));
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => {}
            "application/jwt" => {
                return Err(problem(
                    "the answer is a signed JWT (application/jwt), which is not read: have the issuer answer this client with application/json (no `userinfo_signed_response_alg`)",
                ));
            }
            _ => {
                let found = essence.chars().take(100).collect::<String>();
                return Err(problem(&format!(
                    "the answer has the content type {found:?}, and application/json is expected"
                )));
            }
        }
        let kept = body.as_slice().into();
        Verified::by_userinfo(&self.issuer, body).map_err(|error| problem(&error.to_string()))?;
        Ok(kept)
    }

    async fn within_limit<T>(
        &self,
        asked: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let limit = self.timeout;
        let answer = tokio::time::timeout(limit, asked).await;
        answer.map_err(|_| {
            let location = self.location();
            FetchError::late(format!(
                "{location} gave no complete answer within {limit:?}"
            ))
        })?
    }
}

impl Counts {
    fn count(&self, outcome: &Outcome<Reply>) {
        let counter = match outcome {
            Ok(Reply::Vouched(_)) => &self.vouched,
            Ok(Reply::Refused(_)) => &self.refused,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Userinfo")
            .field("location", &self.location())
            .finish_non_exhaustive()
    }
}
