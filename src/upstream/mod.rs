//! Upstream keys: where each connector's keys come from, how they are fetched, and for how long they count. Also the
//! userinfo endpoints that vouch for tokens without a signature.

mod access;
mod cause;
mod client;
mod discovery;
mod error;
mod fetch;
mod files;
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
mod terms;
mod userinfo;
mod web;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Clock;

use cause::Trust;
use client::{Authorities, LazyClient, Roots};
use fetch::Fetcher;
use kept::Kept;
use seen::SeenKids;
use spec::SourceKey;
use store::Store;
use terms::Terms;
use userinfo::{Answers, Counts};

pub use crate::jose::CandidateKeys as Found;
pub use client::machine_roots;
pub use error::{FetchError, KeysError, SourceError, UnavailableKind, UserinfoError};
pub use files::unreadable_file;
pub use folder::FolderProblem;
pub use kept::StateWrites;
pub use maintenance::Maintenance;
pub use public::{PublicClient, PublicDocument};
pub use source::KeySource;
pub use spec::{Location, SourceSpec};
pub use status::{Degraded, SourceState, SourceStatus};
pub use userinfo::{Probe, Userinfo};

/// Every key source of a configuration; connectors that read the same keys with the same rights share one.
pub struct Upstreams {
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<KeySource>>,
    shared: HashMap<SourceKey, Arc<KeySource>>,
    clients: HashMap<Roots, Arc<LazyClient>>,
    /// Every `ca_file`, read once: the client and the name of a source must come from the same content.
    authorities: HashMap<PathBuf, Arc<Authorities>>,
    seen: SeenKids,
    /// What userinfo endpoints said; a new configuration starts empty.
    answers: Answers,
    /// How often the userinfo endpoint of each connector was asked, over all reloads.
    asked: HashMap<String, Arc<Counts>>,
    /// How many sources there have been over all reloads: the number of the next one.
    made: usize,
    store: Option<Arc<Store>>,
    degraded: Arc<Degraded>,
    /// What was there before a reload, until everything is added.
    old: Option<Old>,
    /// What is asked of the sources that were taken over, once this set is in force.
    taken: HashMap<SourceKey, Terms>,
}

/// What a set of sources can take over from the one before it.
struct Old {
    shared: HashMap<SourceKey, Arc<KeySource>>,
    clients: HashMap<Roots, Arc<LazyClient>>,
    store: Option<Arc<Store>>,
}

