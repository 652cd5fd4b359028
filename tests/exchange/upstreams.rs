//! Issuers that are down, hang, or answer nonsense (design §6; refusal tables of §2.1 and §2.3).

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::issuer::{Answer, DISCOVERY, Issuer, JWKS, nobody};
use crate::support::keys::{Key, OTHER_RSA, P256, RSA};
use crate::support::server::{Server, Site};
use crate::support::shapes::{gitlab, with};
use crate::support::tokens::token;
use crate::support::until;

fn found_by_discovery(id: &str, issuer: &str) -> String {
    format!(
        "[[connectors]]\nid = \"{id}\"\nissuer = \"{issuer}\"\naudiences = [\"https://sts.example.com\"]\nallow = [\"true\"]\nsubject_prefix = \"{id}:\"\n"
    )
}

fn server(issuer: &str, lines: &str) -> Server {
    let connector = found_by_discovery("ci", issuer);
    Site::new().tables(&format!("{connector}{lines}")).start()
}

fn job(issuer: &str, key: &Key, kid: &str) -> String {
    let alg = if matches!(key, Key::Rsa(_)) {
        "RS256"
    } else {
        "ES256"
    };
    token(&gitlab(issuer), key, alg, kid)
}

/// The form gets 503, the simple exchange `status`; both say when to come back.
#[track_caller]
fn unavailable(server: &Server, token: &str, status: u16) {
    let form = server.exchange(token, &[]);
    let simple = server.simple(&json!({ "token": token }));
    for (reply, status) in [(form, 503), (simple, status)] {
        let expected = (
            status,
            "temporarily_unavailable".to_owned(),
            "keys_unavailable".to_owned(),
        );
        assert_eq!(reply.refusal(), expected, "{}", reply.text());
        let after: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
        let event = server.audit(&reply);
        assert_eq!(
            (&event["outcome"], &event["connector"]),
            (&json!("error"), &json!("ci"))
        );
    }
}

#[test]
fn an_issuer_that_is_down_is_502_and_503() {
    let issuer = nobody();
    let server = server(&issuer, "");
    unavailable(&server, &job(&issuer, &RSA, "k"), 502);
    let words = server.exchange(&job(&issuer, &RSA, "k"), &[]).description();
    assert!(!words.contains("127.0.0.1"), "{words}");
}

#[test]
fn an_issuer_that_hangs_is_504_and_503() {
    for path in [DISCOVERY, JWKS] {
        let issuer = Issuer::start(&[RSA.jwk("k")]);
        issuer.set(path, Answer::Hang);
        let server = server(&issuer.url, "timeout = \"300ms\"");
        unavailable(&server, &job(&issuer.url, &RSA, "k"), 504);
    }
}

