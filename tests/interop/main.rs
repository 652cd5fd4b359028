//! Other people's verifiers, clients and jobs, against a running Remint.
//!
//! `tests/interop/setup.sh` installs the libraries; without it these tests fail, and say so.
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
mod clients;
mod jobs;
mod verifiers;
