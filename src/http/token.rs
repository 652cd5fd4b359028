//! `POST /token`: read, hand to the grants, write one audit event, reply.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bytes::Buf;
use futures_util::{FutureExt, Stream};
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use super::reply::{self, Dialect};
use super::{Lasting, Remote, Site, accept, body};
use crate::clients::{Credentials, TOKEN_EXCHANGE};
use crate::grant::{self, Event, Redeemed, RequestFacts, Simple};
use crate::limits::{Body, Network};
use crate::oauth::{Form, Reason, Refusal, cut};

/// What is known of a token request before its body is read.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// In whose name the new token is issued, where the request says it well.
    pub(super) issuer: Result<&'a str, &'a Refusal>,
    /// The head of the request.
    pub(super) headers: &'a HeaderMap,
    /// Where it comes from, where the transport has addresses.
    pub(super) remote: Option<Remote>,
    /// Its id, as it stands in the reply.
    pub(super) request_id: &'a str,
}

impl Call<'_> {
    fn from(&self) -> Option<Network> {
        self.remote.map(|remote| remote.ip.into())
    }

    /// What the grants look at beside the body; a request with two credentials has none that counts.
    fn outside_body(&self) -> Result<grant::Call<'_>, Refusal> {
        let mut credentials = self.headers.get_all(AUTHORIZATION).iter();
        let authorization = credentials.next().map(HeaderValue::as_bytes);
        if credentials.next().is_some() {
            return Err(Refusal::new(
                Reason::ParameterRepeated,
                "the Authorization header stands more than once",
            ));
        }
        Ok(grant::Call {
            issuer: self.issuer.map_err(Clone::clone)?,
            authorization,
            from: self.from(),
        })
    }
}

/// Answers a token request, and counts and logs it exactly once.
pub(super) async fn handle(
    site: &Site,
    call: &Call<'_>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let started = site.clock.monotonic();
    let mut event = Event::default();
    let mut is_unread = false;
    let (dialect, result) = match admit(site, call) {
        Ok(dialect) => match read(site, call, body).await {
            Ok(body) => (
                dialect,
                redeem(site, call, dialect, &body, &mut event).await,
            ),
            Err(refusal) => {
                is_unread = true;
                (dialect, Err(refusal))
            }
        },
        Err(refusal) => (Dialect::OAuth, Err(refusal)),
    };
    let took = site.clock.monotonic().saturating_sub(started);
    record(site, call, &event, result.as_ref().map(|_| ()), took);
    match result {
        Ok(redeemed) => {
            let default = match dialect {
                Dialect::OAuth => accept::Form::Object,
                Dialect::Simple => accept::Form::Bare,
            };
            reply::token(&redeemed, accept::preferred(call.headers, default))
        }
        Err(refusal) => {
            let response = reply::refusal(&refusal, dialect, call.request_id);
            if is_unread {
                // The rest of the body is still on its way and is not worth reading.
                return reply::last(response);
            }
            response
        }
    }
}

/// What is refused before the body is looked at.
fn admit(site: &Site, call: &Call<'_>) -> Result<Dialect, Refusal> {
    site.guards.limiter.admit_address(call.from())?;
    content_type(call.headers)
}

async fn read<'a>(
    site: &'a Site,
    call: &Call<'_>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Body<'a>, Refusal> {
    let guards = &site.guards;
    let receiving = guards.bodies.receive(guards.limits.max_body_bytes);
    body::read(call.headers, body, receiving).await
}

/// Hands the body to the grants; a defect that makes one panic becomes a refusal like any other.
async fn redeem(
    site: &Site,
    call: &Call<'_>,
    dialect: Dialect,
    body: &[u8],
    event: &mut Event,
) -> Result<Redeemed, Refusal> {
    let redeemed = async {
        match dialect {
            Dialect::OAuth => redeem_form(site, call, body, event).await,
            Dialect::Simple => redeem_simple(site, call, body, event).await,
        }
    };
    AssertUnwindSafe(redeemed)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(Refusal::new(
                Reason::Internal,
                "a panic; its place is in the log",
            ))
        })
}

/// Counts a decision and writes its event; what a flood could fill the log with is sampled.
fn record(
    site: &Site,
    call: &Call<'_>,
    event: &Event,
    result: Result<(), &Refusal>,
    took: Duration,
) {
    let Lasting {
        metrics, sampled, ..
    } = site.lasting.as_ref();
    metrics.decided(event, result, took);
    if let Err(Refusal { reason, .. }) = result
        && event.is_cheap(*reason)
        && !sampled.admits(*reason, event, site.clock.as_ref())
    {
        return;
    }
    let facts = RequestFacts {
        remote: call.remote.map(|address| address.to_string()),
        request_id: call.request_id,
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    };
    event.write(result, &facts);
}

async fn redeem_form(
    site: &Site,
    call: &Call<'_>,
    body: &[u8],
    event: &mut Event,
) -> Result<Redeemed, Refusal> {
    let form = Form::parse(body)?;
    site.grants.redeem(&form, call.outside_body()?, event).await
}

async fn redeem_simple(
    site: &Site,
    call: &Call<'_>,
    body: &[u8],
    event: &mut Event,
) -> Result<Redeemed, Refusal> {
    event.grant = Simple::NAME;
    let request = Simple::parse(body)?;
    let call = call.outside_body()?;
    let credentials = Credentials::read(call.authorization, None)?;
    let caller = site
        .grants
        .identify(call, &credentials, TOKEN_EXCHANGE, event)
        .await?;
    request.redeem(&site.exchange, &caller, event).await
}

/// Which of the two bodies it is; parameters such as `charset` do not matter.
fn content_type(headers: &HeaderMap) -> Result<Dialect, Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let value = types.next().and_then(|value| value.to_str().ok());
    if types.next().is_some() {
        return Err(Refusal::new(
            Reason::ContentTypeUnsupported,
            "there is more than one Content-Type header: send one",
        ));
    }
    let essence = value
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    let is = |kind: &str| essence.is_some_and(|essence| essence.eq_ignore_ascii_case(kind));
    match essence {
        _ if is("application/x-www-form-urlencoded") => Ok(Dialect::OAuth),
        _ if is("application/json") => Ok(Dialect::Simple),
        found => Err(Refusal::new(
            Reason::ContentTypeUnsupported,
            format!(
                "the Content-Type is {}; application/x-www-form-urlencoded or application/json is expected{}",
                found.map_or_else(|| "absent".to_owned(), cut),
                match found {
                    Some("multipart/form-data") =>
                        " (curl sends the first with --data-urlencode, not with -F)",
                    _ => " (for {'token': ...} add -H 'Content-Type: application/json')",
                }
            ),
        )),
    }
}
