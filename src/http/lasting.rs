//! What outlives a configuration: whatever a reload must not reset stands here, and each site gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Metrics, Reloads, Sampled};

/// The state of one instance over all its configurations.
#[derive(Debug)]
pub struct Lasting {
    /// What is counted, and where the accept loops count.
    pub metrics: Metrics,
    /// Which refusals are too cheap for an audit event each.
    pub sampled: Arc<Sampled>,
    /// How reloads went.
    pub reloads: Arc<Reloads>,
    draining: AtomicBool,
}

impl Default for Lasting {
    fn default() -> Self {
        Self::new()
    }
}

impl Lasting {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        let reloads = Arc::<Reloads>::default();
        Self {
            metrics: Metrics::new(&reloads),
            sampled: Arc::default(),
            reloads,
            draining: AtomicBool::new(false),
        }
    }

    /// New work should go elsewhere from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether new work should go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
