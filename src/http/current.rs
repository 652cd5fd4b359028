//! What is in force: the site that requests are answered by, replaced as a whole.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Site;

/// The site in force. A request takes it once, at its beginning, and keeps it to its end; so no request sees two.
pub struct Current(ArcSwap<Site>);

impl Current {
    /// Begins with `site`.
    pub fn new(site: Arc<Site>) -> Self {
        Self(ArcSwap::new(site))
    }

    /// The site for one request; it takes no lock.
    pub fn take(&self) -> Arc<Site> {
        self.0.load_full()
    }

    /// Requests that begin from now on are answered by `site`.
    pub fn replace(&self, site: Arc<Site>) {
        self.0.store(site);
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
