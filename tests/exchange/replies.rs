//! What a success looks like: the reply in its two forms, and the audit event (design §2, §5).

use serde_json::json;

use crate::parameters::{FORM, refused, server, urn};
use crate::support::server::{EXCHANGE, JWT};
use crate::{CI, job, signed};

#[test]
fn a_good_form_is_answered_with_the_object_of_rfc_8693() {
    let server = server();
    let token = signed(&job());
    for (asked, issued, kind) in [
        (None, urn("access_token"), "Bearer"),
        (Some(urn("access_token")), urn("access_token"), "Bearer"),
        (Some(urn("id_token")), urn("id_token"), "N_A"),
        (Some(urn("jwt")), urn("jwt"), "N_A"),
    ] {
        let asked: Vec<_> = asked
            .iter()
            .map(|urn| ("requested_token_type", urn.as_str()))
            .collect();
        let reply = server.exchange(&token, &asked);
        let (_, claims) = server.read(&reply);
        let body = reply.json();
        let members: Vec<_> = body
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            members,
            [
                "access_token",
                "issued_token_type",
                "token_type",
                "expires_in"
            ]
        );
        assert_eq!(
            (&body["issued_token_type"], &body["token_type"]),
            (&json!(issued), &json!(kind))
        );
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(body["expires_in"], life);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    for kind in ["id_token", "jwt", "access_token"] {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", &urn(kind)),
        ];
        assert_eq!(server.form(&form).status, 200, "{kind}");
    }
}

#[test]
fn accept_chooses_the_form_of_a_success_only() {
    let server = server();
    let token = signed(&job());
    let simple = json!({ "token": token }).to_string();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("grant_type", EXCHANGE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
    ]);
    let form = form.finish();
    for (accept, bare_form, bare_simple) in [
        ("application/jwt", true, true),
        ("application/json", false, false),
        ("*/*", false, true),
        (
            "text/html, application/jwt;q=0.9, application/json;q=0.1",
            true,
            true,
        ),
        ("image/png", false, true),
    ] {
        for (kind, body, bare) in [
            (FORM, &form, bare_form),
            ("application/json", &simple, bare_simple),
        ] {
            let reply = server.send(
                "POST",
                "/token",
                &[("Accept", accept), ("Content-Type", kind)],
                body,
            );
            let expected = if bare {
                "application/jwt"
            } else {
                "application/json"
            };
            assert_eq!(
                reply.header("content-type"),
                Some(expected),
                "{accept} {kind}"
            );
            assert_eq!(server.read(&reply).1["aud"], "one");
            if !bare {
                assert_eq!(reply.json()["issued_token_type"], urn("access_token"));
            }
        }
    }
    let refusal = server.send(
        "POST",
        "/token",
        &[("Accept", "application/jwt"), ("Content-Type", FORM)],
        "",
    );
    refused(
        &server,
        &refusal,
        400,
        "invalid_request",
        "parameter_missing",
    );
}

#[test]
fn the_audit_event_of_a_success_says_what_was_issued() {
    let server = server();
    let reply = server.exchange(&signed(&job()), &[]);
    let (header, claims) = server.read(&reply);
    let event = server.audit(&reply);
    for (name, value) in [
        ("outcome", json!("issued")),
        ("grant", json!("token-exchange")),
        ("connector", json!("ci")),
        ("subject_iss", json!(CI)),
        ("subject_sub", job()["sub"].clone()),
        ("subject_jti", job()["jti"].clone()),
        ("aud", json!("one")),
        ("jti", claims["jti"].clone()),
        ("kid", header["kid"].clone()),
        ("alg", json!("RS256")),
        ("exp", claims["exp"].clone()),
    ] {
        assert_eq!(event[name], value, "{name} in {event}");
    }
    assert!(event["remote"].as_str().unwrap().starts_with("127.0.0.1"));
    assert!(event["duration_us"].is_u64());
    assert!(event["reason"].is_null() && event["rule"].is_null());
    assert_eq!(server.audits(reply.header("x-request-id").unwrap()), 1);
}
