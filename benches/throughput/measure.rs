//! What is measured, in which order.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::bare::Bare;
use super::cores::{PINNED, on_core};
use super::floods::{self, Flood};
use super::load::Connect;
use super::operations::NAMES;
use super::probe::Probe;
use super::rounds::{Entry, Measured, Turns, measure, median};
use super::site::{KNOWN, NEW, Server, Site, Way, binary_mib};
use super::{exchanges, saturated};

/// As many connections as keep the server busy.
pub(crate) const BUSY: usize = 16;

/// What is asked for on the command line.
pub(crate) struct Options {
    /// Sends a few requests each way and measures nothing worth reading.
    pub(crate) smoke: bool,
    /// Only rows whose name holds this, or `circumstances`, `saturated` or `floods`.
    pub(crate) only: Option<String>,
    /// How often each row is measured.
    pub(crate) turns: Option<usize>,
    /// The server binaries, the first of which the others are measured against.
    pub(crate) servers: Vec<PathBuf>,
}

impl Options {
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Everything, as `--json` gives it.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) pinned: bool,
    /// Microseconds of each bare operation at the end.
    pub(crate) raw: Vec<(&'static str, f64)>,
    pub(crate) exchanges: Vec<Row>,
    /// The same exchange (simple, ES256 to ES256) under other circumstances; the first is the measure.
    pub(crate) circumstances: Vec<Row>,
    /// Small requests while RS256 signing saturates the core.
    pub(crate) beside: Vec<Beside>,
    /// Honest exchanges beside tokens that nobody signed.
    pub(crate) floods: Vec<Flood>,
    pub(crate) half_rate_p99_ms: Option<f64>,
    pub(crate) two_cores: Option<f64>,
    pub(crate) first_reply_ms: f64,
    pub(crate) idle_mib: f64,
    pub(crate) binary_mib: Vec<f64>,
}

/// A line of a table.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// One for each server binary.
    pub(crate) measured: Vec<Measured>,
}

#[derive(Serialize)]
pub(crate) struct Beside {
    pub(crate) path: &'static str,
    pub(crate) signing_connections: usize,
    pub(crate) p99_ms: f64,
}

/// One run of the benchmark.
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) probe: Probe,
    pub(crate) bare: Bare,
    pub(crate) turns: Turns,
}

pub(crate) async fn all(options: &Options) -> Results {
    let this = std::env::current_exe().expect("its path");
    let (count, again, millis) = if options.smoke {
        (1, 0, 1)
    } else {
        (9, 4, 250)
    };
    let count = options.turns.unwrap_or(count);
    let length = Duration::from_millis(millis);
    let this = || on_core("0", &this.to_string_lossy());
    let mut bench = Bench {
        options,
        probe: Probe::start(this()),
        bare: Bare::start(this()),
        turns: Turns {
            count,
            length,
            again,
        },
    };
    let (first_reply_ms, idle_mib) = bench.starting().await;
    let mut results = Results {
        pinned: *PINNED,
        raw: Vec::new(),
        exchanges: exchanges::rows(&mut bench).await,
        circumstances: Vec::new(),
        beside: Vec::new(),
        floods: Vec::new(),
        half_rate_p99_ms: None,
        two_cores: None,
        first_reply_ms,
        idle_mib,
        binary_mib: options
            .servers
            .iter()
            .map(|server| binary_mib(server))
            .collect(),
    };
    if options.wants("circumstances") {
        results.circumstances = bench.circumstances().await;
    }
    if options.wants("saturated") && !options.smoke {
        saturated::measure_all(&mut bench, &mut results).await;
    }
    if options.wants("floods") {
        results.floods = floods::measure(&bench).await;
    }
    let raw = NAMES.map(|name| (name, bench.probe.cost(&[name.to_owned()])));
    results.raw = raw.into();
    results
}

impl Bench<'_> {
    /// A number of connections, or a few where nothing is measured.
    pub(crate) fn few(&self, connections: usize) -> usize {
        if self.options.smoke {
            connections.min(2)
        } else {
            connections
        }
    }

    /// A site that signs with `alg`, to which each token is new.
    pub(crate) fn site(&self, alg: &'static str) -> Site {
        Site {
            tokens: if self.options.smoke { KNOWN } else { NEW },
            ..Site::new(alg)
        }
    }

    pub(crate) async fn start(&self, site: Site) -> Server {
        site.start(&self.options.servers[0]).await.0
    }

    /// Milliseconds from exec to the first exchange answered, the median; and resident memory then.
    async fn starting(&self) -> (f64, f64) {
        let mut times = Vec::new();
        let mut memory = f64::NAN;
        for _ in 0..if self.options.smoke { 1 } else { 9 } {
            let (server, took) = Site::new("ES256").start(&self.options.servers[0]).await;
            times.push(took.as_secs_f64() * 1e3);
            memory = server.process.memory_mib();
        }
        (median(times), memory)
    }

    async fn circumstances(&mut self) -> Vec<Row> {
        let base = self.site("ES256");
        let mut sites = Vec::new();
        for connectors in [1, 100, 10_000] {
            sites.push((
                format!("{connectors} connectors"),
                Site { connectors, ..base },
                BUSY,
            ));
        }
        for keys in [1, 50] {
            sites.push((
                format!("{keys} keys per upstream"),
                Site { keys, ..base },
                BUSY,
            ));
        }
        for connections in [1, 1000] {
            sites.push((format!("{connections} connections"), base, connections));
        }
        if self.options.smoke {
            sites.retain(|(_, site, _)| site.connectors <= 100);
        }
        let mut servers = Vec::new();
        for (_, site, _) in &sites {
            servers.push(self.start(*site).await);
        }
        let entries: Vec<_> = servers
            .iter()
            .zip(&sites)
            .map(|(server, (_, _, connections))| Entry {
                process: &server.process,
                target: server.target(Way::Simple, "ES256", Connect::Kept),
                connections: self.few(*connections),
                operations: vec!["verify-ES256".to_owned(), "sign-ES256".to_owned()],
            })
            .collect();
        let measured = measure(&mut self.probe, &entries, self.turns).await;
        let names = sites.into_iter().map(|(name, _, _)| name);
        names
            .zip(measured)
            .map(|(name, measured)| Row {
                name,
                measured: vec![measured],
            })
            .collect()
    }
}
