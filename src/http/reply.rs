//! The one place where a result becomes a response.

use bytes::Bytes;
use serde_json::json;
use warp::http::StatusCode;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use warp::reply::Response;

use super::accept::Form;
use super::documents::{Document, KEEP};
use super::{metrics, request_id};
use crate::grant::Redeemed;
use crate::oauth::{ErrorCode, Reason, Refusal, TokenResponse, TokenType, description_bytes};

/// As long as what stands around the token in most replies, in bytes.
const AROUND_TOKEN: usize = 256;

/// Which mapping of refusals to statuses applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 6749 §5.2.
    OAuth,
    /// The simple exchange, whose callers look at the status.
    Simple,
}

/// A successful token reply.
pub(super) fn token(redeemed: &Redeemed, form: Form) -> Response {
    let issued = &redeemed.issued;
    match form {
        Form::Bare => no_store(with_type("application/jwt", issued.token.clone())),
        Form::Object => {
            let object = TokenResponse {
                access_token: &issued.token,
                issued_token_type: redeemed.kind.map(TokenType::urn),
                token_type: redeemed.kind.map_or("Bearer", TokenType::usage),
                expires_in: issued.expires_in,
                scope: redeemed.scope.as_deref(),
                id_token: redeemed.id_token.as_deref(),
            };
            let mut body = Vec::with_capacity(issued.token.len() + AROUND_TOKEN);
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut body, &object);
            no_store(with_type("application/json", body))
        }
    }
}

/// The reply to a refused request.
pub(super) fn refusal(refusal: &Refusal, dialect: Dialect, request_id: &str) -> Response {
    let (status, code) = match dialect {
        Dialect::OAuth => refusal.reason.oauth(),
        Dialect::Simple => refusal.reason.simple(),
    };
    let description = match refusal.reason {
        // The cause of a defect is for the log alone.
        Reason::Internal => {
            "a defect in this service; its operator finds the request id in the log"
        }
        _ => refusal.description.as_str(),
    };
    let body = json!({
        "error": code.as_str(),
        "error_description": description_bytes(description),
        "reason": refusal.reason.code(),
        "request_id": request_id,
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = no_store(json_reply(status, &body));
    if let Some(after) = refusal.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        set(&mut response, RETRY_AFTER, &seconds.max(1).to_string());
    } else if code == ErrorCode::TemporarilyUnavailable {
        set(&mut response, RETRY_AFTER, "1");
    }
    if code == ErrorCode::InvalidClient {
        set(&mut response, WWW_AUTHENTICATE, "Basic realm=\"remint\"");
    }
    response
}

/// The response as the last one of its HTTP/1.1 connection.
pub(super) fn last(mut response: Response) -> Response {
    set(&mut response, CONNECTION, "close");
    response
}

/// A refused method, with those that are taken (RFC 9110 §15.5.6).
pub(super) fn method_not_allowed(allowed: &'static str, request_id: &str) -> Response {
    let words = format!("this path takes {allowed}");
    let mut response = refusal(
        &Refusal::new(Reason::MethodNotAllowed, words),
        Dialect::OAuth,
        request_id,
    );
    set(&mut response, ALLOW, allowed);
    response
}

/// A public document, or 304 where the caller has it already (RFC 9110 §13.1.2).
pub(super) fn document(document: &Document, if_none_match: Option<&str>) -> Response {
    let known = if_none_match.is_some_and(|tags| {
        tags.split(',')
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag == document.etag)
    });
    let mut response = if known {
        let mut response = Response::new(Bytes::new().into());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        with_type(document.content_type, document.body.clone())
    };
    set(&mut response, ETAG, &document.etag);
    let keep = if document.cacheable { KEEP } else { "no-store" };
    set(&mut response, CACHE_CONTROL, keep);
    set(&mut response, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    response
}

/// A health reply.
pub(super) fn health(status: StatusCode, body: &serde_json::Value) -> Response {
    no_store(json_reply(status, body))
}

/// Metrics in the `OpenMetrics` text format.
pub(super) fn metrics(text: String) -> Response {
    no_store(with_type(metrics::CONTENT_TYPE, text))
}

/// The response with the id of its request on it.
pub(super) fn with_request_id(mut response: Response, id: &str) -> Response {
    set(
        &mut response,
        HeaderName::from_static(request_id::HEADER),
        id,
    );
    response
}

fn json_reply(status: StatusCode, value: &impl serde::Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = with_type("application/json", body);
    *response.status_mut() = status;
    response
}

fn with_type(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// RFC 6749 §5.1: nothing may keep a reply that holds a token.
fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Sets a header whose value is our own; one that cannot stand in a header is left out.
fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
