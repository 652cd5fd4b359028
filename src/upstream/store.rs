//! Keeps good keys on disk: one writer at a time, off the async threads, and never more waiting than one file a source.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Clock;

use super::folder::{Folder, FolderProblem};
use super::record::{Record, Unfit};

/// How many files are read at a time: a disk that hangs must not take every blocking thread.
const MOST_READERS: usize = 4;

/// How long reading one file may take; a fetch waits for it.
const LONGEST_READ: Duration = Duration::from_secs(2);

/// The state directory of one instance.
pub(super) struct Store {
    folder: Folder,
    clock: Arc<dyn Clock>,
    /// Only a running instance reads and writes; `check` and `explain` do not.
    running: AtomicBool,
    readers: Arc<Semaphore>,
    queue: Mutex<Queue>,
    failing: AtomicBool,
}

/// What waits to be written, the newest of each source.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<String, Job>,
    has_writer: bool,
}

/// One file to be written.
pub(super) struct Job {
    pub(super) record: Record,
    pub(super) location: String,
    pub(super) ledger: Arc<Ledger>,
}

/// What became of one source's writes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) written: AtomicU64,
    pub(super) failed: AtomicU64,
    /// The digest of the document that was written last or waits to be, and when that was fetched.
    last: Mutex<Option<([u8; 32], u64)>>,
}

impl Ledger {
    pub(super) fn last(&self) -> Option<([u8; 32], u64)> {
        *lock(&self.last)
    }

    pub(super) fn note(&self, record: &Record) {
        let digest = super::record::digest(&record.document);
        *lock(&self.last) = Some((digest, record.fetched_at));
    }

    /// The next good fetch writes, whatever it gives.
    fn fail(&self) {
        *lock(&self.last) = None;
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store {
    pub(super) fn new(folder: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: Folder::new(folder),
            clock,
            running: AtomicBool::new(false),
            readers: Arc::new(Semaphore::new(MOST_READERS)),
            queue: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Whether it keeps keys in `folder`.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.folder.is(folder)
    }

    /// What is wrong with the directory.
    pub(super) fn problem(&self) -> Option<FolderProblem> {
        self.folder.problem()
    }

    /// From now on keys are read and written.
    pub(super) fn run(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn unix(&self) -> Duration {
        self.clock.unix()
    }

    /// The kept keys of a source. What cannot be used is logged with its name and its cause.
    pub(super) async fn read(self: &Arc<Self>, source: &str) -> Option<Record> {
        let reading = self.read_file(source);
        let read = match tokio::time::timeout(LONGEST_READ, reading).await {
            Ok(read) => read,
            Err(_) => Err(format!("it could not be read within {LONGEST_READ:?}")),
        };
        let unfit = match read {
            Ok(bytes) => match Record::decode(&bytes?, source, self.unix()) {
                Ok(record) => return Some(record),
                Err(Unfit::TooOld) => {
                    let file = self.folder.path(source);
                    tracing::info!(target: "upstream", file = %file.display(), "kept keys are not used: {}", Unfit::TooOld);
                    return None;
                }
                Err(unfit) => unfit.to_string(),
            },
            Err(cause) => cause,
        };
        self.warn_unused(source, &unfit);
        None
    }

    /// Logs that a source's file is not used.
    pub(super) fn warn_unused(&self, source: &str, cause: &str) {
        let file = self.folder.path(source);
        tracing::warn!(target: "upstream", file = %file.display(), cause, "kept keys are not used; the next good fetch replaces them");
    }

    async fn read_file(self: &Arc<Self>, source: &str) -> Result<Option<Vec<u8>>, String> {
        let readers = Arc::clone(&self.readers);
        let place = readers.acquire_owned().await;
        let (this, source) = (Arc::clone(self), source.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            // The place is free again when the disk has answered, not when nobody waits for it any more.
            let _place = place;
            this.folder.read(&source)
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Has a source's file written soon; what waits already for the same source is replaced.
    pub(super) fn write(self: &Arc<Self>, source: &str, job: Job) {
        job.ledger.note(&job.record);
        let mut queue = lock(&self.queue);
        queue.waiting.insert(source.to_owned(), job);
        if queue.has_writer {
            return;
        }
        // Not a blocking task: the end of the process waits for those, however long a disk hangs.
        let this = Arc::clone(self);
        let writer = thread::Builder::new().name("keep-keys".to_owned());
        match writer.spawn(move || this.write_all()) {
            Ok(_) => queue.has_writer = true,
            Err(error) => {
                if let Some(job) = queue.waiting.remove(source) {
                    self.failed(source, &job, &error);
                }
            }
        }
    }

    fn write_all(&self) {
        loop {
            let next = {
                let mut queue = lock(&self.queue);
                let next = queue.waiting.pop_first();
                queue.has_writer = next.is_some();
                next
            };
            let Some((source, job)) = next else {
                return;
            };
            self.write_one(&source, &job);
        }
    }

    fn write_one(&self, source: &str, job: &Job) {
        let bytes = job.record.encode(source, &job.location);
        match self.folder.write(source, &bytes) {
            Ok(()) => {
                job.ledger.written.fetch_add(1, Ordering::Relaxed);
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(target: "upstream", "upstream keys can be kept again");
                }
            }
            Err(error) => self.failed(source, job, &error),
        }
    }

    fn failed(&self, source: &str, job: &Job, error: &io::Error) {
        job.ledger.fail();
        // Once until it works again: with many sources each fetch would say it.
        if !self.failing.swap(true, Ordering::Relaxed) {
            let file = self.folder.path(source);
            tracing::warn!(target: "upstream", file = %file.display(), cause = %error, "upstream keys cannot be kept: exchanges go on, but a restart during an outage would find old keys or none");
        }
    }

    /// Removes files that are of no use any more, off the async threads.
    pub(super) fn sweep(self: &Arc<Self>, configured: HashSet<String>) {
        let this = Arc::clone(self);
        let sweeper = thread::Builder::new().name("sweep-keys".to_owned());
        let swept = sweeper.spawn(move || match this.folder.sweep(&configured, this.unix()) {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(target: "upstream", removed, "old files of kept keys were removed");
            }
            Err(error) => {
                tracing::debug!(target: "upstream", cause = %error, "the state directory cannot be listed");
            }
        });
        // There is a next time.
        drop(swept);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.folder).finish()
    }
}

/// The guarded value, even where a panic has poisoned it: every change to it is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
