//! Opaque access tokens, for which the userinfo endpoint of their issuer vouches.
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

mod cache;
mod commands;
mod configuration;
mod decision;
mod floods;
mod refused;
mod trouble;

use std::fmt::Write as _;

use serde_json::{Value, json};
use support::http::Reply;
use support::issuer::{Answer, DISCOVERY, Issuer, JWKS};
use support::keys::RSA;
use support::server::{EXCHANGE, Server, Site};

/// A token as GitHub makes them.
const TOKEN: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const USERINFO: &str = "/userinfo";

/// The issuer of the connector `ci`, which signs its tokens.
const CI: &str = "https://ci.example";

/// What the conditions of [`site`] admit.
fn ada() -> Value {
    json!({"sub": "ada", "name": "Ada", "groups": ["ci"], "level": 7, "email_verified": true})
}

/// An issuer whose userinfo endpoint takes every token for Ada's.
fn issuer() -> Issuer {
    let issuer = Issuer::start(&[RSA.jwk("k")]);
    let url = &issuer.url;
    discovery(&issuer, &json!(format!("{url}{USERINFO}")));
    answers(&issuer, &ada());
    issuer
}

/// Has the issuer's discovery name this userinfo endpoint.
fn discovery(issuer: &Issuer, endpoint: &Value) {
    let url = &issuer.url;
    let document =
        json!({"issuer": url, "jwks_uri": format!("{url}{JWKS}"), "userinfo_endpoint": endpoint});
    issuer.set(DISCOVERY, Answer::Document(document.to_string()));
}

/// Has the userinfo endpoint answer this to every token.
fn answers(issuer: &Issuer, userinfo: &Value) {
    issuer.set(USERINFO, Answer::Document(userinfo.to_string()));
}

/// The connector `idp` for this issuer, with further lines.
fn connector(issuer: &str, lines: &str) -> String {
    let mut text = format!("[[connectors]]\nid = \"idp\"\nissuer = \"{issuer}\"\n");
    for (key, value) in [
        ("audiences", "[\"https://sts.example.com\"]"),
        ("allow", "[\"'ci' in claims.groups\"]"),
        ("targets", "[\"https://api.example.com\"]"),
        ("get_user_info", "true"),
    ] {
        if !lines.lines().any(|line| line.starts_with(key)) {
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    format!("{text}{lines}\n")
}

fn site(issuer: &Issuer, lines: &str) -> Site {
    Site::new().tables(&connector(&issuer.url, lines))
}

/// Exchanges an access token by the connector `idp`.
fn exchange(server: &Server, token: &str, further: &[(&str, &str)]) -> Reply {
    let own = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("connector_id", "idp"),
    ];
    server.form(&[&own, further].concat())
}

fn simple(server: &Server, token: &str) -> Reply {
    server.simple(&json!({"token": token, "connector_id": "idp"}))
}

/// Status, `error` and `reason` of a refusal.
fn refusal(status: u16, error: &str, reason: &str) -> (u16, String, String) {
    (status, error.to_owned(), reason.to_owned())
}
