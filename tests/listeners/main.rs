//! Listeners of every kind and role, from outside: the real binary, its sockets, its end.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "tests"
)]

#[path = "../support/authority.rs"]
#[allow(dead_code, reason = "certificates for other hosts are for others")]
mod authority;
mod ending;
mod health;
mod hosts;
mod passed;
mod proxies;
mod roles;
mod server;
mod sockets;
mod tls;
