//! What a test of the binary stands on: the process, an upstream issuer, and plain HTTP.
#![allow(
    dead_code,
    reason = "two binaries include this, and neither uses all of it"
)]

pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod site;
pub(crate) mod upstream;
