//! How reloads of the configuration went: for `/metrics` and `/healthz`.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The most findings of a rejected configuration that are kept; the log has them all.
const MOST_ERRORS: usize = 20;

/// The label `outcome`.
type Labels = [(&'static str, &'static str); 1];

const SUCCESS: Labels = [("outcome", "success")];
const FAILURE: Labels = [("outcome", "failure")];

/// What is counted, and why the last one failed.
#[derive(Debug)]
pub struct Reloads {
    pub(super) outcomes: Family<Labels, Counter>,
    rejected: ArcSwapOption<Rejected>,
}

/// A configuration that was not taken; an older one is in force.
#[derive(Debug)]
pub struct Rejected {
    /// When, by the monotonic clock.
    pub at: Duration,
    /// What is wrong with it, each with its path; the first ones.
    pub errors: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl Default for Reloads {
    fn default() -> Self {
        let outcomes = Family::<Labels, Counter>::default();
        // Both stand at 0 from the start, so that a first failure is a rise.
        for labels in [SUCCESS, FAILURE] {
            drop(outcomes.get_or_create(&labels));
        }
        Self {
            outcomes,
            rejected: ArcSwapOption::empty(),
        }
    }
}

impl Reloads {
    /// Counts a configuration that is in force now.
    pub fn succeed(&self) {
        self.outcomes.get_or_create(&SUCCESS).inc();
        self.rejected.store(None);
    }

    /// Counts one that was rejected at `at` because of these errors.
    pub fn fail(&self, at: Duration, mut errors: Vec<String>) {
        self.outcomes.get_or_create(&FAILURE).inc();
        let count = errors.len();
        errors.truncate(MOST_ERRORS);
        let rejected = Rejected { at, errors, count };
        self.rejected.store(Some(Arc::new(rejected)));
    }

    /// Why the file is not what is in force; `None` while it is.
    pub fn rejected(&self) -> Option<Arc<Rejected>> {
        self.rejected.load_full()
    }

    /// Whether what is in force is what was read last.
    pub fn is_current(&self) -> bool {
        self.rejected.load().is_none()
    }
}
