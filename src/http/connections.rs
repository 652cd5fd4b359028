//! The connections of each listener role, for `/metrics`.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Role;
use super::serve::{Closed, Counts};

/// What is counted about the connections of each role; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    main: Arc<Counts>,
    metadata: Arc<Counts>,
    admin: Arc<Counts>,
}

impl Connections {
    /// Where the accept loop of `role` counts.
    pub fn of(&self, role: Role) -> Arc<Counts> {
        Arc::clone(match role {
            Role::Main => &self.main,
            Role::Metadata => &self.metadata,
            Role::Admin => &self.admin,
        })
    }

    fn each(&self) -> [(&'static str, &Counts); 3] {
        [
            ("main", &self.main),
            ("metadata", &self.metadata),
            ("admin", &self.admin),
        ]
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Open connections";
        let mut open = encoder.encode_descriptor("connections", help, None, MetricType::Gauge)?;
        for (listener, counts) in self.each() {
            let labels = [("listener", listener)];
            let count = u64::try_from(counts.open()).unwrap_or(u64::MAX);
            ConstGauge::new(count).encode(open.encode_family(&labels)?)?;
        }
        let help = "Connections that the server closed before their client would have";
        let mut closed =
            encoder.encode_descriptor("connections_closed", help, None, MetricType::Counter)?;
        for (listener, counts) in self.each() {
            for why in Closed::ALL {
                let labels = [("listener", listener), ("reason", why.as_str())];
                ConstCounter::new(counts.closed(why)).encode(closed.encode_family(&labels)?)?;
            }
        }
        let help = "HTTP/2 requests refused unread because too many were open";
        let mut refused =
            encoder.encode_descriptor("streams_refused", help, None, MetricType::Counter)?;
        for (listener, counts) in self.each() {
            let labels = [("listener", listener)];
            ConstCounter::new(counts.refused()).encode(refused.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
