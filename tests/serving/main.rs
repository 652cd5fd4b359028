//! The accept loop over real sockets: every timeout and limit, and the shutdown.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod capacity;
mod heads;
mod http2;
mod requests;
mod server;
mod shutdown;
mod timeouts;
