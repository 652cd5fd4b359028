//! What `/healthz*` says: a word for everybody, details on the admin listener.

use serde_json::{Map, Value, json};
use warp::http::StatusCode;

use super::Site;
use crate::upstream::{SourceState, SourceStatus};

/// The status and the word for a health path; `None` for any other path.
pub(super) fn find(site: &Site, path: &str) -> Option<(StatusCode, &'static str)> {
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

/// The word alone.
pub(super) fn brief(word: &str) -> Value {
    json!({ "status": word })
}

/// The word and what stands behind it; nothing in it is secret.
pub(super) fn detailed(site: &Site, word: &str) -> Value {
    let keys = site.exchange.keyring().keys();
    let signing: Map<String, Value> = keys
        .filter(|(_, signs)| *signs)
        .map(|(key, _)| (key.alg().name().to_owned(), key.kid().into()))
        .collect();
    let connectors = site.exchange.connectors().iter();
    let connectors: Map<String, Value> = connectors
        .map(|connector| (connector.id.to_string(), source(&connector.keys.status())))
        .collect();
    json!({
        "status": word,
        "draining": site.health.is_draining(),
        "signing": signing,
        "connectors": connectors,
    })
}

fn source(status: &SourceStatus) -> Value {
    let (state, age, keys) = match &status.state {
        SourceState::NeverFetched => ("never_fetched", None, 0),
        SourceState::Fresh { age, keys } => ("fresh", Some(age), *keys),
        SourceState::Stale { age, keys } => ("stale", Some(age), *keys),
        SourceState::Failed => ("failed", None, 0),
    };
    json!({
        "state": state,
        "keys": keys,
        "age_seconds": age.map(std::time::Duration::as_secs),
        "last_error": status.last_error.as_ref().map(ToString::to_string),
        "retry_in_seconds": status.retry_in.map(|wait| wait.as_secs()),
    })
}
