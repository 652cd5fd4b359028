//! What `/healthz*` says: a word for everybody, details on the admin listener.

use serde_json::{Map, Value, json};
use warp::http::StatusCode;

use super::Site;
use crate::jose::KeyState;
use crate::upstream::{SourceState, SourceStatus};

/// The status and the word for a health path; `None` for any other path.
pub(super) fn find(site: &Site, path: &str) -> Option<(StatusCode, &'static str)> {
    match path {
        "/healthz/live" => Some((StatusCode::OK, "ok")),
        "/healthz" | "/healthz/ready" if site.lasting.is_draining() => {
            Some((StatusCode::SERVICE_UNAVAILABLE, "draining"))
        }
        "/healthz" | "/healthz/ready" if !signs(site) => {
            Some((StatusCode::SERVICE_UNAVAILABLE, "no_signing_key"))
        }
        "/healthz" | "/healthz/ready" if site.is_whole() => Some((StatusCode::OK, "ok")),
        "/healthz" | "/healthz/ready" => Some((StatusCode::OK, "degraded")),
        _ => None,
    }
}

/// Whether any key signs now: without one every request is refused.
fn signs(site: &Site) -> bool {
    let keys = site.exchange.keyring().at(site.clock.unix());
    keys.default_key().is_some()
}

/// The word alone.
pub(super) fn brief(word: &str) -> Value {
    json!({ "status": word })
}

/// The word and what stands behind it; nothing in it is secret.
pub(super) fn detailed(site: &Site, word: &str) -> Value {
    let keys = site.exchange.keyring().at(site.clock.unix());
    let signing: Map<String, Value> = keys
        .keys()
        .filter(|own| own.state == KeyState::Signing)
        .map(|own| (own.key.alg().name().to_owned(), own.key.kid().into()))
        .collect();
    let keys: Vec<Value> = keys.keys().map(|own| own.to_json()).collect();
    let connectors = site.exchange.connectors().iter();
    let connectors: Map<String, Value> = connectors
        .map(|connector| (connector.id.to_string(), source(&connector.keys.status())))
        .collect();
    json!({
        "status": word,
        "draining": site.lasting.is_draining(),
        "configuration": configuration(site),
        "signing": signing,
        "keys": keys,
        "connectors": connectors,
    })
}

/// Whether the configuration in force is the one that was read last, and if not, why.
fn configuration(site: &Site) -> Value {
    match site.lasting.reloads.rejected() {
        None => json!({ "state": "current" }),
        Some(rejected) => {
            let since = site.clock.monotonic().saturating_sub(rejected.at);
            json!({
                "state": "rejected",
                "rejected_seconds_ago": since.as_secs(),
                "errors": rejected.errors,
                "error_count": rejected.count,
            })
        }
    }
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
