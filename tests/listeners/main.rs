//! Listeners of every kind and role, from outside: the real binary, its sockets, its end.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests"
)]

mod ending;
mod health;
mod roles;
mod server;
mod sockets;
