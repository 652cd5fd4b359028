//! Trouble with one issuer while exchanges go on, with its own tokens and with those of another.

use std::io::Write as _;
use std::process::{Command, Stdio};

use remint::upstream::SourceState;
use serde_json::json;

use super::support::issuer::{Answer, DISCOVERY, Issuer, JWKS};
use super::support::keys::{OTHER_P256, OTHER_RSA, P256, RSA, jwks};
use super::support::until;
use super::world::World;

const OLD: u64 = 600;

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

/// 10 MB of spaces in chunks, which is JSON as far as it goes.
fn endless() -> Vec<u8> {
    let mut reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let spaces = vec![b' '; 0x10000];
    for _ in 0..160 {
        reply.extend_from_slice(b"10000\r\n");
        reply.extend_from_slice(&spaces);
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    reply
}

/// A good key set behind 10 MB of spaces, compressed to a few KiB.
fn bomb() -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let plain = format!("{}{}", " ".repeat(10_000_000), jwks(&[P256.jwk("e1")]));
    let writer = std::thread::spawn(move || stdin.write_all(plain.as_bytes()).unwrap());
    let body = gzip.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    assert!(body.len() < 64 * 1024);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn redirect_to(url: &str) -> Answer {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
    Answer::Raw(head.into_bytes())
}

#[test]
fn no_answer_of_an_issuer_stops_exchanges() {
    let world = World::start();
    let other = Issuer::start(&[P256.jwk("e1"), OTHER_P256.jwk("e9")]);
    let good = jwks(&[P256.jwk("e1"), OTHER_P256.jwk("e2")]);
    let page = |text: &str| Answer::Page("text/html", text.to_owned());
    let document = |text: &str| Answer::Document(text.to_owned());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", good.len());
    let moved = json!({"issuer": world.sick.url, "jwks_uri": format!("{}{JWKS}", other.url)});
    let load = world.load(&[&world.well, &world.sick]);
    for (path, answer, cause) in [
        (JWKS, Answer::Close, "/jwks: "),
        (JWKS, Answer::Status(503), "answered 503"),
        (JWKS, Answer::Hang, "no complete answer within 1s"),
        (DISCOVERY, Answer::Hang, "no complete answer within 1s"),
        (
            JWKS,
            Answer::Trickle((head.clone() + &good).into_bytes()),
            "no complete answer within 1s",
        ),
        (JWKS, document("\u{1}\u{2}garbage"), "not JSON"),
        (JWKS, page("<html>Sign in</html>"), "looks like an HTML"),
        (JWKS, document(r#"{"keys":[]}"#), "no usable key"),
        (JWKS, document(&" ".repeat(10_000_000)), "more than 256 KiB"),
        (JWKS, Answer::Raw(endless()), "more than 256 KiB"),
        (JWKS, Answer::Raw(bomb()), "not JSON"),
        (
            JWKS,
            redirect_to(&format!("{}{JWKS}", other.url)),
            "not the same scheme, host and port",
        ),
        (
            DISCOVERY,
            document(&moved.to_string()),
            "not the issuer's own host and port",
        ),
    ] {
        let healthy = match path {
            JWKS => Answer::Document(good.clone()),
            _ => Answer::Document(
                json!({"issuer": world.sick.url, "jwks_uri": format!("{}{JWKS}", world.sick.url)})
                    .to_string(),
            ),
        };
        assert_eq!(world.health(), "ok", "{cause}");
        world.sick.set(path, answer);
        let status = world.next_fetch(OLD);
        let error = status.last_error.unwrap().to_string();
        assert!(error.contains(cause), "{error}");
        // Its keys serve on, a kid that it did not have is no refusal, and nobody else notices.
        let known = world.job(&world.sick, &OTHER_P256, "e2");
        assert_eq!(world.exchange(&known), ok(), "{cause}");
        let (status, reason) = world.exchange(&world.job(&world.sick, &OTHER_P256, "e9"));
        let late = cause == "no complete answer within 1s";
        assert_eq!(status, if late { 504 } else { 502 }, "{cause}");
        assert_eq!(reason, "keys_unavailable");
        assert_eq!(world.health(), "degraded", "{cause}");
        load.goes_on();
        world.sick.set(path, healthy);
        until("it recovers", || {
            world.advance(5);
            world.status("sick").last_error.is_none()
        });
    }
    assert_eq!((other.hits(JWKS), other.hits(DISCOVERY)), (0, 0));
    load.end();
}

#[test]
fn an_outage_of_hours_ends_the_keys_of_one_issuer_only() {
    let world = World::start();
    let known = || world.exchange(&world.job(&world.sick, &P256, "e1"));
    world.sick.set(DISCOVERY, Answer::Close);
    world.sick.set(JWKS, Answer::Close);
    let load = world.load(&[&world.well]);
    // An issuer that nobody uses is not asked.
    assert_eq!(known(), ok());
    for _ in 0..23 {
        assert!(world.next_fetch(3600).is_degraded());
        assert_eq!(known(), ok());
        load.goes_on();
    }
    world.next_fetch(3599);
    assert_eq!(known(), ok());
    assert!(world.next_fetch(60).is_degraded());
    assert_eq!(world.status("sick").state, SourceState::Failed);
    assert_eq!(known(), refused(502, "keys_unavailable"));
    load.goes_on();
    let sick = &world.sick;
    let document = json!({"issuer": sick.url, "jwks_uri": format!("{}{JWKS}", sick.url)});
    sick.set(DISCOVERY, Answer::Document(document.to_string()));
    sick.publish(&[P256.jwk("e1")]);
    assert!(!world.next_fetch(60).is_degraded());
    assert_eq!(known(), ok());
    load.end();
}

#[test]
fn a_withdrawn_key_ends_with_the_next_fetch() {
    let world = World::start();
    let load = world.load(&[&world.well, &world.sick]);
    // The very same token, whose signature is known to be good.
    let token = world.job(&world.sick, &OTHER_P256, "e2");
    let withdrawn = || world.exchange(&token);
    assert_eq!(withdrawn(), ok());
    world.sick.publish(&[P256.jwk("e1")]);
    assert_eq!(withdrawn(), ok(), "nothing was fetched yet");
    assert!(!world.next_fetch(OLD).is_degraded());
    assert_eq!(withdrawn(), refused(403, "key_unknown"));
    load.goes_on();
    // Nor does it come back when the issuer goes away.
    world.sick.set(JWKS, Answer::Close);
    assert!(world.next_fetch(OLD).is_degraded());
    assert_eq!(withdrawn(), refused(502, "keys_unavailable"));
    load.end();
}

#[test]
fn another_key_of_the_same_kid_ends_what_the_old_one_signed() {
    let world = World::start();
    for (old, new) in [(&RSA, &OTHER_RSA), (&P256, &OTHER_P256)] {
        world.sick.publish(&[old.jwk("same")]);
        assert!(!world.next_fetch(OLD).is_degraded());
        // Its signature is known to be good, but not of which key the name was.
        let token = world.job(&world.sick, old, "same");
        assert_eq!(world.exchange(&token), ok());
        world.sick.publish(&[new.jwk("same")]);
        assert!(!world.next_fetch(OLD).is_degraded());
        assert_eq!(world.exchange(&token), refused(403, "signature_invalid"));
        world.sick.publish(&[old.jwk("same")]);
        assert!(!world.next_fetch(OLD).is_degraded());
        assert_eq!(world.exchange(&token), ok());
    }
}

#[test]
fn all_kids_rotated_at_once_cost_one_fetch() {
    let world = World::start();
    let load = world.load(&[&world.well]);
    let hits = world.sick.hits(JWKS);
    world.sick.publish(&[P256.jwk("n1"), OTHER_P256.jwk("n2")]);
    for (key, kid) in [(&P256, "n1"), (&OTHER_P256, "n2")] {
        let token = world.job(&world.sick, key, kid);
        assert_eq!(world.exchange(&token), ok(), "{kid}");
    }
    assert_eq!(world.sick.hits(JWKS), hits + 1);
    // Whoever still signs with an old key hears to try again, then no.
    let old = world.job(&world.sick, &P256, "e1");
    assert_eq!(world.exchange(&old), refused(503, "keys_unavailable"));
    world.advance(30);
    assert_eq!(world.exchange(&old), refused(403, "key_unknown"));
    load.end();
}

#[test]
fn an_issuer_whose_clock_is_off_is_refused_its_future_only() {
    let world = World::start();
    let load = world.load(&[&world.well, &world.sick]);
    let off_by = |seconds| world.exchange(&world.job_off_by(&world.sick, seconds));
    assert_eq!(off_by(300), refused(403, "token_not_yet_valid"));
    assert_eq!(off_by(-300), ok());
    assert_eq!(off_by(-7201), refused(403, "token_expired"));
    assert!(!world.status("sick").is_degraded());
    load.end();
}
