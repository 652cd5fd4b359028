//! `/token` and the public documents as a caller meets them: the real program, real sockets, real keys.
#![cfg(test)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot go on must fail"
)]

#[path = "../support/mod.rs"]
mod support;

mod actors;
mod conditions;
mod documents;
mod helpful;
mod minted;
mod near_misses;
mod odd_bodies;
mod order;
mod parameters;
mod replies;
mod shared;
mod signature;
mod simple;
mod targets;
mod times;
mod token_shape;
mod transport;
mod upstreams;

use serde_json::Value;
use support::keys::RSA;
use support::{shapes, tokens};

/// The issuer of the connector `ci`.
const CI: &str = "https://ci.example";

/// A GitLab job's claims from the issuer of the connector `ci`.
fn job() -> Value {
    shapes::gitlab(CI)
}

/// A job's claims with some replaced; a `null` takes one away.
fn job_with(changes: Value) -> Value {
    shapes::with(job(), changes)
}

/// A token with these claims, signed with RS256 and the key `k1`.
fn signed(claims: &Value) -> String {
    tokens::token(claims, &RSA, "RS256", "k1")
}
