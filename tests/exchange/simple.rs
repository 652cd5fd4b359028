//! The members of a simple exchange, and what is said of each that is wrong (design §2.3).

use serde_json::{Value, json};

use crate::parameters::{refused, server};
use crate::support::http::Reply;
use crate::support::keys::P256;
use crate::{job, signed};

#[test]
fn a_simple_exchange_is_answered_with_the_bare_token() {
    let server = server();
    let token = signed(&job());
    let reply = server.simple(&json!({ "token": token }));
    assert_eq!(reply.header("content-type"), Some("application/jwt"));
    let (header, claims) = server.read(&reply);
    assert_eq!(
        (&header["alg"], &claims["aud"]),
        (&json!("RS256"), &json!("one"))
    );
    let asked = json!({"token": token, "audience": "two", "alg": "ES256", "connector_id": "ci"});
    let (header, claims) = server.read(&server.simple(&asked));
    assert_eq!(
        (&header["alg"], &claims["aud"]),
        (&json!("ES256"), &json!("two"))
    );
    let absent = json!({"token": token, "audience": "", "alg": null, "connector_id": ""});
    assert_eq!(server.simple(&absent).status, 200);
    let ec = crate::support::tokens::token(&job(), &P256, "ES256", "e1");
    assert_eq!(
        server.read(&server.simple(&json!({ "token": ec }))).0["alg"],
        "ES256"
    );
}

#[test]
fn wrong_members_of_a_simple_exchange_are_400() {
    let server = server();
    let token = signed(&job());
    for (body, reason) in [
        (json!({}), "parameter_missing"),
        (json!({"token": ""}), "parameter_missing"),
        (json!({"token": null}), "parameter_missing"),
        (json!({"Token": token}), "parameter_malformed"),
        (
            json!({"token": token, "foo": {"a": [1]}}),
            "parameter_malformed",
        ),
        (json!({"token": 1}), "parameter_malformed"),
        (json!({"token": true}), "parameter_malformed"),
        (json!({"token": [token]}), "parameter_malformed"),
        (json!({"token": {"token": token}}), "parameter_malformed"),
        (json!({"token": token, "alg": 256}), "parameter_malformed"),
        (
            json!({"token": token, "alg": ["ES256"]}),
            "parameter_malformed",
        ),
        (
            json!({"token": token, "connector_id": 1}),
            "parameter_malformed",
        ),
        (
            json!({"token": token, "audience": ["one"]}),
            "parameter_malformed",
        ),
        (
            json!({"token": token, "audience": false}),
            "parameter_malformed",
        ),
        (json!([token]), "parameter_malformed"),
        (json!(token), "parameter_malformed"),
        (Value::Null, "parameter_malformed"),
    ] {
        refused(
            &server,
            &server.simple(&body),
            400,
            "invalid_request",
            reason,
        );
    }
}

#[test]
fn members_that_stand_twice_are_refused_in_the_body_too() {
    let server = server();
    let token = signed(&job());
    for more in [
        r#""token":"x""#,
        r#""tok\u0065n":"x""#,
        r#""a":1,"a":1"#,
        r#""a":{"b":1,"b":1}"#,
    ] {
        let body = format!("{{\"token\":\"{token}\",{more}}}");
        let reply = server.post("application/json", body);
        refused(
            &server,
            &reply,
            400,
            "invalid_request",
            "parameter_repeated",
        );
    }
}

/// These are counted and sampled, so there is not an audit event for each.
fn is_not_json(reply: &Reply) {
    let refusal = (
        415,
        "invalid_request".to_owned(),
        "content_type_unsupported".to_owned(),
    );
    assert_eq!(reply.refusal(), refusal);
}

#[test]
fn what_is_not_json_is_415_with_a_hint_for_the_unquoted_token() {
    let server = server();
    let token = signed(&job());
    for body in [
        format!("{{\"token\": {token}}}"),
        format!("{{\"token\":{token}}}"),
        format!("{{ \"token\" : {token} , \"alg\": \"ES256\"}}"),
    ] {
        let reply = server.post("application/json", body);
        is_not_json(&reply);
        assert!(reply.description().contains("quote"), "{}", reply.text());
    }
    for body in [
        "",
        "token=x",
        "{",
        "{'token':'x'}",
        "{\"token\":\"x\"} {}",
        "\u{feff}{}",
        "nul",
    ] {
        let reply = server.post("application/json", body);
        is_not_json(&reply);
        assert!(
            !reply.description().contains("quotes around"),
            "{}",
            reply.text()
        );
    }
    let reply = server.post("application/json", b"{\"token\":\"\xff\"}");
    is_not_json(&reply);
}

#[test]
fn targets_and_algorithms_that_cannot_be_had_are_403_to_a_simple_exchange() {
    let server = server();
    let token = signed(&job());
    for (name, value, reason) in [
        ("audience", "three", "target_refused"),
        ("alg", "ES384", "alg_unavailable"),
        ("alg", "none", "alg_unavailable"),
        ("alg", "HS256", "alg_unavailable"),
        ("alg", "es256", "alg_unavailable"),
    ] {
        let reply = server.simple(&json!({"token": token, name: value}));
        refused(&server, &reply, 403, "access_denied", reason);
    }
}
