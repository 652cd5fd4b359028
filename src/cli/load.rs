//! From a configuration file to an [`App`], with every finding along the way.

use std::path::Path;
use std::sync::Arc;

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
}

/// Reads the configuration and the key file, and builds the instance.
pub(super) fn load(path: &Path, surroundings: &Surroundings) -> Loaded {
    let mut problems = Problems::new();
    let settings = config::load(path, config::process_environment(), &mut problems);
    let built = settings.and_then(|settings| {
        let keys = keyfile::read(&settings.keys.file, &mut problems);
        let now = surroundings.clock.unix();
        let tls = settings.server.tls.as_ref();
        let tls = tls.map(|tls| Tls::load(tls, now, &mut problems));
        let app = App::build(&settings, keys.as_deref(), surroundings, &mut problems)?;
        Some(Built {
            settings,
            app,
            tls: tls.flatten(),
        })
    });
    Loaded { problems, built }
}

/// Prints the findings to standard error, errors last so that they are seen.
pub(super) fn report(problems: &Problems) {
    for severity in [Severity::Note, Severity::Warning, Severity::Error] {
        for problem in problems.iter().filter(|found| found.severity == severity) {
            out::error(problem);
        }
    }
}

/// Logs the findings of a configuration that can be served.
pub(super) fn log(problems: &Problems) {
    for Problem {
        severity,
        path,
        message,
    } in problems.iter()
    {
        match severity {
            Severity::Note => tracing::info!(path, "{message}"),
            Severity::Warning | Severity::Error => tracing::warn!(path, "{message}"),
        }
    }
}
