//! The real binary from outside: its commands, its exit codes, and what it prints where.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod bench;
mod check;
mod demo;
mod explain;
mod flood;
mod key_files;
mod keys;
mod logs;
mod messages;
mod online;
mod serve;
mod version;
