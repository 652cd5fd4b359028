//! Everything that the routes share.

use std::sync::Arc;

use super::{Guards, Issuers, Lasting, Standing};
use crate::clock::Clock;
use crate::config::Proxies;
use crate::grant::{Exchange, Grants};
use crate::random::Random;
use crate::upstream::Degraded;

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
    /// Which sources of upstream keys fail.
    pub degraded: Arc<Degraded>,
    /// What outlives the site: what is counted, and whether it drains.
    pub lasting: Arc<Lasting>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where request ids come from.
    pub random: Arc<dyn Random>,
    /// What `/metrics` reads besides.
    pub standing: Standing,
}

impl Site {
    /// Whether everything works; where it does not, exchanges may still do.
    pub(super) fn is_whole(&self) -> bool {
        self.degraded.is_none() && self.lasting.reloads.is_current()
    }
}