impl Upstreams {
    /// No sources yet; ages and back-offs count by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sources: Vec::new(),
            shared: HashMap::new(),
            clients: HashMap::new(),
            authorities: HashMap::new(),
            seen: SeenKids::new(),
            answers: Answers::new(),
            asked: HashMap::new(),
            made: 0,
            store: None,
            degraded: Arc::default(),
            old: None,
            taken: HashMap::new(),
        }
    }

    /// No sources yet, but those of `old` are taken over where the same is added again: with their keys and counts.
    ///
    /// Nothing changes for `old` until [`Upstreams::start`].
    pub fn after(old: &Self) -> Self {
        Self {
            seen: old.seen.clone(),
            asked: old.asked.clone(),
            made: old.made,
            old: Some(Old {
                shared: old.shared.clone(),
                clients: old.clients.clone(),
                store: old.store.clone(),
            }),
            ..Self::new(Arc::clone(&old.clock))
        }
    }

    /// Has the keys of sources that are added from now on kept in `folder`, once the upkeep has started; says what is
    /// wrong with it. Nothing is written yet.
    pub fn keep_in(&mut self, folder: &Path) -> Option<FolderProblem> {
        let old = self.old.as_ref().and_then(|old| old.store.clone());
        let store = old
            .filter(|old| old.is_in(folder))
            .unwrap_or_else(|| Arc::new(Store::new(folder, Arc::clone(&self.clock))));
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
        let fetched = !matches!(spec.location, Location::JwksFile(_));
        let authorities = self.authorities(spec.ca_file.as_ref().filter(|_| fetched))?;
        let key = SourceKey::of(spec, authorities.as_ref().map(|found| found.digest()));
        let source = if let Some(source) = self.shared.get(&key) {
            Arc::clone(source)
        } else {
            let source = self.source(&key, spec, authorities.as_deref())?;
            source.count_in(&self.degraded);
            self.sources.push(Arc::clone(&source));
            self.shared.insert(key.clone(), Arc::clone(&source));
            source
        };
        match self.taken.get_mut(&key) {
            Some(terms) => terms.add(connector_id, spec.max_age, spec.timeout),
            None => source.serve(connector_id, spec.max_age, spec.timeout),
        }
        Ok(source)
    }

    /// The userinfo endpoint of a connector, at `uri` or where its discovery says; nothing is fetched. Errors name the
    /// configuration key.
    pub fn add_userinfo(
        &mut self,
        connector_id: &str,
        spec: &SourceSpec,
        uri: Option<&str>,
    ) -> Result<Arc<Userinfo>, SourceError> {
        let counts = self.asked.entry(connector_id.to_owned()).or_default();
        let counts = Arc::clone(counts);
        let (clock, answers) = (Arc::clone(&self.clock), self.answers.clone());
        let authorities = self.authorities(spec.ca_file.as_ref())?;
        let client = |loopback| self.client(authorities.as_deref(), loopback);
        let asked = (connector_id, spec, uri);
        Userinfo::new(asked, clock, answers, counts, client).map(Arc::new)
    }

    /// A new source, or the old one where nothing about it has changed.
    fn source(
        &mut self,
        key: &SourceKey,
        spec: &SourceSpec,
        authorities: Option<&Authorities>,
    ) -> Result<Arc<KeySource>, SourceError> {
        let fetcher = Fetcher::new(spec, |loopback| self.client(authorities, loopback))?;
        let store = self.store.as_ref();
        if let Some(old) = &self.old
            && let Some(source) = old.shared.get(key)
            && store.map(Arc::as_ptr) == old.store.as_ref().map(Arc::as_ptr)
        {
            self.taken.insert(key.clone(), Terms::default());
            return Ok(Arc::clone(source));
        }
        let seen = self.seen.of(self.made);
        self.made += 1;
        let kept = match (&self.store, &spec.location) {
            (None, _) | (_, Location::JwksFile(_)) => None,
            (Some(store), _) => Some(Kept::new(
                Arc::clone(store),
                key.digest(),
                fetcher.location(),
            )),
        };
        let clock = Arc::clone(&self.clock);
        Ok(Arc::new(KeySource::new(clock, fetcher, seen, kept)))
    }

    /// Lets go of what nothing was added for: sources that are gone must not live on in memory.
    pub fn complete(&mut self) {
        self.old = None;
    }

    /// The sources, in the order in which they were added.
    pub fn sources(&self) -> &[Arc<KeySource>] {
        &self.sources
    }

    /// Starts warming, refreshing and retrying in the background, eight fetches at a time; needs a Tokio runtime.
    ///
    /// What was taken over from an older set serves this one from now on.
    pub fn start(&self) -> Maintenance {
        for (key, terms) in &self.taken {
            if let Some(source) = self.shared.get(key) {
                source.serve_on(terms.clone());
            }
        }
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

    /// What a `ca_file` holds, where there is one.
    fn authorities(
        &mut self,
        ca_file: Option<&PathBuf>,
    ) -> Result<Option<Arc<Authorities>>, SourceError> {
        let Some(path) = ca_file else {
            return Ok(None);
        };
        if let Some(known) = self.authorities.get(path) {
            return Ok(Some(Arc::clone(known)));
        }
        let read = Arc::new(Authorities::read(path)?);
        self.authorities.insert(path.clone(), Arc::clone(&read));
        Ok(Some(read))
    }

    fn client(
        &mut self,
        authorities: Option<&Authorities>,
        loopback: bool,
    ) -> Result<Arc<LazyClient>, SourceError> {
        let roots = Roots {
            authorities: authorities.map(Authorities::digest),
            loopback,
        };
        if let Some(client) = self.clients.get(&roots) {
            return Ok(Arc::clone(client));
        }
        let old = self.old.as_ref().and_then(|old| old.clients.get(&roots));
        let client = match (old, authorities) {
            (Some(old), _) => Arc::clone(old),
            (None, Some(authorities)) => Arc::new(LazyClient::with_roots(authorities, loopback)?),
            (None, None) => Arc::new(LazyClient::with_machine_roots(loopback, Trust::Machine)),
        };
        self.clients.insert(roots, Arc::clone(&client));
        Ok(client)
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.sources).finish()
    }
}
