//! What callers may take up, and tokens that may be used once: the real program, real sockets, real keys.
#![cfg(test)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot go on must fail"
)]

#[path = "../support/mod.rs"]
mod support;

mod ages;
mod bodies;
mod concurrent;
mod rates;
mod replay;
#[cfg(feature = "redis")]
mod store;

use std::thread;

use serde_json::Value;
use support::http::Reply;
use support::keys::RSA;
use support::server::{EXCHANGE, JWT, Server};
use support::{http, shapes, tokens};

/// The issuer of the connector `ci`.
const CI: &str = "https://ci.example";

/// A GitLab job's token with some claims replaced; a `null` takes one away.
fn job(changes: Value) -> String {
    let claims = shapes::with(shapes::gitlab(CI), changes);
    tokens::token(&claims, &RSA, "RS256", "k1")
}

/// A token exchange with further headers.
fn exchange(server: &Server, headers: &[(&str, &str)], token: &str) -> Reply {
    server.form_with(
        headers,
        &[
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", JWT),
        ],
    )
}

/// What so many callers get who ask at once.
fn at_once(callers: usize, ask: impl Fn(usize) -> Reply + Sync) -> Vec<Reply> {
    thread::scope(|scope| {
        let ask = &ask;
        let asking: Vec<_> = (0..callers)
            .map(|number| scope.spawn(move || ask(number)))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// The lines of `/metrics` on the admin listener.
fn metrics(server: &Server) -> String {
    let admin = server.logged("the line of the admin listener", |line| {
        let words = line["message"].as_str()?;
        words.split_once("admin on http://")?.1.parse().ok()
    });
    http::send(admin, "GET", "/metrics", &[], b"")
        .text()
        .to_owned()
}

/// The value of the metric with these labels.
fn metric(server: &Server, sample: &str) -> u64 {
    let text = metrics(server);
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
    line.trim().parse().unwrap()
}
