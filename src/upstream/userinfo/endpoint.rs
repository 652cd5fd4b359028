//! Where a connector's userinfo endpoint is: as configured, or as the issuer's discovery document says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use url::Url;

use super::Userinfo;
use crate::upstream::discovery::Discovery;
use crate::upstream::error::{FetchError, SourceError};
use crate::upstream::flight::{Flight, Outcome, take_off};
use crate::upstream::origin;
use crate::upstream::snapshot::{LONGEST_USE, back_off, lifetime};
use crate::upstream::spec::SourceSpec;

/// The member of the discovery document.
const MEMBER: &str = "userinfo_endpoint";

/// Where the endpoint is.
#[derive(Debug)]
pub(super) enum Endpoint {
    Configured(Url),
    Discovered(Box<Discovered>),
}

/// An endpoint that is looked up when it is first needed.
#[derive(Debug)]
pub(super) struct Discovered {
    discovery: Discovery,
    state: Mutex<State>,
}

/// Guarded by a lock that is never held across a fetch. Times are the clock's monotonic ones.
#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    flight: Option<Flight<Url>>,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Known {
    url: Url,
    since: Duration,
    fresh_until: Duration,
}

#[derive(Debug)]
struct Outage {
    error: FetchError,
    retry_at: Duration,
    failures: u32,
}

impl Endpoint {
    /// The endpoint at `uri`, else the one that the discovery of `spec` names; nothing is fetched.
    pub(super) fn new(spec: &SourceSpec, uri: Option<&str>) -> Result<Self, SourceError> {
        let (key, endpoint) = if let Some(uri) = uri {
            let url = origin::parse(uri);
            let url = url.map_err(|problem| SourceError::new("userinfo_uri", problem))?;
            ("userinfo_uri", Self::Configured(url))
        } else {
            let discovery = Discovery::new(&spec.issuer, &spec.jwks_hosts, spec.insecure_http);
            let discovery = discovery.map_err(|problem| {
                let words = format!("the issuer {problem}, so its userinfo endpoint cannot be discovered: set `userinfo_uri`");
                SourceError::new("get_user_info", words)
            })?;
            let state = Mutex::default();
            let discovered = Discovered { discovery, state };
            ("issuer", Self::Discovered(Box::new(discovered)))
        };
        if origin::is_exposed(endpoint.first()) && !spec.insecure_http {
            let problem = "uses plain http, where whoever sits on the path could vouch for any token: use https, or set `insecure_http = true`";
            return Err(SourceError::new(key, problem));
        }
        Ok(endpoint)
    }

    /// The URL that is asked first.
    pub(super) fn first(&self) -> &Url {
        match self {
            Self::Configured(url) => url,
            Self::Discovered(discovered) => discovered.discovery.document(),
        }
    }

    /// Where the endpoint is, for a log line; where that is not known yet, where it is looked up.
    pub(super) fn location(&self) -> String {
        match self {
            Self::Configured(url) => origin::shown(url),
            Self::Discovered(discovered) => match &discovered.lock().known {
                Some(known) => origin::shown(&known.url),
                None => origin::shown(discovered.discovery.document()),
            },
        }
    }
}

impl Discovered {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Userinfo {
    /// The URL of the endpoint; waits only where it is not known, or was looked up over 24 h ago.
    pub(super) async fn url(self: &Arc<Self>) -> Result<Url, FetchError> {
        let discovered = match &self.endpoint {
            Endpoint::Configured(url) => return Ok(url.clone()),
            Endpoint::Discovered(discovered) => discovered,
        };
        let flight = {
            let now = self.clock.monotonic();
            let mut state = discovered.lock();
            let known = state.known.as_ref();
            let known = known.filter(|known| now.saturating_sub(known.since) < LONGEST_USE);
            let is_fresh = known.is_some_and(|known| now < known.fresh_until);
            let url = known.map(|known| known.url.clone());
            if is_fresh && let Some(url) = url {
                return Ok(url);
            }
            let flight = self.look_up(&mut state, now);
            match (url, flight) {
                (Some(url), _) => return Ok(url),
                (None, Ok(flight)) => flight,
                (None, Err(error)) => return Err(error),
            }
        };
        flight.landed().await
    }

    /// The look-up under way, or a new one, unless the last one failed just now.
    fn look_up(
        self: &Arc<Self>,
        state: &mut State,
        now: Duration,
    ) -> Result<Flight<Url>, FetchError> {
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.is_running()) {
            return Ok(flight.clone());
        }
        if let Some(outage) = state.outage.as_ref().filter(|outage| now < outage.retry_at) {
            return Err(outage.error.clone());
        }
        let (landing, flight) = take_off();
        state.flight = Some(flight.clone());
        let this = Arc::clone(self);
        // In a task of its own, so that no cancelled request cancels it.
        tokio::spawn(async move {
            landing.land(this.discover().await);
        });
        Ok(flight)
    }

    async fn discover(&self) -> Outcome<Url> {
        let Endpoint::Discovered(discovered) = &self.endpoint else {
            return Err(FetchError::failed("the endpoint is configured"));
        };
        let discovery = &discovered.discovery;
        let fetched = self
            .within_limit(self.access.get(discovery.document()))
            .await;
        let read = fetched.and_then(|document| {
            let url = discovery.read(MEMBER, &document)?;
            Ok((url, document.max_age))
        });
        let now = self.clock.monotonic();
        let mut state = discovered.lock();
        match read {
            Ok((url, max_age)) => {
                state.outage = None;
                state.known = Some(Known {
                    url: url.clone(),
                    since: now,
                    fresh_until: now + lifetime(None, max_age),
                });
                Ok(url)
            }
            Err(error) => {
                let before = state.outage.as_ref().map_or(0, |outage| outage.failures);
                let failures = before.saturating_add(1);
                state.outage = Some(Outage {
                    error: error.clone(),
                    retry_at: now + back_off(failures, rand::random()),
                    failures,
                });
                tracing::warn!(
                    target: "upstream",
                    connector = self.connector,
                    cause = %error,
                    "the userinfo endpoint could not be discovered"
                );
                Err(error)
            }
        }
    }
}
