//! Everything that the routes share.

use std::sync::Arc;

use super::sampled::Sampled;
use super::{Guards, Issuers, Metrics, Reloads, Standing};
use crate::clock::Clock;
use crate::config::Proxies;
use crate::grant::{Exchange, Grants};
use crate::random::Random;

/// What the routes of one issuer work with.
#[derive(Debug)]
pub struct Site {
    /// The enabled grants.
    pub grants: Grants,
    /// The exchange behind the simple form.
    pub exchange: Arc<Exchange>,
    /// The issuers that are answered for, and what stands under each.
    pub issuers: Issuers,
    /// Who is believed about where requests come from.
    pub proxies: Proxies,
    /// What callers may take up.
    pub guards: Guards,
    /// Whether everything works.
    pub health: Arc<dyn Health>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where request ids come from.
    pub random: Arc<dyn Random>,
    /// Refusals too cheap for an audit event each; they outlive the site.
    pub sampled: Arc<Sampled>,
    /// What `/metrics` counts; it outlives the site.
    pub metrics: Arc<Metrics>,
    /// What `/metrics` reads besides.
    pub standing: Standing,
    /// How reloads went.
    pub reloads: Arc<Reloads>,
}

/// What `/healthz` reports.
pub trait Health: std::fmt::Debug + Send + Sync {
    /// Whether everything works; where it does not, exchanges may still do.
    fn is_whole(&self) -> bool;

    /// Whether new work should go elsewhere.
    fn is_draining(&self) -> bool;
}
