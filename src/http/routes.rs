//! The routes: one look-up by path, then the method.

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

use super::issuers::Found;
use super::reply::{self, Dialect};
use super::serve::Peer;
use super::{Site, request_id, token};
use crate::oauth::{Reason, Refusal};

/// Every route of a site; it answers each request, also those for unknown paths.
pub fn routes(site: Arc<Site>) -> BoxedFilter<(Response,)> {
    warp::any()
        .map(move || Arc::clone(&site))
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Peer>())
        .and(warp::body::stream())
        .then(answer_or_fail)
        .map(Reply::into_response)
        .boxed()
}

/// The head of a request, and the id that its reply carries.
struct Head {
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    peer: Option<Peer>,
    id: String,
}

/// Answers, also where a defect makes the answer panic: the caller gets its request id, the log the rest.
async fn answer_or_fail(
    site: Arc<Site>,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    peer: Option<Peer>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let head = Head {
        id: request_id::of(&headers, site.clock.as_ref(), site.random.as_ref()),
        method,
        path,
        headers,
        peer,
    };
    let answer = AssertUnwindSafe(answer(&site, &head, body));
    let response = answer.catch_unwind().await.unwrap_or_else(|_| {
        let reason = Reason::Internal.code();
        tracing::error!(target: "audit", outcome = "error", reason, request_id = head.id);
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
    let path = head.path.as_str();
    if let Some((status, word)) = health(site, path) {
        return read_only(method, id, || reply::health(status, word));
    }
    match site.issuers.find(&head.headers, path) {
        Ok(Some(Found::Token(issuer))) if method == Method::POST => {
            let call = token::Call {
                issuer: &issuer,
                headers: &head.headers,
                remote: head.peer.and_then(|peer| peer.0),
                request_id: id,
            };
            token::handle(site, &call, body).await
        }
        Ok(Some(Found::Token(_))) => reply::method_not_allowed("POST", id),
        Ok(Some(Found::Document(document))) => read_only(method, id, || {
            reply::document(&document, tags(&head.headers))
        }),
        Ok(None) => {
            let refusal = Refusal::new(Reason::NotFound, "there is nothing at this path");
            reply::refusal(&refusal, Dialect::OAuth, id)
        }
        Err(refusal) => reply::refusal(&refusal, Dialect::OAuth, id),
    }
}

/// What is only fetched takes GET and HEAD.
fn read_only(method: &Method, id: &str, reply: impl FnOnce() -> Response) -> Response {
    if method == Method::GET || method == Method::HEAD {
        reply()
    } else {
        reply::method_not_allowed("GET, HEAD", id)
    }
}

fn tags(headers: &HeaderMap) -> Option<&str> {
    headers.get(IF_NONE_MATCH)?.to_str().ok()
}

/// What a health path says; these stand at the root, whatever the issuer's path is.
fn health(site: &Site, path: &str) -> Option<(StatusCode, &'static str)> {
    match path {
        "/healthz/live" => Some((StatusCode::OK, "ok")),
        "/healthz" | "/healthz/ready" if site.health.is_draining() => {
            Some((StatusCode::SERVICE_UNAVAILABLE, "draining"))
        }
        "/healthz" | "/healthz/ready" if site.health.is_whole() => Some((StatusCode::OK, "ok")),
        "/healthz" | "/healthz/ready" => Some((StatusCode::OK, "degraded")),
        _ => None,
    }
}
