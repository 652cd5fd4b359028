//! What was refused or waits for want of room, for `/metrics`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::config;
use crate::limits::{Bodies, Gate, Limit, Limiter};
use crate::replay::Replay;

/// The limits that count.
#[derive(Clone, Debug)]
pub struct Guards {
    /// Rates of addresses and clients.
    pub limiter: Arc<Limiter>,
    /// Exchanges at once.
    pub gate: Gate,
    /// The memory for bodies.
    pub bodies: Arc<Bodies>,
    /// Used tokens.
    pub replay: Arc<Replay>,
    /// What the first two were made from, and how much memory bodies get.
    pub limits: config::Limits,
}

impl Collector for Guards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Token requests that a limit refused";
        let mut limited = encoder.encode_descriptor("limited", help, None, MetricType::Counter)?;
        for (limit, count) in [
            ("rate_per_address", self.limiter.refused(Limit::Address)),
            ("rate_per_client", self.limiter.refused(Limit::Client)),
            ("max_concurrent", self.gate.refused()),
            ("max_body_bytes", self.bodies.refused()),
        ] {
            let labels = [("limit", limit)];
            ConstCounter::new(count).encode(limited.encode_family(&labels)?)?;
        }
        let help = "Requests that wait for a permit to verify and sign";
        let waiting = u64::try_from(self.gate.waiting()).unwrap_or(u64::MAX);
        let metric =
            encoder.encode_descriptor("exchanges_waiting", help, None, MetricType::Gauge)?;
        ConstGauge::new(waiting).encode(metric)?;
        let help = "Bytes of the bodies of requests under way";
        let bytes = u64::try_from(self.bodies.used()).unwrap_or(u64::MAX);
        let metric = encoder.encode_descriptor("body_bytes", help, None, MetricType::Gauge)?;
        ConstGauge::new(bytes).encode(metric)?;
        let help = "Uses of tokens that the memory of this process holds";
        let entries = u64::try_from(self.replay.entries()).unwrap_or(u64::MAX);
        let metric = encoder.encode_descriptor("replay_entries", help, None, MetricType::Gauge)?;
        ConstGauge::new(entries).encode(metric)?;
        let help = "Requests that found the store of used tokens out of reach";
        let metric =
            encoder.encode_descriptor("replay_store_failures", help, None, MetricType::Counter)?;
        ConstCounter::new(self.replay.failures()).encode(metric)
    }
}
