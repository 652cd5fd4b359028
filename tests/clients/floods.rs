//! Floods of refusals that cost their sender nothing do not hide those about what is configured.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::keys::OTHER_RSA;
use crate::support::server::{Server, Site};
use crate::support::tokens;
use crate::{basic, exchange, job};

/// More than are logged in full at once.
const FLOOD: usize = 300;

fn server() -> Server {
    Site::new()
        .connector("ci", "require_client = false")
        .connector("quiet", "require_client = false")
        .client("app", "secret = \"right\"")
        .client("other", "secret = \"right\"")
        .start()
}

/// Refused five times, each is logged in full and names what it is about.
fn five_are_logged_in_full(
    server: &Server,
    reason: &str,
    (field, id): (&str, &str),
    refused: impl Fn(&str) -> Reply,
) {
    for number in 0..5 {
        let event = server.audit(&refused(&number.to_string()));
        assert_eq!(event["reason"], reason, "{event}");
        assert_eq!(event[field], id, "{event}");
        assert!(event["remote"].is_string(), "{event}");
        assert_eq!(event["count"], 1, "{event}");
    }
}

/// The line that sums up refusals for this reason, and what it names.
fn summary(server: &Server, reason: &str, named: &Value) {
    let event = server.logged("a summary", |line| {
        let is_one = line["target"] == "audit" && line.get("request_id").is_none();
        let mut rest = line.as_object()?.clone();
        rest.retain(|key, _| ["connector", "client", "client_named"].contains(&key.as_str()));
        let is_it = line["reason"] == reason && Value::Object(rest) == *named;
        (is_one && is_it).then(|| line.clone())
    });
    assert_eq!(event["outcome"], "refused", "{event}");
    assert!(event["count"].as_u64().unwrap() >= 1, "{event}");
}

#[test]
fn made_up_clients_do_not_hide_guesses_at_a_real_one() {
    let server = server();
    let guess = |id: &str, secret: &str| {
        let reply = exchange(&server, &basic(id, secret), "none", &[]);
        assert_eq!(reply.refusal().2, "client_invalid");
        reply
    };
    for number in 0..FLOOD {
        guess("nobody", &number.to_string());
    }
    summary(&server, "client_invalid", &json!({}));
    let named = ("client_named", "app");
    five_are_logged_in_full(&server, "client_invalid", named, |secret| {
        guess("app", secret)
    });
    // Nor do those at one client hide those at another.
    for number in 0..FLOOD {
        guess("app", &number.to_string());
    }
    summary(&server, "client_invalid", &json!({"client_named": "app"}));
    let named = ("client_named", "other");
    five_are_logged_in_full(&server, "client_invalid", named, |secret| {
        guess("other", secret)
    });
    // A client that proved its secret is `client`, and nothing is named beside it.
    let event = server.audit(&exchange(
        &server,
        &basic("app", "right"),
        &job(json!({})),
        &[],
    ));
    assert_eq!(event["client"], "app", "{event}");
    assert_eq!(event.get("client_named"), None, "{event}");
}

#[test]
fn forgeries_for_one_connector_do_not_hide_those_for_another() {
    let server = server();
    let forged = |issuer: &str| {
        let claims = json!({"iss": issuer, "sub": "x", "aud": "https://sts.example.com", "exp": crate::support::now() + 300});
        let reply = server.exchange(&tokens::token(&claims, &OTHER_RSA, "RS256", "k1"), &[]);
        assert_eq!(reply.refusal().2, "signature_invalid");
        reply
    };
    for _ in 0..FLOOD {
        forged("https://ci.example");
    }
    summary(&server, "signature_invalid", &json!({"connector": "ci"}));
    let named = ("connector", "quiet");
    five_are_logged_in_full(&server, "signature_invalid", named, |_| {
        forged("https://quiet.example")
    });
}
