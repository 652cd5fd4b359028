//! Logs go to standard error through a bounded queue, so that a blocked pipe stalls no request.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use super::LogFormat;

/// How many lines wait for a slow reader before further ones are dropped.
const QUEUED_LINES: usize = 16_384;

/// Starts logging; lines still queued are written when the guard is dropped.
///
/// `RUST_LOG` filters everything but the target `audit`.
pub(super) fn start(format: LogFormat) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .lossy(true)
        .finish(std::io::stderr());
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let audit = FilterFn::new(|metadata| metadata.target() == "audit");
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(false).boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(audit.or(filter)));
    let result = tracing::subscriber::set_global_default(registry);
    // Only a second call in one process fails, and then the first one's logging goes on.
    drop(result);
    guard
}