#[test]
fn an_issuer_that_answers_nonsense_is_502_and_503() {
    let page = || Answer::Page("text/html", "<html>Sign in</html>".to_owned());
    let document = |text: &str| Answer::Document(text.to_owned());
    for (path, answer) in [
        (DISCOVERY, page()),
        (DISCOVERY, document("{}")),
        (
            DISCOVERY,
            document(
                r#"{"issuer":"https://other.example","jwks_uri":"https://other.example/jwks"}"#,
            ),
        ),
        (DISCOVERY, Answer::Status(500)),
        (DISCOVERY, Answer::Status(404)),
        (DISCOVERY, Answer::Close),
        (JWKS, page()),
        (JWKS, document("")),
        (JWKS, document(r#"{"keys":[]}"#)),
        (JWKS, document(r#"{"keys":{}}"#)),
        (JWKS, document("[]")),
        (JWKS, document(&" ".repeat(300_000))),
        (JWKS, Answer::Status(503)),
        (JWKS, Answer::Status(204)),
        (JWKS, Answer::Close),
    ] {
        let issuer = Issuer::start(&[RSA.jwk("k")]);
        issuer.set(path, answer);
        let server = server(&issuer.url, "");
        unavailable(&server, &job(&issuer.url, &RSA, "k"), 502);
    }
}

#[test]
fn an_issuer_that_was_down_serves_once_it_is_back() {
    let issuer = Issuer::start(&[RSA.jwk("k")]);
    issuer.set(JWKS, Answer::Status(500));
    let server = server(&issuer.url, "");
    let token = job(&issuer.url, &RSA, "k");
    unavailable(&server, &token, 502);
    issuer.publish(&[RSA.jwk("k")]);
    until("the keys are fetched", || {
        server.exchange(&token, &[]).status == 200
    });
}

#[test]
fn a_rotated_key_is_found_at_once_and_a_removed_one_refused() {
    let issuer = Issuer::start(&[RSA.jwk("old")]);
    let server = server(&issuer.url, "");
    let old = job(&issuer.url, &RSA, "old");
    assert_eq!(server.exchange(&old, &[]).status, 200);
    issuer.publish(&[OTHER_RSA.jwk("new")]);
    let new = job(&issuer.url, &OTHER_RSA, "new");
    assert_eq!(server.exchange(&new, &[]).status, 200);
    // That fetch was good, so the key that it lacks is gone; the next look for it waits for the cooldown.
    let gone = server.exchange(&old, &[]);
    assert_eq!(
        (gone.status, gone.refusal().2.as_str()),
        (503, "keys_unavailable")
    );
    assert_eq!(issuer.hits(JWKS), 2);
}

#[test]
fn a_kid_that_no_fetch_has_is_400_and_within_the_cooldown_503() {
    let issuer = Issuer::start(&[RSA.jwk("k")]);
    let server = server(&issuer.url, "");
    assert_eq!(
        server.exchange(&job(&issuer.url, &RSA, "k"), &[]).status,
        200
    );
    let unknown = server.exchange(&job(&issuer.url, &RSA, "x"), &[]);
    assert_eq!(
        (unknown.status, unknown.refusal().2.as_str()),
        (400, "key_unknown")
    );
    assert_eq!(issuer.hits(JWKS), 2);
    let next = job(&issuer.url, &RSA, "y");
    let form = server.exchange(&next, &[]);
    let simple = server.simple(&json!({ "token": next }));
    for reply in [form, simple] {
        let expected = (
            503,
            "temporarily_unavailable".to_owned(),
            "keys_unavailable".to_owned(),
        );
        assert_eq!(reply.refusal(), expected);
        let after: u32 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&after), "{after}");
    }
    let bad = token(&gitlab(&issuer.url), &OTHER_RSA, "RS256", "k");
    assert_eq!(server.exchange(&bad, &[]).refusal().2, "signature_invalid");
    assert_eq!(issuer.hits(JWKS), 2);
}

#[test]
fn an_unknown_issuer_is_never_asked() {
    let (known, unknown) = (
        Issuer::start(&[RSA.jwk("k")]),
        Issuer::start(&[RSA.jwk("k")]),
    );
    let server = server(&known.url, "");
    let token = job(&unknown.url, &RSA, "k");
    for _ in 0..3 {
        assert_eq!(server.exchange(&token, &[]).refusal().2, "issuer_unknown");
    }
    assert_eq!((unknown.hits(DISCOVERY), unknown.hits(JWKS)), (0, 0));
}

#[test]
fn one_dead_and_one_garbled_issuer_among_a_hundred_leave_98_at_work() {
    let keys: Vec<Key> = (0..100).map(|_| Key::p256()).collect();
    let issuers: Vec<Issuer> = keys
        .iter()
        .map(|key| Issuer::start(&[key.jwk("k")]))
        .collect();
    let (dead, garbled) = (17, 71);
    let gone = nobody();
    issuers[garbled].set(JWKS, Answer::Page("text/html", "<html></html>".to_owned()));
    let url = |index: usize| {
        if index == dead {
            &gone
        } else {
            &issuers[index].url
        }
    };
    let connectors: String = (0..100)
        .map(|index| found_by_discovery(&format!("c{index}"), url(index)))
        .collect();
    let server = Site::new().tables(&connectors).start();
    let sent = |index: usize| job(url(index), &keys[index], "k");
    for index in (0..100).filter(|index| ![dead, garbled].contains(index)) {
        let claims = server.claims(&sent(index), &[]);
        assert!(
            claims["sub"]
                .as_str()
                .unwrap()
                .starts_with(&format!("c{index}:"))
        );
    }
    for index in [dead, garbled] {
        let form = server.exchange(&sent(index), &[]);
        let simple = server.simple(&json!({"token": sent(index)}));
        let status = |reply: &Reply| (reply.status, reply.header("retry-after").is_some());
        assert_eq!((status(&form), status(&simple)), ((503, true), (502, true)));
    }
    let health = server.get("/healthz");
    assert_eq!(
        (health.status, health.json()),
        (200, json!({"status": "degraded"}))
    );
}

#[test]
fn the_start_does_not_wait_for_issuers() {
    let issuers: Vec<Issuer> = (0..20).map(|_| Issuer::start(&[])).collect();
    for issuer in &issuers {
        issuer.set(DISCOVERY, Answer::Hang);
    }
    let hanging: String = issuers
        .iter()
        .enumerate()
        .map(|(index, issuer)| {
            found_by_discovery(&format!("c{index}"), &issuer.url) + "timeout = \"60s\"\n"
        })
        .collect();
    // It listens and serves although no issuer will ever answer.
    let server = Site::new().tables(&hanging).connector("ci", "").start();
    let mine: Value = with(gitlab(crate::CI), json!({}));
    assert_eq!(
        server
            .exchange(&token(&mine, &P256, "ES256", "e1"), &[])
            .status,
        200
    );
    assert_eq!(server.get("/keys").status, 200);
}
