//! A flood that nobody reads: what was issued is in the log all the same, and what was dropped is counted.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::bench::http::{connect, exchange, get};
use crate::bench::process::{Lines, remint};
use crate::bench::site::{Site, connector};
use crate::bench::upstream::{Upstream, free_url};
use crate::logs::wait_for;

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many refusals come in one breath.
const WAVE: usize = 200;

/// How many come before it is looked at what was logged.
const FLOOD: u64 = 5 * WAVE as u64;

/// More waves than it can take to fill every buffer on the way.
const MOST_WAVES: usize = 500;

/// Refusals that cost their sender nothing, all on one connection.
fn wave(origin: &str) {
    let refused =
        "POST /token HTTP/1.1\r\nHost: test\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n";
    let last = format!("{refused}Connection: close\r\n\r\nx");
    let requests = format!("{refused}\r\nx").repeat(WAVE - 1) + &last;
    let mut stream = connect(origin);
    let mut sending = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || sending.write_all(requests.as_bytes()).unwrap());
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    sender.join().unwrap();
    assert_eq!(replies.matches("HTTP/1.1 415 ").count(), WAVE);
}

/// Frames of HTTP/2, of which each makes a few lines at the level of trace (RFC 9113 §3.4, §6.5, §6.7).
fn pings(origin: &str) {
    const PAYLOAD: &[u8; 8] = b"any-ping";
    let frame = |kind: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, 0, 0, 0, 0, 0], payload].concat()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let pings = frame(6, PAYLOAD).repeat(WAVE);
    let mut stream = connect(origin);
    let sent = [preface, frame(4, &[]), pings].concat();
    stream.write_all(&sent).unwrap();
    let mut replies = Vec::new();
    let answered = |replies: &[u8]| replies.windows(8).filter(|part| part == PAYLOAD).count();
    while answered(&replies) < WAVE {
        let mut more = [0; 8192];
        let read = stream.read(&mut more).unwrap();
        assert!(read > 0, "only {} are answered", answered(&replies));
        replies.extend_from_slice(&more[..read]);
    }
}

/// How many lines of a queue were dropped so far.
fn dropped(admin: &str, queue: &str) -> u64 {
    let sample = format!("remint_log_lines_dropped_total{{queue=\"{queue}\"}} ");
    let text = get(admin, "/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(&sample));
    value.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[test]
fn no_issuance_is_lost_in_a_flood_that_nobody_reads() {
    let upstream = Upstream::start();
    let (origin, admin) = (free_url(), free_url());
    let place = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let site = Site::new(&format!(
        "issuer = \"http://127.0.0.1:9\"\n[server]\nlisten = [\"{}\"]\nadmin_listen = \"{}\"\n{}",
        place(&origin),
        place(&admin),
        connector("gitlab", upstream.url())
    ));
    let mut command = remint(site.folder(), &["serve", "--log-format", "json"]);
    command.env("RUST_LOG", "trace");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().unwrap());
    wait_for(&origin);
    let mut issued = Vec::new();
    let mut issue = |changes: &Value| {
        let reply = exchange(&origin, &upstream.token(changes));
        issued.push((
            reply.status,
            reply.header("x-request-id").unwrap().to_owned(),
        ));
    };
    // Nobody reads standard error until further lines are dropped, and then more are issued.
    let mut waves = 0;
    while dropped(&admin, "log") == 0 {
        wave(&origin);
        pings(&origin);
        issue(&json!({}));
        waves += 1;
        assert!(waves < MOST_WAVES, "nothing is ever dropped");
    }
    for _ in 0..20 {
        wave(&origin);
        pings(&origin);
        issue(&json!({}));
        // A token was verified for this refusal, so that it counts as much.
        issue(&json!({ "ref_protected": "false" }));
    }
    assert_eq!(dropped(&admin, "audit"), 0);

    let stderr = Lines::of(child.0.stderr.take().unwrap());
    for (status, id) in issued {
        let line = stderr.line(&format!("\"request_id\":\"{id}\""));
        let event: Value = serde_json::from_str(&line).unwrap();
        let outcome = if status == 200 { "issued" } else { "refused" };
        assert_eq!(event["outcome"], outcome, "{event}");
    }
    let told = stderr.line("log lines were dropped");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["level"], &told["queue"]),
        (&json!("WARN"), &json!("log"))
    );
    assert!(told["count"].as_u64().unwrap() > 0 && told["timestamp"].is_string());
}

#[test]
fn a_flood_of_cheap_refusals_is_summed_up_and_nothing_is_missing() {
    let upstream = Upstream::start();
    let remint = Site::trusting(upstream.url()).serve_with(&["--log-format", "json"], &[]);
    let origin = remint.origin();
    for _ in 0..5 {
        wave(&origin);
    }
    // Each is an event of its own or counted in a summary, which comes although nothing follows.
    let events = remint.stderr.wait("every refusal", |text| {
        let events = refusals(text);
        (count(&events) == FLOOD).then_some(events)
    });
    let (single, summed): (Vec<_>, Vec<_>) = events
        .iter()
        .partition(|event| event["request_id"].is_string());
    assert!(single.len() >= 10 && !summed.is_empty(), "{events:#?}");
    assert!(single.len() + summed.len() < WAVE, "{events:#?}");
    for event in single {
        assert_eq!(event["count"], 1, "{event}");
        assert!(event["remote"].as_str().unwrap().starts_with("127.0.0.1"));
        let detail = event["detail"].as_str().unwrap();
        assert!(detail.contains("the Content-Type is text/plain"), "{event}");
    }
    for event in summed {
        let facts = (&event["target"], &event["outcome"]);
        assert_eq!(facts, (&json!("audit"), &json!("refused")));
    }
    // What was not summed up yet is so at the end.
    wave(&origin);
    let run = remint.stop();
    assert_eq!(count(&refusals(&run.stderr)), FLOOD + WAVE as u64);
}

/// The events of the flood.
fn refusals(log: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|event: &Value| event["reason"] == "content_type_unsupported")
        .collect()
}

/// How many refusals the events stand for.
fn count(events: &[Value]) -> u64 {
    let counts = events.iter().map(|event| event["count"].as_u64().unwrap());
    counts.sum()
}
