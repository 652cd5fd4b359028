//! Clients that mean harm, against the running program: honest requests go on meanwhile, and memory comes back.
#![cfg(test)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot go on must fail"
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod bodies;
mod carried;
mod floods;
mod resets;
mod slow;
