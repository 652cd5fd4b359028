//! One source's kept keys: read once, before its first fetch ends, and written after good ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::jose::KeySet;

use super::record::{Record, digest};
use super::store::{Job, Ledger, Store};

/// How old the file may grow while the same document is fetched again and again.
const REWRITE_AFTER: Duration = Duration::from_secs(10 * 60);

/// Where one source keeps its keys.
#[derive(Debug)]
pub(super) struct Kept {
    store: Arc<Store>,
    source: String,
    location: String,
    tried: OnceCell<()>,
    ledger: Arc<Ledger>,
}

/// Keys that an earlier run fetched.
pub(super) struct Restored {
    pub(super) keys: KeySet,
    pub(super) age: Duration,
}

/// How often a source's keys were written to the state directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateWrites {
    /// How many writes succeeded.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
}

impl Kept {
    /// The place of the source with this digest; `location` is noted for whoever looks into the file.
    pub(super) fn new(store: Arc<Store>, source: String, location: String) -> Self {
        Self {
            store,
            source,
            location,
            tried: OnceCell::new(),
            ledger: Arc::default(),
        }
    }

    /// The digest of the source.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// Whether the file is still to be read.
    pub(super) fn is_untried(&self) -> bool {
        self.store.is_running() && !self.tried.initialized()
    }

    /// Reads the file, the first time only, and gives what can be used to `install`; others wait for it meanwhile.
    pub(super) async fn restore(&self, install: impl FnOnce(Restored)) {
        if !self.store.is_running() {
            return;
        }
        let restored = || async {
            if let Some(restored) = self.read().await {
                install(restored);
            }
        };
        self.tried.get_or_init(restored).await;
    }

    async fn read(&self) -> Option<Restored> {
        let record = self.store.read(&self.source).await?;
        let fetched_at = Duration::from_secs(record.fetched_at);
        match KeySet::parse(&record.document) {
            Ok((keys, _)) => {
                self.ledger.note(&record);
                let age = self.store.unix().saturating_sub(fetched_at);
                Some(Restored { keys, age })
            }
            Err(error) => {
                self.store.warn_unused(&self.source, &error.to_string());
                None
            }
        }
    }

    /// Has a document written that was just fetched and found good, unless the file says the same and is not old.
    pub(super) fn keep(&self, document: Vec<u8>) {
        if !self.store.is_running() {
            return;
        }
        let now = self.store.unix();
        if let Some((last, at)) = self.ledger.last()
            && last == digest(&document)
            // A file from the future would not be believed, so it is written anew.
            && now.checked_sub(Duration::from_secs(at)).is_some_and(|age| age < REWRITE_AFTER)
        {
            return;
        }
        let record = Record {
            fetched_at: now.as_secs(),
            document,
        };
        let job = Job {
            record,
            location: self.location.clone(),
            ledger: Arc::clone(&self.ledger),
        };
        self.store.write(&self.source, job);
    }

    pub(super) fn writes(&self) -> StateWrites {
        StateWrites {
            succeeded: self.ledger.written.load(Ordering::Relaxed),
            failed: self.ledger.failed.load(Ordering::Relaxed),
        }
    }
}
