//! The build and the process, for `/metrics`: read when somebody asks, from `/proc` where there is one.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::version::{COMMIT, FEATURES, VERSION};

/// Which build this is.
#[derive(Debug)]
pub(super) struct Build;

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "What this binary was built from; always 1";
        let mut build = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
        let labels = [
            ("version", VERSION),
            ("commit", COMMIT),
            ("features", FEATURES),
        ];
        ConstGauge::new(1_u64).encode(build.encode_family(&labels)?)
    }
}

/// What the process takes up, by the names that every Prometheus client has for it.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = Usage::read() else {
            return Ok(());
        };
        let help = "Processor time of this process, in seconds";
        let metric =
            encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(usage.cpu_seconds).encode(metric)?;
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Memory of this process that is in use",
                usage.resident_bytes,
            ),
            ("process_open_fds", "Open files", usage.open_fds),
            (
                "process_max_fds",
                "How many files may be open",
                usage.max_fds,
            ),
            (
                "process_start_time_seconds",
                "When this process started, in seconds since 1970",
                usage.start_time,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    start_time: f64,
}

impl Usage {
    /// What proc(5) says; `None` where there is no such thing.
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_ascii_whitespace().collect();
        // Numbered as in proc(5), where the state is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let system = fs::read_to_string("/proc/stat").ok()?;
        let mut lines = system.lines();
        let booted: f64 = lines
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        let ticks = number(clock_ticks_per_second());
        // One of them reads this list.
        let open = fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1);
        let most = getrlimit(Resource::Nofile).current;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            resident_bytes: field(24)? * number(page_size() as u64),
            open_fds: number(open as u64),
            max_fds: most.map_or(f64::INFINITY, number),
            start_time: booted + field(22)? / ticks,
        })
    }
}

/// A count as metrics have it.
#[expect(
    clippy::cast_precision_loss,
    reason = "above 2^53 the last digits do not matter"
)]
fn number(count: u64) -> f64 {
    count as f64
}
