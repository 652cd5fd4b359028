//! From a configuration file to an [`App`], with every finding along the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::watch::Watched;
use crate::app::{App, Surroundings};
use crate::clock::Clock;
use crate::config::problems::{Problem, Problems, Severity};
use crate::config::{self, Settings};
use crate::http::serve::Tls;
use crate::{cli::out, keyfile};

/// The machine's clock and randomness.
pub(super) fn machine() -> Surroundings {
    Surroundings::machine()
}

/// The machine's randomness and a clock of the caller's choice.
pub(super) fn with_clock(clock: Arc<dyn Clock>) -> Surroundings {
    Surroundings { clock, ..machine() }
}

/// A configuration without errors, and what was made of it.
pub(super) struct Built {
    pub(super) settings: Settings,
    pub(super) app: App,
    /// Of `[server.tls]`, where it stands in the file.
    pub(super) tls: Option<Tls>,
}

/// Everything that a configuration file yields.
pub(super) struct Loaded {
    pub(super) problems: Problems,
    pub(super) built: Option<Built>,
    /// The files that it was read from, as they were just before.
    pub(super) watched: Watched,
}

/// How often the configuration is read where it names files that it has not named before.
const MOST_READS: usize = 3;

/// Reads the configuration and the key file, and builds the instance.
pub(super) fn load(path: &Path, surroundings: &Surroundings) -> Loaded {
    let now = surroundings.clock.unix();
    read(path, Watched::default(), now, |settings, keys, problems| {
        App::build(settings, keys, surroundings, problems)
    })
}

/// Does the same for a running instance. Files that were `watched` so far stay so unless the new configuration is good.
pub(super) fn reload(path: &Path, old: &App, watched: &Watched) -> Loaded {
    let now = machine().clock.unix();
    read(path, watched.look(now), now, |settings, keys, problems| {
        old.reloaded(settings, keys, problems)
    })
}

fn read(
    path: &Path,
    mut watched: Watched,
    now: Duration,
    build: impl FnOnce(&Settings, Option<&[u8]>, &mut Problems) -> Option<App>,
) -> Loaded {
    let mut problems = Problems::new();
    let settings = read_settings(path, &mut watched, now, &mut problems);
    let whole = settings.and_then(|settings| {
        watched.note(settings.files(), now);
        let keys = keyfile::read(&settings.keys.file, &mut problems);
        let tls = settings.server.tls.as_ref();
        let tls = tls.map(|tls| Tls::load(tls, now, &mut problems));
        let app = build(&settings, keys.as_deref(), &mut problems)?;
        watched.keep_only(std::iter::once(path).chain(settings.files()));
        Some(Built {
            settings,
            app,
            tls: tls.flatten(),
        })
    });
    Loaded {
        problems,
        built: whole,
        watched,
    }
}

/// Reads the configuration so that `watched` has each file as it was before it was read: what is written meanwhile
/// is then seen as a change.
fn read_settings(
    path: &Path,
    watched: &mut Watched,
    now: Duration,
    problems: &mut Problems,
) -> Option<Settings> {
    watched.note([path], now);
    let mut settings = None;
    for _ in 0..MOST_READS {
        *problems = Problems::new();
        settings = config::load(path, config::process_environment(), problems);
        let secrets = settings.iter().flat_map(Settings::secret_files);
        if !watched.note(secrets, now) {
            break;
        }
    }
    settings
}

/// Prints the findings to standard error.
pub(super) fn report(problems: &Problems) {
    for problem in in_order(problems) {
        out::error(problem);
    }
}

/// The findings, errors last so that they are seen.
pub(super) fn in_order(problems: &Problems) -> impl Iterator<Item = &Problem> {
    let severities = [Severity::Note, Severity::Warning, Severity::Error];
    severities.into_iter().flat_map(move |severity| {
        problems
            .iter()
            .filter(move |found| found.severity == severity)
    })
}

/// Logs what our own keys will do next.
pub(super) fn log_key_schedule(app: &App) {
    for line in app.key_schedule() {
        tracing::info!(path = "keys.file", "{line}");
    }
}

/// Logs the findings.
pub(super) fn log(problems: &Problems) {
    for Problem {
        severity,
        place,
        path,
        message,
    } in problems.iter()
    {
        let at = place.as_ref().map(tracing::field::display);
        match severity {
            Severity::Note => tracing::info!(path, at, "{message}"),
            Severity::Warning => tracing::warn!(path, at, "{message}"),
            Severity::Error => tracing::error!(path, at, "{message}"),
        }
    }
}
