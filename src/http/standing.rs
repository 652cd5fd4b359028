//! The part of `/metrics` that the configuration in force has: the state of its connectors and of our own keys.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock::Clock;
use crate::grant::Connectors;
use crate::jose::Keyring;
use crate::upstream::SourceState;

/// What stands still between requests, read when it is asked for.
#[derive(Clone, Debug)]
pub struct Standing {
    connectors: Arc<Connectors>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
}

impl Standing {
    /// Of these connectors and keys.
    pub fn new(connectors: Arc<Connectors>, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Self {
        Self {
            connectors,
            keyring,
            clock,
        }
    }
}

impl Standing {
    /// What the userinfo endpoints said, where any may vouch for tokens.
    fn encode_userinfo(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let endpoints = self.connectors.iter();
        let endpoints: Vec<_> = endpoints
            .filter_map(|connector| Some((&*connector.id, connector.userinfo.as_ref()?)))
            .collect();
        if endpoints.is_empty() {
            return Ok(());
        }
        let mut requests = encoder.encode_descriptor(
            "userinfo_requests",
            "Requests to userinfo endpoints about opaque access tokens",
            None,
            MetricType::Counter,
        )?;
        for (id, userinfo) in endpoints {
            for (outcome, count) in userinfo.counts() {
                let labels = [("connector", id), ("outcome", outcome)];
                ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
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
        self.encode_userinfo(&mut encoder)?;
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
