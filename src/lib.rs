//! Remint: a token-exchange service (STS) for machines.
//!
//! A workload hands over the token that it already holds; Remint verifies it against that issuer's
//! keys, applies the operator's rules, and mints a new token signed with its own.

pub mod app;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod grant;
pub mod http;
pub mod jose;
mod keyfile;
pub mod oauth;
pub mod policy;
pub mod random;
pub mod upstream;
