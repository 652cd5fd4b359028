//! Reloads of a running server: what changes, what stays, and that no request notices.
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

mod changes;
mod load;
mod noticed;
mod rejected;
mod tls;
mod upstreams;
mod world;
