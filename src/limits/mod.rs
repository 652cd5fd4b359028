//! What callers may take up of this service: how often they ask, how many are served at once, and the memory for
//! their bodies.

mod bodies;
mod gate;
mod network;
mod queue;
mod rate;

pub use bodies::{Bodies, Body, Receiving};
pub use gate::{Gate, Permit};
pub use network::Network;
pub use queue::{Place, Queue};
pub use rate::Rate;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::config;
use crate::oauth::{Reason, Refusal};

/// The rates of one instance, and how often they refused.
pub struct Limiter {
    address: Option<Rate<Network>>,
    client: Option<Rate<Arc<str>>>,
    clock: Arc<dyn Clock>,
    refused: [AtomicU64; 2],
}

/// A rate that refuses requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `rate_per_address`.
    Address,
    /// `rate_per_client`.
    Client,
}

impl Limiter {
    /// The rates that the configuration sets.
    pub fn new(limits: &config::Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            address: limits.rate_per_address.map(Rate::new),
            client: limits.rate_per_client.map(Rate::new),
            clock,
            refused: Default::default(),
        }
    }

    /// Counts a request from `network`; refuses it where there were too many. A request without an address passes.
    pub fn admit_address(&self, network: Option<Network>) -> Result<(), Refusal> {
        let (Some(rate), Some(network)) = (&self.address, network) else {
            return Ok(());
        };
        rate.take(network, self.clock.monotonic())
            .map_err(|after| self.refuse(Limit::Address, "this address", after))
    }

    /// Counts a request by the client with this id, which must have proved itself; refuses it where there were too many.
    pub fn admit_client(&self, id: &Arc<str>) -> Result<(), Refusal> {
        let Some(rate) = &self.client else {
            return Ok(());
        };
        rate.take(Arc::clone(id), self.clock.monotonic())
            .map_err(|after| self.refuse(Limit::Client, "this client", after))
    }

    /// How many requests this limit has refused.
    pub fn refused(&self, limit: Limit) -> u64 {
        self.counter(limit).load(Ordering::Relaxed)
    }

    fn counter(&self, limit: Limit) -> &AtomicU64 {
        let [address, client] = &self.refused;
        match limit {
            Limit::Address => address,
            Limit::Client => client,
        }
    }

    fn refuse(&self, limit: Limit, who: &str, after: Duration) -> Refusal {
        self.counter(limit).fetch_add(1, Ordering::Relaxed);
        Refusal::new(
            Reason::RateLimited,
            format!("too many token requests from {who}: slow down, and try again"),
        )
        .retry_after(after)
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}
