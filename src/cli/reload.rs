//! When the configuration is read again, and what becomes of it: SIGHUP, or a change of a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::load::{self, Loaded};
use super::watch::Watched;
use super::{fixed, notify};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::problems::{Problem, Problems, Severity};
use crate::http::serve::Tls;
use crate::upstream::Maintenance;

/// How often the files are looked at. With all that follows a change is in force within 10 s.
const ROUND: Duration = Duration::from_secs(3);

/// How long files must stay as they are before they are read: whoever writes several, or a long one, needs a while.
const SETTLE: Duration = Duration::from_millis(500);

/// How often that is waited for at most.
const MOST_SETTLING: usize = 4;

/// How often a source is asked whether it was tried.
const TELL: Duration = Duration::from_millis(50);

/// What a reload works with, from one to the next.
pub(super) struct Reloading {
    pub(super) config: PathBuf,
    pub(super) hangup: Hangup,
    /// The settings at start, for what cannot change.
    pub(super) started: Settings,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) watched: Watched,
    pub(super) clock: Arc<dyn Clock>,
}

/// SIGHUP. Once it is there it does not kill, so it comes before anybody is told that this process runs.
pub(super) struct Hangup(Signal);

impl Hangup {
    /// Takes the signal, or says why that cannot be.
    pub(super) fn listen() -> Result<Self, String> {
        signal(SignalKind::hangup())
            .map(Self)
            .map_err(|error| format!("SIGHUP cannot be handled: {error}"))
    }

    /// Waits for the next one; several that came meanwhile are one.
    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// A configuration in force, and the tasks that go with it; dropping it ends them.
pub(super) struct InForce {
    app: Arc<App>,
    _maintenance: Maintenance,
    telling: JoinHandle<()>,
}

impl InForce {
    /// The first one.
    pub(super) fn first(app: App) -> Self {
        let maintenance = app.start();
        let ids = app.connectors().iter().map(|connector| &*connector.id);
        let new = ids.map(str::to_owned).collect();
        Self::of(Arc::new(app), maintenance, new)
    }

    /// One that takes over from the one before it.
    fn next(app: App) -> Self {
        let untried = app.connectors().iter();
        let untried = untried.filter(|connector| connector.keys.status().is_untried());
        let new = untried.map(|connector| connector.id.to_string()).collect();
        let maintenance = app.take_over();
        Self::of(Arc::new(app), maintenance, new)
    }

    fn of(app: Arc<App>, maintenance: Maintenance, new: Vec<String>) -> Self {
        let telling = tokio::spawn(tell_connectors(Arc::clone(&app), new));
        Self {
            app,
            _maintenance: maintenance,
            telling,
        }
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

impl Reloading {
    /// Keeps what the files say in force, one reload after the other, for ever.
    pub(super) async fn run(mut self, mut in_force: InForce) {
        loop {
            self.occasion().await;
            if in_force.app.front().is_draining() {
                continue;
            }
            notify::reloading();
            in_force = self.reload(in_force).await;
            notify::ready();
        }
    }

    /// Waits until the configuration is to be read again.
    async fn occasion(&mut self) {
        loop {
            tokio::select! {
                () = self.hangup.next() => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    return;
                }
                () = sleep(ROUND) => {}
            }
            if self.has_changed().await {
                return;
            }
        }
    }

    /// Whether a file holds something else than when it was read; then it waits a moment for the others.
    async fn has_changed(&mut self) -> bool {
        let mut seen = self.look(&self.watched).await;
        if seen == self.watched {
            // It may know more files by their time now, which need not be read next time.
            self.watched = seen;
            return false;
        }
        for _ in 0..MOST_SETTLING {
            sleep(SETTLE).await;
            let again = self.look(&seen).await;
            let is_settled = again == seen;
            seen = again;
            if is_settled {
                break;
            }
        }
        let changed: Vec<_> = seen.changed_since(&self.watched).collect();
        let Some(file) = changed.first() else {
            return false;
        };
        let (file, files) = (file.display(), changed.len());
        tracing::info!(%file, files, "files have changed: the configuration is read again");
        true
    }

    /// The same files now; reading blocks, so it is done aside.
    async fn look(&self, watched: &Watched) -> Watched {
        let (old, now) = (watched.clone(), self.clock.unix());
        let looked = spawn_blocking(move || old.look(now)).await;
        looked.unwrap_or_else(|_| watched.clone())
    }

    /// Reads everything again, and puts it in force where it is good.
    async fn reload(&mut self, in_force: InForce) -> InForce {
        let (config, watched) = (self.config.clone(), self.watched.clone());
        let old = Arc::clone(&in_force.app);
        let loaded = spawn_blocking(move || load::reload(&config, &old, &watched)).await;
        let Ok(Loaded {
            problems,
            built,
            watched,
        }) = loaded
        else {
            tracing::error!("a defect ended the reload: the configuration before it stays");
            in_force
                .app
                .reject(vec!["a defect ended the reload".to_owned()]);
            return in_force;
        };
        self.watched = watched;
        load::log(&problems);
        let Some(built) = built else {
            reject(&in_force.app, &self.config, &problems);
            return in_force;
        };
        if let (Some(own), Some(new)) = (&self.tls, built.tls) {
            own.replace(new);
        }
        if built.app.key_schedule() != in_force.app.key_schedule() {
            load::log_key_schedule(&built.app);
        }
        let next = InForce::next(built.app);
        // It may be large, and requests may be waiting for this thread.
        drop(spawn_blocking(move || drop(in_force)));
        for key in fixed::changed(&self.started, &built.settings) {
            tracing::warn!(key, "has changed since the start, and takes a restart");
        }
        let connectors = built.settings.connectors.len();
        let clients = built.settings.clients.len();
        tracing::info!(connectors, clients, "the configuration was reloaded");
        next
    }
}

/// Says that the old configuration stays; the findings are in the log already.
fn reject(app: &App, config: &Path, problems: &Problems) {
    let errors = problems.iter();
    let errors = errors.filter(|found| found.severity == Severity::Error);
    let errors: Vec<_> = errors.map(Problem::text).collect();
    let config = config.display();
    tracing::error!(%config, errors = errors.len(), "the configuration was not reloaded, since it has errors: the one before it stays in force");
    app.reject(errors);
}

/// Logs the state of the keys of the connectors that are `new`, once each was tried for the first time.
async fn tell_connectors(app: Arc<App>, new: Vec<String>) {
    let new: std::collections::HashSet<_> = new.iter().map(String::as_str).collect();
    for connector in app.connectors().iter() {
        if !new.contains(&*connector.id) {
            continue;
        }
        while connector.keys.status().is_untried() {
            sleep(TELL).await;
        }
        let status = connector.keys.status();
        if status.is_degraded() {
            tracing::warn!(connector = %connector.id, issuer = connector.issuer, "keys: {status}");
        } else {
            tracing::info!(connector = %connector.id, issuer = connector.issuer, "keys: {status}");
        }
    }
}
