//! The ways to get a token, and what all of them share.

mod audit;
mod connectors;
mod exchange;
mod mint;
mod registry;
mod simple;
mod subject;
mod token_exchange;

pub use audit::{Event, Outcome, RequestFacts, outcome};
pub use connectors::{Connector, Connectors, Lookup};
pub use exchange::{Exchange, Issuable, Request};
pub use mint::{Issued, Minter};
pub use registry::{Grant, Grants, Redeemed, authenticate};
pub use simple::Simple;
pub use token_exchange::TokenExchange;
