//! `remint publish` and `check --online` from outside: what a plain file server gives to verifiers.
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

mod files;
mod roots;
mod stale;
mod web;
