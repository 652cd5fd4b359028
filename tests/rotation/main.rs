//! Our own keys rotate: what the commands make of the key file, what a running server makes of time, and that no
//! verifier ever meets a key that it does not know.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "../cli/bench/mod.rs"]
mod bench;
#[path = "../support/mod.rs"]
mod support;

mod commands;
mod files;
mod instance;
mod killing;
mod removing;
mod running;
mod week;
mod world;
