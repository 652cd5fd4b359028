//! The routes: one look-up by path, then the method.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Buf;
use futures_util::{FutureExt, Stream};
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::http::header::IF_NONE_MATCH;
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use super::documents::Document;
use super::forwarded::{self, Remote};
use super::issuers::Found;
use super::reply::{self, Dialect};
use super::serve::{HostProblem, OverTls, Peer};
use super::{Current, Site, health, request_id, token};
use crate::oauth::{Reason, Refusal};

/// What a listener is for: it serves this and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything that callers need: tokens, the public documents, health.
    Main,
    /// What the world may see: the public documents and health.
    Metadata,
    /// What operators need: health with details, and metrics.
    Admin,
}

/// What a path is on the listeners of one role.
enum Route<'a> {
    Token(Result<Cow<'a, str>, Refusal>),
    Document(Cow<'a, Document>),
    Health(StatusCode, &'static str),
    Metrics,
}

/// The routes of the site in force on the listeners of one role; they answer each request, also those for
/// unknown paths.
pub fn routes(current: Arc<Current>, role: Role) -> BoxedFilter<(Response,)> {
    let origin = warp::ext::optional::<Peer>()
        .and(warp::ext::optional::<OverTls>())
        .and(warp::ext::optional::<HostProblem>())
        .map(|peer, over_tls: Option<OverTls>, problem| (peer, over_tls.is_some(), problem));
    warp::any()
        .map(move || (current.take(), role))
        .untuple_one()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(origin)
        .and(warp::body::stream())
        .then(answer_or_fail)
        .map(Reply::into_response)
        .boxed()
}

/// The head of a request, the role of its listener, and the id that its reply carries.
struct Head {
    role: Role,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    /// Where it comes from.
    remote: Option<Remote>,
    is_https: bool,
    host_problem: Option<HostProblem>,
    id: String,
}

/// Answers, also where a defect makes the answer panic: the caller gets its request id, the log the rest.
async fn answer_or_fail(
    site: Arc<Site>,
    role: Role,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    (peer, over_tls, host_problem): (Option<Peer>, bool, Option<HostProblem>),
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let proxies = &site.proxies;
    let head = Head {
        role,
        id: request_id::of(&headers, site.clock.as_ref(), site.random.as_ref()),
        method,
        path,
        remote: forwarded::remote(&headers, peer, proxies),
        is_https: forwarded::is_https(&headers, peer, over_tls, proxies),
        host_problem,
        headers,
    };
    let answer = AssertUnwindSafe(answer(&site, &head, body));
    let response = answer.catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(request_id = head.id, "a defect made the answer panic");
        let refusal = Refusal::new(Reason::Internal, "a defect");
        reply::refusal(&refusal, Dialect::OAuth, &head.id)
    });
    reply::with_request_id(response, &head.id)
}

async fn answer(
    site: &Site,
    head: &Head,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let (method, id) = (&head.method, head.id.as_str());
    if let Some(HostProblem(problem)) = head.host_problem {
        let refusal = Refusal::new(Reason::HeadMalformed, problem);
        return reply::last(reply::refusal(&refusal, Dialect::OAuth, id));
    }
    let is_read = method == Method::GET || method == Method::HEAD;
    match find(site, head) {
        Ok(Some(Route::Token(issuer))) if method == Method::POST => {
            let call = token::Call {
                issuer: issuer.as_deref(),
                headers: &head.headers,
                remote: head.remote,
                request_id: id,
            };
            token::handle(site, &call, body).await
        }
        Ok(Some(Route::Token(_))) => reply::method_not_allowed("POST", id),
        Ok(Some(_)) if !is_read => reply::method_not_allowed("GET, HEAD", id),
        Ok(Some(Route::Document(document))) => reply::document(&document, tags(&head.headers)),
        Ok(Some(Route::Health(status, word))) if head.role == Role::Admin => {
            reply::health(status, &health::detailed(site, word))
        }
        Ok(Some(Route::Health(status, word))) => reply::health(status, &health::brief(word)),
        Ok(Some(Route::Metrics)) => reply::metrics(site.lasting.metrics.text(site)),
        Ok(None) => reply::refusal(&not_found(site, head), Dialect::OAuth, id),
        Err(refusal) => reply::refusal(&refusal, Dialect::OAuth, id),
    }
}

/// What `path` is; health and metrics stand at the root, whatever the issuer's path is.
fn find<'a>(site: &'a Site, head: &Head) -> Result<Option<Route<'a>>, Refusal> {
    let (role, path) = (head.role, head.path.as_str());
    if let Some((status, word)) = health::find(site, path) {
        return Ok(Some(Route::Health(status, word)));
    }
    if role == Role::Admin {
        return Ok((path == "/metrics").then_some(Route::Metrics));
    }
    let clock = site.clock.as_ref();
    let found = site
        .issuers
        .find(&head.headers, head.is_https, path, clock)?;
    Ok(found.and_then(|found| match found {
        Found::Token(issuer) => (role == Role::Main).then_some(Route::Token(issuer)),
        Found::Document(document) => Some(Route::Document(document)),
    }))
}

/// Says what there is on this listener instead.
fn not_found(site: &Site, head: &Head) -> Refusal {
    let base = site.issuers.nearest_base(&head.headers, head.path.as_str());
    let documents =
        format!("GET {base}/.well-known/openid-configuration, GET {base}/.well-known/jwks.json");
    let words = match head.role {
        Role::Main => {
            format!("tokens are at POST {base}/token, the public documents at {documents}")
        }
        Role::Metadata => format!("this listener serves only metadata: {documents}, GET /healthz"),
        Role::Admin => "this listener serves only GET /healthz and GET /metrics".to_owned(),
    };
    Refusal::new(
        Reason::NotFound,
        format!("there is nothing at this path; {words}"),
    )
}

fn tags(headers: &HeaderMap) -> Option<&str> {
    headers.get(IF_NONE_MATCH)?.to_str().ok()
}
