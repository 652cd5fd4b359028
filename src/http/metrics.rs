//! `/metrics`: what is counted on each request, and what is read when somebody asks (`OpenMetrics` text).
//!
//! Label values come from the configuration or from closed sets, never from a token.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::process::{Build, Process};
use super::{Connections, DroppedLines, Reloads, Site};
use crate::grant::{Event, Outcome};
use crate::oauth::Refusal;

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histogram, in seconds: an ES256 exchange takes 0.1 ms, one that waits for keys seconds.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
];

/// The prefix of all names.
const PREFIX: &str = "remint";

/// The metrics of one instance, over all its configurations.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    /// Where the accept loops count.
    pub connections: Connections,
    /// Where the log counts what it has no room for.
    pub dropped_lines: DroppedLines,
    /// The label of what concerns no connector.
    none: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    grant: &'static str,
    connector: Arc<str>,
    outcome: &'static str,
    reason: &'static str,
}

impl Metrics {
    /// Metrics that count reloads as `reloads` does.
    pub fn new(reloads: &Reloads) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("token_requests", "Requests to /token", requests.clone());
        let duration = Histogram::new(BUCKETS);
        let help = "Seconds from the head of a request to /token to its decision";
        registry.register("token_duration_seconds", help, duration.clone());
        let outcomes = reloads.outcomes.clone();
        registry.register("config_reloads", "Reloads of the configuration", outcomes);
        let connections = Connections::default();
        registry.register_collector(Box::new(connections.clone()));
        let dropped_lines = DroppedLines::default();
        dropped_lines.register(&mut registry);
        Self {
            registry,
            requests,
            duration,
            connections,
            dropped_lines,
            none: "".into(),
        }
    }

    /// Counts a decision on a request to `/token`.
    pub(super) fn decided(&self, event: &Event, result: Result<(), &Refusal>, took: Duration) {
        let labels = RequestLabels {
            grant: event.grant,
            connector: event
                .connector
                .clone()
                .unwrap_or_else(|| Arc::clone(&self.none)),
            outcome: Outcome::of(result).as_str(),
            reason: result.err().map_or("", |refusal| refusal.reason.code()),
        };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// What was counted so far, and what stands in `site`.
    pub(super) fn text(&self, site: &Site) -> String {
        let mut standing = Registry::with_prefix(PREFIX);
        standing.register_collector(Box::new(site.standing.clone()));
        standing.register_collector(Box::new(site.guards.clone()));
        standing.register_collector(Box::new(Build));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, &standing);
        let _ = encode_registry(&mut text, &process);
        let _ = encode_eof(&mut text);
        text
    }
}
