//! What the tests of the running program share: keys and tokens of foreign issuers, issuers that break,
//! a small HTTP client, and the program itself.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod authority;
pub(crate) mod fragments;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod server;
pub(crate) mod shapes;
pub(crate) mod tokens;

use std::time::Duration;

use remint::clock::{Clock, SystemClock};

/// The longest that anything which should happen is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    SystemClock::new().unix().as_secs()
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = SystemClock::new();
    let end = clock.monotonic() + PATIENCE;
    while !condition() {
        assert!(clock.monotonic() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
