//! The ways to get a token, and what all of them share.

mod advice;
mod audit;
mod client_credentials;
mod connectors;
mod exchange;
mod mint;
mod opaque;
mod registry;
mod simple;
mod subject;
mod token_exchange;
mod turns;

pub use audit::{Event, Outcome, RequestFacts};
pub use client_credentials::ClientCredentials;
pub use connectors::{Connector, Connectors, Lookup};
pub use exchange::{Exchange, Issuable, Request, Secret};
pub use mint::{Draft, Issued, Minter, Unsigned};
pub use registry::{Call, Caller, Grant, Grants, Redeem, Redeemed};
pub use simple::Simple;
pub use token_exchange::TokenExchange;
