//! `/metrics`: what is counted on each request, and what is read when somebody asks (`OpenMetrics` text).
//!
//! Label values come from the configuration or from closed sets, never from a token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Connections;
use crate::clock::Clock;
use crate::grant::{Connectors, Event, Outcome};
use crate::jose::Keyring;
use crate::oauth::Refusal;
use crate::upstream::SourceState;

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the histogram, in seconds: an ES256 exchange takes 0.1 ms, one that waits for keys seconds.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
];

/// The metrics of one instance.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Histogram,
    /// Where the accept loops count.
    pub connections: Connections,
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
    /// Metrics that also tell of these connectors and keys.
    pub fn new(connectors: Arc<Connectors>, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Self {
        let mut registry = Registry::with_prefix("remint");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("token_requests", "Requests to /token", requests.clone());
        let duration = Histogram::new(BUCKETS);
        let help = "Seconds from the head of a request to /token to its decision";
        registry.register("token_duration_seconds", help, duration.clone());
        let reloads = Family::<Vec<(&'static str, &'static str)>, Counter>::default();
        for outcome in ["success", "failure"] {
            drop(reloads.get_or_create(&vec![("outcome", outcome)]));
        }
        registry.register("config_reloads", "Reloads of the configuration", reloads);
        let connections = Connections::default();
        registry.register_collector(Box::new(connections.clone()));
        registry.register_collector(Box::new(Standing {
            connectors,
            keyring,
            clock,
        }));
        Self {
            registry,
            requests,
            duration,
            connections,
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

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// What stands still between requests, read when it is asked for.
#[derive(Debug)]
struct Standing {
    connectors: Arc<Connectors>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let states: Vec<_> = self
            .connectors
            .iter()
            .map(|connector| (&*connector.id, connector.keys.status()))
            .collect();
        let mut fetches = encoder.encode_descriptor(
            "upstream_fetches",
            "Fetches of upstream keys; connectors with the same key source count the same fetches",
            None,
            MetricType::Counter,
        )?;
        for (id, status) in &states {
            for (outcome, count) in [("success", status.succeeded), ("failure", status.failed)] {
                let labels = [("connector", *id), ("outcome", outcome)];
                ConstCounter::new(count).encode(fetches.encode_family(&labels)?)?;
            }
        }
        if states
            .iter()
            .any(|(_, status)| status.state_writes.is_some())
        {
            let mut writes = encoder.encode_descriptor(
                "upstream_state_writes",
                "Writes of upstream keys to server.state_dir",
                None,
                MetricType::Counter,
            )?;
            let kept = states
                .iter()
                .filter_map(|(id, status)| Some((id, status.state_writes?)));
            for (id, kept) in kept {
                for (outcome, count) in [("success", kept.succeeded), ("failure", kept.failed)] {
                    let labels = [("connector", *id), ("outcome", outcome)];
                    ConstCounter::new(count).encode(writes.encode_family(&labels)?)?;
                }
            }
        }
        let mut ages = encoder.encode_descriptor(
            "upstream_keys_age_seconds",
            "Age of the upstream keys in use",
            None,
            MetricType::Gauge,
        )?;
        for (id, status) in &states {
            if let SourceState::Fresh { age, .. } | SourceState::Stale { age, .. } = status.state {
                let labels = [("connector", *id)];
                ConstGauge::new(age.as_secs_f64()).encode(ages.encode_family(&labels)?)?;
            }
        }
        let mut keys = encoder.encode_descriptor(
            "signing_key_info",
            "Our own keys; always 1",
            None,
            MetricType::Gauge,
        )?;
        for own in self.keyring.at(self.clock.unix()).keys() {
            let labels = [
                ("kid", own.key.kid()),
                ("alg", own.key.alg().name()),
                ("state", own.state.name()),
            ];
            ConstGauge::new(1_u64).encode(keys.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
