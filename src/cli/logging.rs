//! Logs go to standard error through a bounded queue, so that a blocked pipe stalls no request.

use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use super::lines::{self, Rest};
use super::{LogFormat, out};

/// Starts logging; lines still queued are written when what it gives is dropped. `None` after having said what is wrong.
///
/// `RUST_LOG` filters everything but the target `audit`.
pub(super) fn start(format: LogFormat) -> Option<Rest> {
    let started = lines::start(std::io::stderr(), move |count| dropped(format, count));
    let (writer, rest) = match started {
        Ok(started) => started,
        Err(error) => {
            out::error(format_args!("error: logging cannot start: {error}"));
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

/// The line that says how many are missing.
fn dropped(format: LogFormat, count: u64) -> String {
    let message = "log lines were dropped: the reader of standard error is too slow";
    match format {
        LogFormat::Json => {
            serde_json::json!({"level": "WARN", "message": message, "count": count}).to_string()
        }
        LogFormat::Text => format!("WARN {message} count={count}"),
    }
}
