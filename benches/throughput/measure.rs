//! What is measured, in which order.

use std::time::Duration;

use serde::Serialize;

use super::cores::{PINNED, move_to, on_core};
use super::load::{Load, Pace, Target, as_f64, drive};
use super::raw::{self, Costs};
use super::site::{Server, Site, Way, binary_mib};

/// As many connections as keep the server busy.
const BUSY: usize = 16;

/// Everything, as `--json` gives it. Costs are in microseconds.
#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) pinned: bool,
    pub(crate) raw: Costs,
    pub(crate) exchanges: Vec<Exchanges>,
    /// The same exchange (simple, ES256 to ES256) under other circumstances.
    pub(crate) circumstances: Vec<Circumstance>,
    /// Small requests while RS256 signing saturates the core.
    pub(crate) beside: Vec<Beside>,
    pub(crate) half_rate_p99_ms: Option<f64>,
    pub(crate) two_cores: Option<f64>,
    pub(crate) first_reply_ms: f64,
    pub(crate) idle_mib: f64,
    pub(crate) binary_mib: serde_json::Value,
}

/// One way in, saturated.
#[derive(Serialize)]
pub(crate) struct Exchanges {
    pub(crate) way: &'static str,
    pub(crate) subject: Option<&'static str>,
    pub(crate) issued: &'static str,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_us: f64,
    /// Exchanges a second if nothing but the verification and the signature cost anything.
    pub(crate) limit: f64,
    pub(crate) ratio: f64,
    /// The same ratio by processor time, which other processes on the core disturb less.
    pub(crate) cpu_ratio: f64,
}

#[derive(Serialize)]
pub(crate) struct Circumstance {
    pub(crate) what: String,
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) p99_ms: f64,
    pub(crate) memory_mib: f64,
}

#[derive(Serialize)]
pub(crate) struct Beside {
    pub(crate) path: &'static str,
    pub(crate) signing_connections: usize,
    pub(crate) p99_ms: f64,
}

/// How long each run counts.
#[derive(Clone, Copy)]
struct Lengths {
    run: Duration,
    smoke: bool,
}

impl Lengths {
    /// A number of connections, or a few where nothing is measured.
    fn few(self, connections: usize) -> usize {
        if self.smoke {
            connections.min(2)
        } else {
            connections
        }
    }
}

pub(crate) async fn all(smoke: bool) -> Results {
    let run = Duration::from_millis(if smoke { 1 } else { 1500 });
    let lengths = Lengths { run, smoke };
    let this = std::env::current_exe().expect("its path");
    let here = || on_core("0", &this.to_string_lossy());
    let (first_reply_ms, idle_mib) = starting(smoke).await;
    let mut costs = raw::measure(here, None);
    let mut exchanges = Vec::new();
    for alg in ["RS256", "ES256"] {
        let runs = ways(alg, lengths).await;
        let after = raw::measure(here, Some(costs));
        exchanges.extend(runs.into_iter().map(|run| run.against(&after)));
        costs = after;
    }
    let mut results = Results {
        pinned: *PINNED,
        raw: costs,
        exchanges,
        circumstances: Vec::new(),
        beside: Vec::new(),
        half_rate_p99_ms: None,
        two_cores: None,
        first_reply_ms,
        idle_mib,
        binary_mib: binary_mib(),
    };
    circumstances(lengths, &mut results.circumstances).await;
    if !smoke {
        saturated(lengths, &mut results).await;
    }
    results
}

/// Milliseconds from exec to the first exchange answered, the median; and resident memory then.
async fn starting(smoke: bool) -> (f64, f64) {
    let mut times = Vec::new();
    let mut memory = f64::NAN;
    for _ in 0..if smoke { 1 } else { 7 } {
        let (server, took) = Site::new("ES256").start().await;
        times.push(took.as_secs_f64() * 1e3);
        memory = server.memory_mib();
    }
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], memory)
}

/// A run that saturated the server.
struct Run {
    way: Way,
    subject: &'static str,
    issued: &'static str,
    load: Load,
    cpu_us: f64,
}

