//! Clients from outside: how they prove who they are, what they may ask for, and what they get.
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

mod audiences;
mod authentication;
mod conditions;
mod credentials;
mod floods;
mod hidden;
mod issuers;
mod peers;
mod permissions;
mod refusals;
mod scopes;
mod secrets;
mod seeds;
mod trace;
mod ways_in;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use support::http::Reply;
use support::keys::RSA;
use support::server::{EXCHANGE, JWT, Server};
use support::{shapes, tokens};

/// The issuer of the connector `ci`.
const CI: &str = "https://ci.example";

/// A GitLab job's token with some claims replaced; a `null` takes one away.
fn job(changes: Value) -> String {
    let claims = shapes::with(shapes::gitlab(CI), changes);
    tokens::token(&claims, &RSA, "RS256", "k1")
}

/// The value of an `Authorization` header, with id and secret as they stand.
fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// A token exchange by the client with this header.
fn exchange(server: &Server, basic: &str, token: &str, further: &[(&str, &str)]) -> Reply {
    let own = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", JWT),
    ];
    server.form_with(&[("Authorization", basic)], &[&own, further].concat())
}

/// A client-credentials request by the client with this header.
fn own_token(server: &Server, basic: &str, further: &[(&str, &str)]) -> Reply {
    let own = [("grant_type", "client_credentials")];
    server.form_with(&[("Authorization", basic)], &[&own, further].concat())
}

/// A refusal as the caller sees it and as the audit has it.
#[track_caller]
fn refused(server: &Server, reply: &Reply, status: u16, error: &str, reason: &str) {
    let expected = (status, error.to_owned(), reason.to_owned());
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    let challenge = reply.header("www-authenticate");
    let expected = (error == "invalid_client").then_some("Basic realm=\"remint\"");
    assert_eq!(challenge, expected, "{}", reply.text());
    let event = server.audit(reply);
    assert_eq!(event["reason"], reason, "{event}");
    let outcome = if status < 500 { "refused" } else { "error" };
    assert_eq!(event["outcome"], outcome, "{event}");
}
