//! How many log lines never reached their reader.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Where a line waits for the reader of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Issuances, and refusals of what was authenticated.
    Audit,
    /// Everything else.
    Log,
}

impl Queue {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Audit, Self::Log];

    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Log => "log",
        }
    }
}

/// Counts lines that were dropped, by queue; clones count together.
#[derive(Clone, Debug)]
pub struct DroppedLines(Family<Labels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    queue: &'static str,
}

impl Default for DroppedLines {
    fn default() -> Self {
        let counters = Family::default();
        // Both are there before anything is lost, so that a rate can be taken.
        for queue in Queue::ALL {
            drop(counters.get_or_create(&Labels::of(queue)));
        }
        Self(counters)
    }
}

impl Labels {
    fn of(queue: Queue) -> Self {
        Self {
            queue: queue.name(),
        }
    }
}

impl DroppedLines {
    /// Notes that so many more were dropped.
    pub fn count(&self, queue: Queue, lines: u64) {
        self.0.get_or_create(&Labels::of(queue)).inc_by(lines);
    }

    /// How many were dropped so far.
    pub fn of(&self, queue: Queue) -> u64 {
        self.0.get_or_create(&Labels::of(queue)).get()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Log lines that were dropped since their reader is too slow";
        registry.register("log_lines_dropped", help, self.0.clone());
    }
}
