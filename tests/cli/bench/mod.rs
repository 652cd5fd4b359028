//! What a test of the binary stands on: the process, an upstream issuer, and plain HTTP.
#![allow(
    dead_code,
    reason = "several binaries include this, and none uses all of it"
)]

pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod site;
pub(crate) mod upstream;
