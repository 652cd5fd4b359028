//! Upstream keys: where each connector's keys come from, how they are fetched, and for how long they count.

mod client;
mod discovery;
mod error;
mod fetch;
mod flight;
mod maintenance;
mod origin;
mod proxies;
mod public;
mod seen;
mod snapshot;
mod source;
mod spec;
mod state;
mod status;
mod web;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;

use client::{LazyClient, Roots};
use fetch::Fetcher;
use seen::SeenKids;
use spec::SourceKey;

pub use crate::jose::CandidateKeys as Found;
pub use error::{FetchError, KeysError, SourceError, UnavailableKind};
pub use maintenance::Maintenance;
pub use public::{PublicClient, PublicDocument};
pub use source::KeySource;
pub use spec::{Location, SourceSpec};
pub use status::{SourceState, SourceStatus};

/// Every key source of a configuration; connectors that read the same keys with the same rights share one.
pub struct Upstreams {
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<KeySource>>,
    shared: HashMap<SourceKey, Arc<KeySource>>,
    clients: HashMap<Roots, Arc<LazyClient>>,
    seen: SeenKids,
}

impl Upstreams {
    /// No sources yet; ages and back-offs count by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sources: Vec::new(),
            shared: HashMap::new(),
            clients: HashMap::new(),
            seen: SeenKids::new(),
        }
    }

    /// The source of a connector's keys, new or shared; nothing is fetched. Errors name the configuration key.
    pub fn add(
        &mut self,
        connector_id: &str,
        spec: &SourceSpec,
    ) -> Result<Arc<KeySource>, SourceError> {
        let key = SourceKey::of(spec);
        let source = if let Some(source) = self.shared.get(&key) {
            Arc::clone(source)
        } else {
            let fetcher = Fetcher::new(spec, |loopback| {
                self.client(Roots {
                    ca_file: spec.ca_file.clone(),
                    loopback,
                })
            })?;
            let seen = self.seen.of(self.sources.len());
            let source = Arc::new(KeySource::new(Arc::clone(&self.clock), fetcher, seen));
            self.sources.push(Arc::clone(&source));
            self.shared.insert(key, Arc::clone(&source));
            source
        };
        source.serve(connector_id, spec.max_age, spec.timeout);
        Ok(source)
    }

    /// The sources, in the order in which they were added.
    pub fn sources(&self) -> &[Arc<KeySource>] {
        &self.sources
    }

    /// Starts warming, refreshing and retrying in the background, eight fetches at a time; needs a Tokio runtime.
    pub fn start(&self) -> Maintenance {
        Maintenance::of(self.sources.clone())
    }

    /// The proxies that the environment sets for upstream requests, without passwords; `None` where it sets none.
    pub fn proxies() -> Option<String> {
        proxies::describe(|name| std::env::var(name).ok())
    }

    fn client(&mut self, roots: Roots) -> Result<Arc<LazyClient>, SourceError> {
        if let Some(client) = self.clients.get(&roots) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(match &roots.ca_file {
            Some(ca_file) => LazyClient::with_roots(ca_file, roots.loopback)?,
            None => LazyClient::with_machine_roots(roots.loopback),
        });
        self.clients.insert(roots, Arc::clone(&client));
        Ok(client)
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.sources).finish()
    }
}
