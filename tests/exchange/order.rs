//! The first refusal in the order of design §1 is the one reported: each request here is wrong in two ways.

use serde_json::{Value, json};

use crate::support::keys::{OTHER_RSA, RSA};
use crate::support::now;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::support::tokens::{compact, token};
use crate::{job, job_with, signed};

const FORM: &str = "application/x-www-form-urlencoded";

const CONNECTOR: &str = r#"allow = ["claims.ref == 'main'"]
targets = ["one"]
[connectors.claims]
team = "claims.user_login"
[[connectors.rules]]
name = "r"
when = "claims.environment == 'production'""#;

/// A token, further parameters, and the reason of the refusal.
type Row<'a> = (String, &'a [(&'a str, &'a str)], &'a str);

fn server() -> Server {
    Site::new()
        .connector("ci", CONNECTOR)
        .connector("other", "")
        .start()
}

#[test]
fn what_the_request_is_comes_before_what_is_in_it() {
    let server = server();
    let large = "a".repeat(70_000);
    assert_eq!(
        server.post("text/plain", &large).refusal().2,
        "content_type_unsupported"
    );
    assert_eq!(
        server
            .post(FORM, format!("scope=a&scope=b&{large}"))
            .refusal()
            .2,
        "body_too_large"
    );
    for (pairs, reason) in [
        (
            vec![("scope", "a"), ("scope", "b"), ("grant_type", "x")],
            "parameter_repeated",
        ),
        (
            vec![("grant_type", "x"), ("client_id", "app")],
            "grant_unsupported",
        ),
        (
            vec![("grant_type", EXCHANGE), ("client_id", "app")],
            "parameter_missing",
        ),
        (
            vec![
                ("grant_type", EXCHANGE),
                ("subject_token", "x"),
                ("subject_token_type", "x"),
                ("client_id", "app"),
            ],
            "parameter_malformed",
        ),
        (
            vec![
                ("grant_type", EXCHANGE),
                ("subject_token", "x"),
                ("subject_token_type", JWT),
                ("client_id", "app"),
            ],
            "client_invalid",
        ),
        (
            vec![
                ("grant_type", EXCHANGE),
                ("subject_token", "x"),
                ("subject_token_type", JWT),
                ("connector_id", "none"),
            ],
            "token_malformed",
        ),
    ] {
        assert_eq!(server.form(&pairs).refusal().2, reason, "{pairs:?}");
    }
}

#[test]
fn a_token_is_measured_step_by_step() {
    let server = server();
    let made = |header: Value, changes: Value, key| {
        compact(
            header.to_string(),
            job_with(changes).to_string(),
            key,
            "RS256",
        )
    };
    let head = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let future = now() + 1_000;
    let rows: [Row; 13] = [
        (
            made(head("none", "k1"), json!({"iss": "x"}), &RSA),
            &[],
            "issuer_unknown",
        ),
        (
            made(head("none", "k1"), json!({"exp": 1}), &RSA),
            &[("connector_id", "other")],
            "issuer_mismatch",
        ),
        (
            made(head("none", "k1"), json!({"exp": 1}), &RSA),
            &[],
            "alg_refused",
        ),
        (
            made(head("RS256", "zz"), json!({"exp": 1}), &RSA),
            &[],
            "token_expired",
        ),
        (
            made(head("RS256", "zz"), json!({"aud": "x"}), &OTHER_RSA),
            &[],
            "key_unknown",
        ),
        (
            made(head("RS256", "k1"), json!({"nbf": future}), &OTHER_RSA),
            &[],
            "signature_invalid",
        ),
        (
            made(
                head("RS256", "k1"),
                json!({"nbf": future, "aud": "x"}),
                &RSA,
            ),
            &[],
            "token_not_yet_valid",
        ),
        (
            made(head("RS256", "k1"), json!({"aud": "x", "ref": "x"}), &RSA),
            &[],
            "audience_mismatch",
        ),
        (
            made(
                head("RS256", "k1"),
                json!({"ref": "x", "environment": "x"}),
                &RSA,
            ),
            &[],
            "condition_false",
        ),
        (
            made(head("RS256", "k1"), json!({"environment": "x"}), &RSA),
            &[("audience", "x")],
            "no_rule",
        ),
        (
            made(head("RS256", "k1"), json!({}), &RSA),
            &[("audience", "x"), ("scope", "x")],
            "target_refused",
        ),
        (
            made(head("RS256", "k1"), json!({}), &RSA),
            &[
                ("scope", "x"),
                ("actor_token", "x"),
                ("actor_token_type", JWT),
            ],
            "scope_refused",
        ),
        (
            made(head("RS256", "k1"), json!({"user_login": null}), &RSA),
            &[("actor_token", "x"), ("actor_token_type", JWT)],
            "token_malformed",
        ),
    ];
    // The keys are there before a kid is asked for that they lack.
    assert_eq!(server.exchange(&signed(&job()), &[]).status, 200);
    for (token, further, reason) in rows {
        let reply = server.exchange(&token, further);
        assert_eq!(reply.refusal().2, reason, "{}", reply.text());
    }
}

#[test]
fn a_bad_resource_waits_for_the_token() {
    let server = server();
    let bad = [("resource", "relative")];
    let expired = signed(&job_with(json!({"exp": 1})));
    assert_eq!(server.exchange(&expired, &bad).refusal().2, "token_expired");
    let stolen = token(&job(), &OTHER_RSA, "RS256", "k1");
    assert_eq!(
        server.exchange(&stolen, &bad).refusal().2,
        "signature_invalid"
    );
    let elsewhere = signed(&job_with(json!({"ref": "x"})));
    assert_eq!(
        server.exchange(&elsewhere, &bad).refusal().2,
        "condition_false"
    );
    assert_eq!(
        server.exchange(&signed(&job()), &bad).refusal().2,
        "target_refused"
    );
}

#[test]
fn a_simple_exchange_keeps_the_same_order() {
    let server = server();
    let token = |changes| signed(&job_with(changes));
    for (body, reason) in [
        (
            json!({"token": "x", "alg": "x", "connector_id": "none"}),
            "token_malformed",
        ),
        (
            json!({"token": token(json!({"exp": 1})), "alg": "x"}),
            "token_expired",
        ),
        (
            json!({"token": token(json!({"ref": "x"})), "audience": "x"}),
            "condition_false",
        ),
        (
            json!({"token": token(json!({})), "audience": "x", "alg": "x"}),
            "target_refused",
        ),
        (
            json!({"token": token(json!({"user_login": null})), "alg": "x"}),
            "alg_unavailable",
        ),
        (
            json!({"token": token(json!({"user_login": null}))}),
            "claim_failed",
        ),
    ] {
        assert_eq!(server.simple(&body).refusal().2, reason, "{body}");
    }
}
