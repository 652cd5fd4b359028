//! Logs go to standard error through bounded queues, so that a blocked pipe stalls no request.

use std::fmt::Display;

use serde_json::json;
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use super::lines::{self, Rest};
use super::{LogFormat, load, out};
use crate::clock::{Clock, SystemClock};
use crate::config::problems::{Problem, Problems, Severity};
use crate::http::{DroppedLines, Queue};

/// Starts logging; lines still queued are written when what it gives is dropped. `None` after having said what is wrong.
///
/// `RUST_LOG` filters everything but the target `audit`. Lines that are dropped count in `dropped`.
pub(super) fn start(format: LogFormat, dropped: DroppedLines) -> Option<Rest> {
    let told = move |queue, count| tell_dropped(format, queue, count);
    let (writer, rest) = match lines::start(std::io::stderr(), dropped, told) {
        Ok(started) => started,
        Err(error) => {
            fail(format, format_args!("logging cannot start: {error}"));
            return None;
        }
    };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let audit = FilterFn::new(|metadata| metadata.target() == "audit");
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(audit.or(filter)));
    let result = tracing::subscriber::set_global_default(registry);
    // Only a second call in one process fails, and then the first one's logging goes on.
    drop(result);
    Some(rest)
}

/// Says on standard error why the program ends, whatever `RUST_LOG` says.
pub(super) fn fail(format: LogFormat, why: impl Display) {
    match format {
        LogFormat::Text => out::error(format_args!("error: {why}")),
        LogFormat::Json => out::error(json!({
            "timestamp": timestamp(),
            "level": "ERROR",
            "message": why.to_string(),
        })),
    }
}

/// Prints every finding of a configuration that cannot be used to standard error, whatever `RUST_LOG` says.
pub(super) fn report(format: LogFormat, problems: &Problems) {
    match format {
        LogFormat::Text => load::report(problems),
        LogFormat::Json => {
            for problem in load::in_order(problems) {
                out::error(as_json(problem));
            }
        }
    }
}

/// A finding as a line of the log.
fn as_json(problem: &Problem) -> serde_json::Value {
    let place = problem.place.as_ref();
    let position = place.and_then(|place| place.position);
    json!({
        "timestamp": timestamp(),
        "level": match problem.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARN",
            Severity::Note => "INFO",
        },
        "message": problem.message,
        "path": problem.path,
        "file": place.map(|place| &place.file),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
    })
}

/// The line that says how many are missing.
fn tell_dropped(format: LogFormat, queue: Queue, count: u64) -> String {
    let message = match queue {
        Queue::Audit => "audit events were dropped: the reader of standard error is too slow",
        Queue::Log => "log lines were dropped: the reader of standard error is too slow",
    };
    let (timestamp, queue) = (timestamp(), queue.name());
    match format {
        LogFormat::Json => json!({
            "timestamp": timestamp,
            "level": "WARN",
            "message": message,
            "queue": queue,
            "count": count,
        })
        .to_string(),
        LogFormat::Text => format!("{timestamp}  WARN {message} queue={queue} count={count}"),
    }
}

/// Now, as it stands in the other lines.
fn timestamp() -> String {
    let micros = i64::try_from(SystemClock::new().unix().as_micros()).unwrap_or_default();
    jiff::Timestamp::from_microsecond(micros)
        .map(|time| format!("{time:.6}"))
        .unwrap_or_default()
}
