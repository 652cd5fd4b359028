//! Upstream keys: where each connector's keys come from, how they are fetched, and for how long they count.

mod client;
mod discovery;
mod error;
mod fetch;
mod flight;
mod folder;
mod kept;
mod maintenance;
mod origin;
mod proxies;
mod public;
mod record;
mod seen;
mod snapshot;
mod source;
mod spec;
mod state;
mod status;
mod store;
mod web;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;

use client::{LazyClient, Roots};
use fetch::Fetcher;
use kept::Kept;
use seen::SeenKids;
use spec::SourceKey;
use store::Store;

pub use crate::jose::CandidateKeys as Found;
pub use error::{FetchError, KeysError, SourceError, UnavailableKind};
pub use folder::FolderProblem;
pub use kept::StateWrites;
pub use maintenance::Maintenance;
pub use public::{PublicClient, PublicDocument};
pub use source::KeySource;
pub use spec::{Location, SourceSpec};
pub use status::{Degraded, SourceState, SourceStatus};

/// Every key source of a configuration; connectors that read the same keys with the same rights share one.
pub struct Upstreams {
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<KeySource>>,
    shared: HashMap<SourceKey, Arc<KeySource>>,
    clients: HashMap<Roots, Arc<LazyClient>>,
    seen: SeenKids,
    store: Option<Arc<Store>>,
    degraded: Arc<Degraded>,
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
            store: None,
            degraded: Arc::default(),
        }
    }

    /// Has the keys of sources that are added from now on kept in `folder`, once the upkeep has started; says what is
    /// wrong with it. Nothing is written yet.
    pub fn keep_in(&mut self, folder: &Path) -> Option<FolderProblem> {
        let store = Arc::new(Store::new(folder, Arc::clone(&self.clock)));
        let problem = store.problem();
        self.store = Some(store);
        problem
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
            let kept = match (&self.store, &spec.location) {
                (None, _) | (_, Location::JwksFile(_)) => None,
                (Some(store), _) => Some(Kept::new(
                    Arc::clone(store),
                    key.digest(),
                    fetcher.location(),
                )),
            };
            let clock = Arc::clone(&self.clock);
            let source = Arc::new(KeySource::new(clock, fetcher, seen, kept));
            source.count_in(&self.degraded);
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
        if let Some(store) = &self.store {
            store.run();
        }
        Maintenance::of(self.sources.clone(), self.store.clone())
    }

    /// How many of the sources are degraded, always up to date and cheap to read.
    pub fn degraded(&self) -> Arc<Degraded> {
        Arc::clone(&self.degraded)
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
