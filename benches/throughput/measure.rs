//! What is measured, in which order.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::cores::{PINNED, move_to, on_core};
use super::load::{Pace, drive};
use super::raw::{OPERATIONS, Probe};
use super::rounds::{Entry, Measured, Turns, measure, median};
use super::site::{KNOWN, NEW, Server, Site, Way, binary_mib};

/// As many connections as keep the server busy.
const BUSY: usize = 16;

/// What is asked for on the command line.
pub(crate) struct Options {
    /// Sends a few requests each way and measures nothing worth reading.
    pub(crate) smoke: bool,
    /// Only rows whose name holds this, or `circumstances`, or `saturated`.
    pub(crate) only: Option<String>,
    /// How often each row is measured.
    pub(crate) turns: Option<usize>,
    /// The server binaries, the first of which the others are measured against.
    pub(crate) servers: Vec<PathBuf>,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
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
struct Bench<'a> {
    options: &'a Options,
    probe: Probe,
    turns: Turns,
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
    let mut bench = Bench {
        options,
        probe: Probe::start(on_core("0", &this.to_string_lossy())),
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
        exchanges: bench.exchanges().await,
        circumstances: Vec::new(),
        beside: Vec::new(),
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
        bench.saturated(&mut results).await;
    }
    let raw = OPERATIONS.map(|name| (name, bench.probe.cost(&[name.to_owned()])));
    results.raw = raw.into();
    results
}

impl Bench<'_> {
    /// A number of connections, or a few where nothing is measured.
    fn few(&self, connections: usize) -> usize {
        if self.options.smoke {
            connections.min(2)
        } else {
            connections
        }
    }

    /// A site that signs with `alg`, to which each token is new.
    fn site(&self, alg: &'static str) -> Site {
        Site {
            tokens: if self.options.smoke { KNOWN } else { NEW },
            ..Site::new(alg)
        }
    }

    async fn start(&self, site: Site) -> Server {
        site.start(&self.options.servers[0]).await.0
    }

    /// Milliseconds from exec to the first exchange answered, the median; and resident memory then.
    async fn starting(&self) -> (f64, f64) {
        let mut times = Vec::new();
        let mut memory = f64::NAN;
        for _ in 0..if self.options.smoke { 1 } else { 9 } {
            let (server, took) = Site::new("ES256").start(&self.options.servers[0]).await;
            times.push(took.as_secs_f64() * 1e3);
            memory = server.memory_mib();
        }
        (median(times), memory)
    }

    /// Every way in, with every algorithm before and behind it.
    async fn exchanges(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        let sites = ["RS256", "ES256"].map(|issued| (issued, "", self.site(issued)));
        let known = ["RS256", "ES256"].map(|issued| (issued, ", known", Site::new(issued)));
        for (issued, which, site) in sites.into_iter().chain(known) {
            let mut servers = Vec::new();
            for server in &self.options.servers {
                servers.push(site.start(server).await.0);
            }
            for (way, subject) in ways() {
                let name = match subject {
                    Some(subject) => format!("{} | {subject}{which} | {issued}", way.name()),
                    None if which.is_empty() => format!("{} | - | {issued}", way.name()),
                    None => continue,
                };
                if !self.options.wants(&name) {
                    continue;
                }
                let verify = subject.map(|subject| format!("verify {subject}"));
                let sign = format!("sign {issued}");
                let entries: Vec<_> = servers
                    .iter()
                    .map(|server| Entry {
                        server,
                        target: server.target(way, subject.unwrap_or(issued)),
                        connections: self.few(BUSY),
                        bare: verify.iter().chain([&sign]).cloned().collect(),
                    })
                    .collect();
                let measured = measure(&mut self.probe, &entries, self.turns).await;
                rows.push(Row { name, measured });
            }
        }
        rows
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
                server,
                target: server.target(Way::Simple, "ES256"),
                connections: self.few(*connections),
                bare: vec!["verify ES256".to_owned(), "sign ES256".to_owned()],
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

    /// What only shows at and below the highest rate of RS256.
    async fn saturated(&mut self, results: &mut Results) {
        let server = self.start(self.site("RS256")).await;
        let signing = server.target(Way::Simple, "RS256");
        let bare = vec!["verify RS256".to_owned(), "sign RS256".to_owned()];
        let entry = |server, target: &_| Entry {
            server,
            target: Clone::clone(target),
            connections: BUSY,
            bare: bare.clone(),
        };
        let one = measure(&mut self.probe, &[entry(&server, &signing)], self.turns).await;
        let length = self.turns.length * 6;
        let half = Pace::Rate(one[0].per_second / 2.0);
        let mut p99 = Vec::new();
        for _ in 0..5 {
            let load = drive(&signing, BUSY, half, length, || ()).await;
            p99.push(load.quantile_ms(0.99));
        }
        results.half_rate_p99_ms = Some(median(p99));
        for signing_connections in [BUSY, 1000] {
            for path in ["/healthz", "/.well-known/jwks.json"] {
                let small = server.get(path);
                let mut p99 = Vec::new();
                for _ in 0..3 {
                    let (_, beside) = tokio::join!(
                        drive(&signing, signing_connections, Pace::Flat, length * 2, || ()),
                        async {
                            // All connections begin at once, which is a burst, and not what is measured here.
                            tokio::time::sleep(length / 2).await;
                            drive(&small, 4, Pace::Rate(200.0), length, || ()).await
                        },
                    );
                    p99.push(beside.quantile_ms(0.99));
                }
                results.beside.push(Beside {
                    path,
                    signing_connections,
                    p99_ms: median(p99),
                });
            }
        }
        if !*PINNED {
            return;
        }
        let both = Site {
            cores: "0,1",
            ..self.site("RS256")
        };
        let both = self.start(both).await;
        let target = both.target(Way::Simple, "RS256");
        let mut gains = Vec::new();
        let single = Turns {
            count: 1,
            ..self.turns
        };
        for _ in 0..self.turns.count {
            let one = measure(&mut self.probe, &[entry(&server, &signing)], single).await;
            move_to("0,1");
            let two = measure(&mut self.probe, &[entry(&both, &target)], single).await;
            move_to("1");
            gains.push(two[0].per_second / one[0].per_second);
        }
        results.two_cores = Some(median(gains));
    }
}

/// Each way in with the algorithms of its subject token, if it takes one.
fn ways() -> Vec<(Way, Option<&'static str>)> {
    let exchanges = [Way::Simple, Way::Basic, Way::Cel]
        .into_iter()
        .flat_map(|way| ["RS256", "ES256"].map(|subject| (way, Some(subject))));
    exchanges.chain([(Way::ClientCredentials, None)]).collect()
}