impl Run {
    fn against(&self, costs: &Costs) -> Exchanges {
        let exchanged = self.way != Way::ClientCredentials;
        let verify = if exchanged {
            costs.verify(self.subject)
        } else {
            0.0
        };
        let bare = verify + costs.sign(self.issued);
        let per_second = self.load.rate();
        Exchanges {
            way: self.way.name(),
            subject: exchanged.then_some(self.subject),
            issued: self.issued,
            per_second,
            p50_ms: self.load.quantile_ms(0.5),
            p99_ms: self.load.quantile_ms(0.99),
            cpu_us: self.cpu_us,
            limit: 1e6 / bare,
            ratio: per_second * bare / 1e6,
            cpu_ratio: bare / self.cpu_us,
        }
    }
}

/// Every way in that ends in a token signed with `alg`.
async fn ways(alg: &'static str, lengths: Lengths) -> Vec<Run> {
    let (server, _) = Site::new(alg).start().await;
    let mut runs = Vec::new();
    for way in [Way::Simple, Way::Basic, Way::Cel] {
        for subject in ["RS256", "ES256"] {
            runs.push((way, subject));
        }
    }
    runs.push((Way::ClientCredentials, alg));
    let mut done = Vec::new();
    for (way, subject) in runs {
        let (load, cpu_us) = busy(&server, &server.target(way, subject), BUSY, lengths).await;
        done.push(Run {
            way,
            subject,
            issued: alg,
            load,
            cpu_us,
        });
    }
    done
}

/// Saturates the server over so many connections; gives also its processor time per exchange.
async fn busy(
    server: &Server,
    target: &Target,
    connections: usize,
    lengths: Lengths,
) -> (Load, f64) {
    let mut cpu = Vec::new();
    let edge = || cpu.push(server.cpu_us());
    let load = drive(
        target,
        lengths.few(connections),
        Pace::Flat,
        lengths.run,
        edge,
    )
    .await;
    let used = cpu[1] - cpu[0];
    let per_exchange = used / as_f64(load.count());
    (load, per_exchange)
}

async fn circumstances(lengths: Lengths, all: &mut Vec<Circumstance>) {
    let base = Site::new("ES256");
    let connectors = [1, 100, 10_000].map(|connectors| {
        (
            format!("{connectors} connectors"),
            Site { connectors, ..base },
            BUSY,
        )
    });
    let keys = [2, 50].map(|keys| {
        (
            format!("{keys} keys per upstream"),
            Site { keys, ..base },
            BUSY,
        )
    });
    let connections = [1, 1000].map(|count| (format!("{count} connections"), base, count));
    for (what, site, connections) in connectors.into_iter().chain(keys).chain(connections) {
        if lengths.smoke && site.connectors > 100 {
            continue;
        }
        let (server, _) = site.start().await;
        let target = server.target(Way::Simple, "ES256");
        let (load, cpu_us) = busy(&server, &target, connections, lengths).await;
        all.push(Circumstance {
            what,
            per_second: load.rate(),
            cpu_us,
            p99_ms: load.quantile_ms(0.99),
            memory_mib: server.memory_mib(),
        });
    }
}

/// What only shows at and below the highest rate of RS256.
async fn saturated(lengths: Lengths, results: &mut Results) {
    let (server, _) = Site::new("RS256").start().await;
    let signing = server.target(Way::Simple, "RS256");
    let (one_core, _) = busy(&server, &signing, BUSY, lengths).await;
    let half = Pace::Rate(one_core.rate() / 2.0);
    let load = drive(&signing, BUSY, half, lengths.run, || ()).await;
    results.half_rate_p99_ms = Some(load.quantile_ms(0.99));
    for signing_connections in [BUSY, 1000] {
        for path in ["/healthz", "/.well-known/jwks.json"] {
            let small = server.get(path);
            let (_, beside) = tokio::join!(
                drive(
                    &signing,
                    signing_connections,
                    Pace::Flat,
                    lengths.run,
                    || ()
                ),
                drive(&small, 4, Pace::Rate(200.0), lengths.run, || ()),
            );
            let p99_ms = beside.quantile_ms(0.99);
            results.beside.push(Beside {
                path,
                signing_connections,
                p99_ms,
            });
        }
    }
    drop(server);
    if !*PINNED {
        return;
    }
    move_to("0,1");
    let (server, _) = Site {
        cores: "0,1",
        ..Site::new("RS256")
    }
    .start()
    .await;
    let (both, _) = busy(&server, &server.target(Way::Simple, "RS256"), BUSY, lengths).await;
    results.two_cores = Some(both.rate() / one_core.rate());
    move_to("1");
}
