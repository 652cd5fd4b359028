//! `rate_per_address` and `rate_per_client`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::http::Reply;
use crate::support::server::{Server, Site};
use crate::{at_once, exchange, job, metric};

/// So many that they cannot all pass within any patience.
const FLOOD: usize = 40;

fn site(lines: &str) -> Site {
    Site::new()
        .keys(&format!("\n[limits]\n{lines}"))
        .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .env("REMINT__SERVER__TRUSTED_PROXIES", "127.0.0.1")
}

/// How many of the replies are 429, each exactly as it should be.
fn limited(replies: &[Reply]) -> usize {
    let limited: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    for reply in &limited {
        let (status, error, reason) = reply.refusal();
        let found = (status, error.as_str(), reason.as_str());
        assert_eq!(found, (429, "temporarily_unavailable", "rate_limited"));
        let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=2).contains(&after), "{after}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    limited.len()
}

fn from(server: &Server, address: &str, token: &str) -> Reply {
    exchange(server, &[("X-Forwarded-For", address)], token)
}

#[test]
fn one_address_is_limited_and_others_are_not() {
    let server = site("rate_per_address = 1").connector("ci", "").start();
    let token = job(json!({}));
    let replies = at_once(FLOOD, |_| from(&server, "192.0.2.1", &token));
    let refused = limited(&replies);
    assert!((1..=FLOOD - 2).contains(&refused), "{refused}");
    let network = |number| format!("2001:db8:0:7::{number:x}");
    let replies = at_once(FLOOD, |number| from(&server, &network(number + 1), &token));
    let of_network = limited(&replies);
    assert!((1..=FLOOD - 2).contains(&of_network), "a /64 is one caller");
    for other in ["192.0.2.2", "2001:db8:0:8::1"] {
        assert_eq!(from(&server, other, &token).status, 200, "{other}");
    }
    // Before anything else is looked at, and only for tokens.
    let replies = at_once(FLOOD, |_| {
        server.send("POST", "/token", &[("X-Forwarded-For", "192.0.2.9")], "x")
    });
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert!(
        statuses.contains(&415) && statuses.contains(&429),
        "{statuses:?}"
    );
    assert_eq!(server.get("/.well-known/jwks.json").status, 200);
    let last = statuses.iter().filter(|status| **status == 429).count();
    let sample = "remint_limited_total{limit=\"rate_per_address\"}";
    let counted = u64::try_from(refused + of_network + last).unwrap();
    assert_eq!(metric(&server, sample), counted);
    let event = server.logged("a sampled event", |line| {
        (line["target"] == "audit" && line["reason"] == "rate_limited").then(|| line.clone())
    });
    assert_eq!(event["outcome"], "refused", "{event}");
    assert!(event["count"].is_u64(), "{event}");
}

#[test]
fn one_client_is_limited_and_guesses_at_it_do_not_count() {
    let client = "secret = \"s\"\ngrants = [\"token-exchange\", \"client_credentials\"]";
    let server = site("rate_per_client = 1")
        .connector("ci", "require_client = false")
        .client("one", client)
        .client("other", client)
        .client("open", "public = true")
        .start();
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let asks = |pair: &str| exchange(&server, &[("Authorization", &basic(pair))], &job(json!({})));
    for reply in at_once(FLOOD, |_| asks("one:guess")) {
        assert_eq!(reply.status, 401);
    }
    let replies = at_once(FLOOD, |_| asks("one:s"));
    let refused = limited(&replies);
    assert!((1..=FLOOD - 2).contains(&refused), "{refused}");
    assert_eq!(asks("other:s").status, 200);
    // A client that proves nothing, and nobody at all, are not limited by this.
    assert_eq!(limited(&at_once(FLOOD, |_| asks("open:"))), 0);
    assert_eq!(
        limited(&at_once(FLOOD, |_| exchange(&server, &[], &job(json!({}))))),
        0
    );
    let sample = "remint_limited_total{limit=\"rate_per_client\"}";
    assert_eq!(metric(&server, sample), u64::try_from(refused).unwrap());
}

#[test]
fn without_a_rate_nothing_is_limited() {
    let server = site("max_concurrent = 256").connector("ci", "").start();
    let token = job(json!({}));
    assert_eq!(
        limited(&at_once(FLOOD, |_| from(&server, "192.0.2.1", &token))),
        0
    );
}
