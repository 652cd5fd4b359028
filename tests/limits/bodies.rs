//! `max_body_bytes`: memory for the bodies of all requests under way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::json;

use crate::support::http::{self, Reply};
use crate::support::issuer::{Answer, Issuer, JWKS};
use crate::support::keys::{OTHER_P256, P256, jwks};
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::support::{PATIENCE, tokens, until};
use crate::{CI, exchange, job, metric, shapes};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const HELD: &str = "remint_body_bytes";
const REFUSED: &str = "remint_limited_total{limit=\"max_body_bytes\"}";

fn site() -> Site {
    Site::new()
        .env("REMINT__LIMITS__MAX_BODY_BYTES", "64KiB")
        .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .connector("ci", "")
}

/// Sends the first 40,000 bytes of a body of 50,000, and waits until the server holds them.
fn half(server: &Server, content_type: &str) -> TcpStream {
    let head = format!(
        "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: {content_type}\r\ncontent-length: 50000\r\n\r\n"
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = [head.as_bytes(), &vec![b'x'; 40_000]].concat();
    let refused = metric(server, REFUSED);
    let before = metric(server, HELD);
    stream.write_all(&sent).unwrap();
    until("it is held", || {
        metric(server, HELD) == before + 40_960 || metric(server, REFUSED) > refused
    });
    stream
}

/// The reply to a request that is refused for want of memory.
fn gave_way(mut stream: TcpStream) {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let reply = http::parse(&reply);
    assert_refused(&reply);
    assert_eq!(reply.header("connection"), Some("close"));
}

fn assert_refused(reply: &Reply) {
    let expected = (
        503,
        "temporarily_unavailable".to_owned(),
        "overloaded".to_owned(),
    );
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[test]
fn the_body_that_has_been_under_way_for_the_longest_time_gives_way() {
    let server = site().start();
    for (number, (content_type, status)) in (1..).zip([(FORM, 400), (JSON, 415)]) {
        let first = half(&server, content_type);
        assert_eq!(metric(&server, HELD), 40_960);
        let mut second = half(&server, content_type);
        gave_way(first);
        assert_eq!(metric(&server, REFUSED), number);
        // The other one goes on, and whoever sends a body in one piece is served.
        let reply = exchange(&server, &[], &job(json!({})));
        assert_eq!(reply.status, 200, "{}", reply.text());
        second.write_all(&vec![b'x'; 10_000]).unwrap();
        second.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        second.read_to_end(&mut reply).unwrap();
        assert_eq!(http::parse(&reply).status, status);
        until("nothing is held", || metric(&server, HELD) == 0);
    }
    let event = server.logged("a sampled event", |line| {
        (line["reason"] == "overloaded").then(|| line.clone())
    });
    assert_eq!(
        (&event["target"], &event["outcome"]),
        (&json!("audit"), &json!("error"))
    );
}

/// A large body, which does not fit beside one that is half there, makes that one give way.
#[test]
fn a_whole_body_comes_before_a_half_one() {
    let server = site().start();
    let first = half(&server, FORM);
    let padding = "x".repeat(50_000);
    let token = job(json!({}));
    let reply = server.exchange(&token, &[("padding", &padding)]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    gave_way(first);
}

/// What is decided on holds its body, and does not give way.
#[test]
fn bodies_of_decisions_under_way_count_and_stay() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let url = &issuer.url;
    let connector = format!("issuer = \"{url}\"\njwks_uri = \"{url}{JWKS}\"\ntimeout = \"60s\"");
    let server = site().connector("held", &connector).start();
    until("the first fetch", || issuer.hits(JWKS) == 1);
    let gate = Arc::<AtomicBool>::default();
    let keys = jwks(&[P256.jwk("e1"), OTHER_P256.jwk("e2")]);
    issuer.set(JWKS, Answer::Held(Arc::clone(&gate), keys));
    let token = tokens::token(&shapes::gitlab(url), &OTHER_P256, "ES256", "e2");
    let padding = "x".repeat(55_000);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| server.exchange(&token, &[("padding", &padding)]));
        until("a second fetch", || issuer.hits(JWKS) == 2);
        let more = "x".repeat(10_000);
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", "x"),
            ("subject_token_type", JWT),
            ("padding", more.as_str()),
        ];
        assert_refused(&server.form(&form));
        assert_refused(&server.simple(&json!({ "token": more })));
        // A body that fits is served meanwhile.
        let reply = exchange(&server, &[], &job(json!({ "iss": CI })));
        assert_eq!(reply.status, 200, "{}", reply.text());
        gate.store(true, Relaxed);
        let reply = held.join().unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    });
    assert_eq!(metric(&server, REFUSED), 2);
    until("nothing is held", || metric(&server, HELD) == 0);
}
