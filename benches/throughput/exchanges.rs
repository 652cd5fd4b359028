//! Every way in, with every algorithm before and behind it.

use super::certificate;
use super::load::Connect;
use super::measure::{BUSY, Bench, Row};
use super::rounds::{Entry, measure_against};
use super::site::{Server, Site, Way};

/// One row: what is asked for, and how.
struct Ask {
    way: Way,
    /// The algorithm of the subject token, where there is one.
    subject: Option<&'static str>,
    issued: &'static str,
    /// What the row's name says beside that.
    which: &'static str,
    connect: Connect,
}

impl Ask {
    fn name(&self) -> String {
        let (way, which) = (self.way.name(), self.which);
        let subject = self.subject.unwrap_or("-");
        format!("{way}{which} | {subject} | {}", self.issued)
    }
}

/// All rows.
pub(crate) async fn rows(bench: &mut Bench<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for issued in ["RS256", "ES256"] {
        let site = Site {
            tls: true,
            ..bench.site(issued)
        };
        rows.extend(rows_of(bench, site, asks(issued)).await);
    }
    for issued in ["RS256", "ES256"] {
        let asks = exchanges(issued, ", known");
        rows.extend(rows_of(bench, Site::new(issued), asks).await);
    }
    rows
}

/// Those of one site.
async fn rows_of(
    bench: &mut Bench<'_>,
    site: Site,
    asks: impl IntoIterator<Item = Ask>,
) -> Vec<Row> {
    let mut asks: Vec<_> = asks.into_iter().collect();
    asks.retain(|ask| bench.options.wants(&ask.name()));
    if asks.is_empty() {
        return Vec::new();
    }
    let mut servers = Vec::new();
    for server in &bench.options.servers {
        servers.push(site.start(server).await.0);
    }
    let mut rows = Vec::new();
    for ask in asks {
        rows.push(row(bench, &servers, &ask).await);
    }
    rows
}

async fn row(bench: &mut Bench<'_>, servers: &[Server], ask: &Ask) -> Row {
    let verify = ask.subject.map(|subject| format!("verify-{subject}"));
    let sign = format!("sign-{}", ask.issued);
    let operations: Vec<_> = verify.into_iter().chain([sign]).collect();
    let subject = ask.subject.unwrap_or(ask.issued);
    let entry = |process, target| Entry {
        process,
        target,
        connections: bench.few(BUSY),
        operations: operations.clone(),
    };
    let target = |server: &Server| server.target(ask.way, subject, ask.connect.clone());
    let entries = servers
        .iter()
        .map(|server| entry(&server.process, target(server)));
    let entries: Vec<_> = entries.collect();
    let bare = bench.bare.target(&target(&servers[0]), &operations);
    let bare = entry(&bench.bare.process, bare);
    Row {
        name: ask.name(),
        measured: measure_against(&mut bench.probe, bare, entries, bench.turns).await,
    }
}

/// Everything that is asked of a site to which each token is new.
fn asks(issued: &'static str) -> impl Iterator<Item = Ask> {
    let credentials = Ask {
        way: Way::ClientCredentials,
        subject: None,
        issued,
        which: "",
        connect: Connect::Kept,
    };
    // As CI jobs come: each has one exchange, and a company has rules.
    let job = move |which, connect| Ask {
        way: Way::Cel,
        subject: Some(issued),
        issued,
        which,
        connect,
    };
    let jobs = [
        job(", new TCP", Connect::New),
        job(", new TLS 1.3", Connect::Tls(certificate::client())),
    ];
    exchanges(issued, "").chain([credentials]).chain(jobs)
}

fn exchanges(issued: &'static str, which: &'static str) -> impl Iterator<Item = Ask> {
    let ways = [Way::Simple, Way::Basic, Way::Cel].into_iter();
    let subjects = ways.flat_map(|way| ["RS256", "ES256"].map(|subject| (way, subject)));
    subjects.map(move |(way, subject)| Ask {
        way,
        subject: Some(subject),
        issued,
        which,
        connect: Connect::Kept,
    })
}
