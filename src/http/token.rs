//! `POST /token`: read, hand to the grants, write one audit event, reply.

use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use super::reply::{self, Dialect};
use super::{Site, accept, body};
use crate::clients::TOKEN_EXCHANGE;
use crate::grant::{self, Event, Redeemed, RequestFacts, Simple};
use crate::oauth::{Form, Reason, Refusal, cut};

/// What is known of a token request before its body is read.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// In whose name the new token is issued.
    pub(super) issuer: &'a str,
    /// The head of the request.
    pub(super) headers: &'a HeaderMap,
    /// Where it comes from, where the transport has addresses.
    pub(super) remote: Option<SocketAddr>,
    /// Its id, as it stands in the reply.
    pub(super) request_id: &'a str,
}

impl Call<'_> {
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
            issuer: self.issuer,
            authorization,
        })
    }
}

/// Answers a token request.
pub(super) async fn handle(
    site: &Site,
    call: &Call<'_>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let (headers, request_id) = (call.headers, call.request_id);
    let started = site.clock.monotonic();
    let read = match content_type(headers) {
        Ok(dialect) => body::read(headers, body).await.map(|body| (dialect, body)),
        Err(refusal) => Err(refusal),
    };
    let (dialect, body) = match read {
        Ok(read) => read,
        Err(refusal) => {
            turn_away(site, refusal.reason, request_id);
            return reply::refusal(&refusal, Dialect::OAuth, request_id);
        }
    };
    let mut event = Event::default();
    let result = match dialect {
        Dialect::OAuth => redeem_form(site, call, &body, &mut event).await,
        Dialect::Simple => redeem_simple(site, call, &body, &mut event).await,
    };
    let took = site.clock.monotonic().saturating_sub(started);
    match &result {
        Err(refusal) if refusal.reason.is_sampled() => turn_away(site, refusal.reason, request_id),
        result => {
            let outcome = result.as_ref().map(|_| ());
            site.metrics.decided(&event, outcome, took);
            let facts = RequestFacts {
                remote: call.remote.map(|address| address.to_string()),
                request_id,
                duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            };
            event.write(outcome, &facts);
        }
    }
    match result {
        Ok(redeemed) => {
            let default = match dialect {
                Dialect::OAuth => accept::Form::Object,
                Dialect::Simple => accept::Form::Bare,
            };
            reply::token(&redeemed, accept::preferred(headers, default))
        }
        Err(refusal) => reply::refusal(&refusal, dialect, request_id),
    }
}

async fn redeem_form(
    site: &Site,
    call: &Call<'_>,
    body: &Bytes,
    event: &mut Event,
) -> Result<Redeemed, Refusal> {
    let form = Form::parse(body)?;
    site.grants.redeem(&form, call.outside_body()?, event).await
}

async fn redeem_simple(
    site: &Site,
    call: &Call<'_>,
    body: &Bytes,
    event: &mut Event,
) -> Result<Redeemed, Refusal> {
    event.grant = Simple::NAME;
    let request = Simple::parse(body)?;
    let call = call.outside_body()?;
    let caller = site
        .grants
        .identify(call, None, TOKEN_EXCHANGE, event)
        .await?;
    request.redeem(&site.exchange, &caller, event).await
}

/// Which of the two bodies it is; parameters such as `charset` do not matter.
fn content_type(headers: &HeaderMap) -> Result<Dialect, Refusal> {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match essence.map(str::to_ascii_lowercase).as_deref() {
        Some("application/x-www-form-urlencoded") => Ok(Dialect::OAuth),
        Some("application/json") => Ok(Dialect::Simple),
        found => Err(Refusal::new(
            Reason::ContentTypeUnsupported,
            format!(
                "the Content-Type is {}; application/x-www-form-urlencoded or application/json is expected",
                found.map_or_else(|| "absent".to_owned(), cut)
            ),
        )),
    }
}

/// Counts a request that is refused without a look at its token.
fn turn_away(site: &Site, reason: Reason, request_id: &str) {
    site.metrics.turned_away(reason);
    site.sampled.count(reason, request_id, site.clock.as_ref());
}
