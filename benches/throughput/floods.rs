//! How long honest exchanges take beside a flood of tokens that nobody signed, all of the same issuer.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::load::{Pace, Target, drive};
use super::measure::Bench;
use super::rounds::median;
use super::site::{FETCHED, Server, Site, tokens};
use super::tokens::b64;

/// As many connections as bring the flood.
const CALLERS: usize = 4;
/// So many key ids that nobody has.
const KIDS: usize = 20_000;

/// What a flood does to the 99th percentile of honest exchanges.
#[derive(Serialize)]
pub(crate) struct Flood {
    pub(crate) what: &'static str,
    pub(crate) quiet_p99_ms: f64,
    pub(crate) p99_ms: f64,
    /// The second over the first, turn by turn.
    pub(crate) ratio: f64,
}

/// Measures both floods.
pub(crate) async fn measure(bench: &Bench<'_>) -> Vec<Flood> {
    let site = bench.site("ES256");
    let site = Site {
        fetched: Some(serve_keys(site.jwks()).await),
        ..site
    };
    let server = bench.start(site).await;
    let tokens = tokens(FETCHED, "ES256", site.tokens);
    let bad = forged(&tokens[0]);
    let (_, rest) = bad.split_once('.').expect("a token");
    let unknown = (0..KIDS).map(|number| with_kid(number, rest));
    let floods = [
        ("unknown kids", refused(&server, unknown.collect())),
        ("bad signatures", refused(&server, vec![bad.clone()])),
    ];
    let honest = server.simple(tokens);
    let mut measured = Vec::new();
    for (what, flood) in floods {
        measured.push(beside(bench, what, &honest, &flood).await);
    }
    measured
}

async fn beside(bench: &Bench<'_>, what: &'static str, honest: &Target, flood: &Target) -> Flood {
    let length = bench.turns.length * 4;
    let (mut quiet, mut loud, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.turns.count.min(5) {
        let alone = drive(honest, 1, Pace::Flat, length, || ()).await;
        let (beside, _) = tokio::join!(
            drive(honest, 1, Pace::Flat, length, || ()),
            drive(flood, CALLERS, Pace::Flat, length, || ()),
        );
        let [alone, beside] = [alone, beside].map(|load| load.quantile_ms(0.99));
        quiet.push(alone);
        loud.push(beside);
        ratios.push(beside / alone);
    }
    Flood {
        what,
        quiet_p99_ms: median(quiet),
        p99_ms: median(loud),
        ratio: median(ratios),
    }
}

/// Requests that are refused: 403, or 503 where the keys may be newer than those that are known.
fn refused(server: &Server, tokens: Vec<String>) -> Target {
    Target {
        refused: true,
        ..server.simple(tokens)
    }
}

/// The token with a signature that nobody made.
fn forged(token: &str) -> String {
    let (signed, _) = token.rsplit_once('.').expect("a token");
    format!("{signed}.{}", b64([7; 64]))
}

/// The token that ends with `rest`, with a key id that nobody has.
fn with_kid(number: usize, rest: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"flood-{number}","typ":"JWT"}}"#);
    format!("{}.{rest}", b64(header))
}

/// Serves upstream keys to whoever connects.
async fn serve_keys(jwks: String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("its address");
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{jwks}",
        jwks.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    address
}
