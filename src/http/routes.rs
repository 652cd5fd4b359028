//! The routes: one look-up by path, then the method.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::http::header::IF_NONE_MATCH;
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

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
        .then(answer)
        .map(Reply::into_response)
        .boxed()
}

async fn answer(
    site: Arc<Site>,
    method: Method,
    path: FullPath,
    headers: HeaderMap,
    peer: Option<Peer>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let id = request_id::of(&headers, site.clock.as_ref(), site.random.as_ref());
    let path = path.as_str();
    let response = if site.documents.is_token_endpoint(path) {
        if method == Method::POST {
            let remote = peer
                .and_then(|peer| peer.0)
                .map(|address| address.to_string());
            token::handle(&site, &headers, body, remote, &id).await
        } else {
            reply::method_not_allowed("POST", &id)
        }
    } else {
        read_only(&site, &method, path, &headers, &id)
    };
    reply::with_request_id(response, &id)
}

/// Everything that is fetched: documents and health.
fn read_only(site: &Site, method: &Method, path: &str, headers: &HeaderMap, id: &str) -> Response {
    let document = site.documents.find(path);
    let health = matches!(path, "/healthz" | "/healthz/ready" | "/healthz/live");
    if document.is_none() && !health {
        let refusal = Refusal::new(Reason::NotFound, "there is nothing at this path");
        return reply::refusal(&refusal, Dialect::OAuth, id);
    }
    if method != Method::GET && method != Method::HEAD {
        return reply::method_not_allowed("GET, HEAD", id);
    }
    match document {
        Some(document) => {
            let tags = headers
                .get(IF_NONE_MATCH)
                .and_then(|tags| tags.to_str().ok());
            reply::document(document, tags)
        }
        None if path == "/healthz/live" => reply::health(StatusCode::OK, "ok"),
        None if site.health.is_draining() => {
            reply::health(StatusCode::SERVICE_UNAVAILABLE, "draining")
        }
        None if site.health.is_whole() => reply::health(StatusCode::OK, "ok"),
        None => reply::health(StatusCode::OK, "degraded"),
    }
}
