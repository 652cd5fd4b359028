//! The parameters of both ways in, and what is said of each that is wrong (design §2.1, §2.3).

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::keys::P256;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{CI, job, job_with, signed};

const FORM: &str = "application/x-www-form-urlencoded";

fn server() -> Server {
    Site::new()
        .connector("ci", "targets = [\"one\", \"two\"]")
        .connector("twin-a", "issuer = \"https://twin.example\"")
        .connector("twin-b", "issuer = \"https://twin.example\"")
        .start()
}

fn urn(kind: &str) -> String {
    format!("urn:ietf:params:oauth:token-type:{kind}")
}

/// Status, `error` and `reason`, the same in the reply and in the audit event.
#[track_caller]
fn refused(server: &Server, reply: &Reply, status: u16, error: &str, reason: &str) {
    let expected = (status, error.to_owned(), reason.to_owned());
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    assert_eq!(reply.header("pragma"), Some("no-cache"));
    let event = server.audit(reply);
    assert_eq!(
        (&event["outcome"], &event["reason"]),
        (&json!("refused"), &json!(reason))
    );
}

/// The parameters of a good request, with `name` left out or replaced.
fn changed<'a>(
    good: &'a [(&'a str, &'a str)],
    name: &str,
    value: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    good.iter()
        .filter_map(|&(known, old)| match value {
            Some(value) if known == name => Some((known, value)),
            None if known == name => None,
            _ => Some((known, old)),
        })
        .collect()
}

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
fn missing_and_empty_parameters_are_the_same() {
    let server = server();
    let token = signed(&job());
    let good = [
        ("grant_type", EXCHANGE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
    ];
    for (name, _) in good {
        for value in [None, Some("")] {
            let reply = server.form(&changed(&good, name, value));
            refused(&server, &reply, 400, "invalid_request", "parameter_missing");
            assert!(reply.description().contains(&format!("`{name}`")));
        }
    }
    let empty = [
        "audience",
        "resource",
        "scope",
        "requested_token_type",
        "connector_id",
        "actor_token",
        "actor_token_type",
        "client_id",
        "client_secret",
    ];
    let empty: Vec<_> = empty.iter().map(|name| (*name, "")).collect();
    assert_eq!(server.claims(&token, &empty)["aud"], "one");
}

#[test]
fn repeated_parameters_are_refused_but_for_audience_and_resource() {
    let server = server();
    let token = signed(&job());
    for name in ["subject_token", "subject_token_type", "grant_type"] {
        let own = match name {
            "grant_type" => EXCHANGE,
            "subject_token" => &token,
            _ => JWT,
        };
        for value in [own, "", "other"] {
            let reply = server.exchange(&token, &[(name, value)]);
            refused(
                &server,
                &reply,
                400,
                "invalid_request",
                "parameter_repeated",
            );
        }
    }
    for name in [
        "scope",
        "requested_token_type",
        "connector_id",
        "actor_token",
        "actor_token_type",
        "client_id",
        "client_secret",
        "unknown",
    ] {
        for twice in [["a", "a"], ["", "a"], ["", ""]] {
            let reply = server.exchange(&token, &twice.map(|value| (name, value)));
            refused(
                &server,
                &reply,
                400,
                "invalid_request",
                "parameter_repeated",
            );
            assert!(reply.description().contains(&format!("`{name}`")));
        }
    }
    let twice = [("audience", "two"), ("audience", "one"), ("audience", "")];
    assert_eq!(server.claims(&token, &twice)["aud"], json!(["two", "one"]));
}

#[test]
fn unknown_parameters_are_ignored() {
    let server = server();
    let further = [
        ("foo", "bar"),
        ("client_assertion_x", "y"),
        ("nonce", "n"),
        ("Scope", "x"),
        ("alg", "none"),
        ("token", "x"),
    ];
    assert_eq!(server.claims(&signed(&job()), &further)["aud"], "one");
}

#[test]
fn parameters_in_the_query_string_are_never_read() {
    let server = server();
    let token = signed(&job());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("grant_type", EXCHANGE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
    ]);
    let path = format!("/token?{}", query.finish());
    let reply = server.send("POST", &path, &[("Content-Type", FORM)], "");
    refused(&server, &reply, 400, "invalid_request", "parameter_missing");
    let reply = server.send("POST", &path, &[("Content-Type", "application/json")], "{}");
    refused(&server, &reply, 400, "invalid_request", "parameter_missing");
    let body = json!({ "token": token }).to_string();
    let bad = "/token?audience=evil&connector_id=x&alg=none";
    let reply = server.send("POST", bad, &[("Content-Type", "application/json")], body);
    assert_eq!(server.read(&reply).1["aud"], "one");
}

#[test]
fn other_grants_are_not_enabled() {
    let server = server();
    let token = signed(&job());
    for grant in [
        "client_credentials",
        "authorization_code",
        "refresh_token",
        "password",
        "token-exchange",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "URN:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let reply = server.form(&[
            ("grant_type", grant),
            ("subject_token", &token),
            ("subject_token_type", JWT),
        ]);
        refused(
            &server,
            &reply,
            400,
            "unsupported_grant_type",
            "grant_unsupported",
        );
        assert!(reply.description().contains(EXCHANGE));
    }
}

#[test]
fn unknown_token_types_are_refused() {
    let server = server();
    let token = signed(&job());
    for kind in [
        urn("saml2"),
        urn("refresh_token"),
        urn("JWT"),
        "jwt".to_owned(),
        "x".repeat(5_000),
    ] {
        let subject = server.form(&[
            ("grant_type", EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", &kind),
        ]);
        let asked = server.exchange(&token, &[("requested_token_type", &kind)]);
        let actor = server.exchange(
            &token,
            &[("actor_token", &token), ("actor_token_type", &kind)],
        );
        for reply in [subject, asked, actor] {
            refused(
                &server,
                &reply,
                400,
                "invalid_request",
                "parameter_malformed",
            );
            assert!(reply.description().len() < 400, "{}", reply.description());
        }
    }
}

#[test]
fn an_actor_token_and_its_type_come_together() {
    let server = server();
    let token = signed(&job());
    for lone in [("actor_token", token.as_str()), ("actor_token_type", JWT)] {
        let reply = server.exchange(&token, &[lone]);
        refused(&server, &reply, 400, "invalid_request", "parameter_missing");
    }
}

#[test]
fn scopes_are_refused_and_spaces_ask_for_none() {
    let server = server();
    let token = signed(&job());
    for scope in [
        "openid",
        "profile email",
        "deploy",
        "audience:server:client_id:x",
    ] {
        let reply = server.exchange(&token, &[("scope", scope)]);
        refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    }
    assert_eq!(server.exchange(&token, &[("scope", " ")]).status, 200);
}

#[test]
fn credentials_are_wrong_where_no_client_is_configured() {
    let server = server();
    let token = signed(&job());
    let json = json!({ "token": token }).to_string();
    let form = server.exchange(&token, &[("client_id", "app")]);
    let secret = server.exchange(&token, &[("client_secret", "s")]);
    let basic = ("Authorization", "Basic YXBwOnNlY3JldA==");
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs([
        ("grant_type", EXCHANGE),
        ("subject_token", &token),
        ("subject_token_type", JWT),
    ]);
    let header = server.send(
        "POST",
        "/token",
        &[basic, ("Content-Type", FORM)],
        body.finish(),
    );
    let bearer = ("Authorization", "Bearer x");
    let simple = [basic, bearer].map(|header| {
        server.send(
            "POST",
            "/token",
            &[header, ("Content-Type", "application/json")],
            &json,
        )
    });
    for reply in [form, secret, header].into_iter().chain(simple) {
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
        assert_eq!(
            reply.header("www-authenticate"),
            Some("Basic realm=\"remint\"")
        );
    }
}

#[test]
fn a_connector_is_named_found_or_asked_for() {
    let server = server();
    let mine = signed(&job());
    assert_eq!(
        server.exchange(&mine, &[("connector_id", "ci")]).status,
        200
    );
    let twin = signed(&job_with(json!({"iss": "https://twin.example"})));
    assert_eq!(
        server.exchange(&twin, &[("connector_id", "twin-b")]).status,
        200
    );
    for (token, connector, reason) in [
        (&mine, Some("nobody"), "connector_unknown"),
        (&mine, Some("CI"), "connector_unknown"),
        (&mine, Some("twin-a"), "issuer_mismatch"),
        (&twin, Some("ci"), "issuer_mismatch"),
        (&twin, None, "connector_required"),
    ] {
        let named: Vec<_> = connector.iter().map(|id| ("connector_id", *id)).collect();
        let form = server.exchange(token, &named);
        refused(&server, &form, 400, "invalid_request", reason);
        let simple = server.simple(&json!({"token": token, "connector_id": connector}));
        refused(&server, &simple, 403, "access_denied", reason);
    }
    let named = server.exchange(&twin, &[("connector_id", "twin-b")]);
    assert_eq!(server.audit(&named)["connector"], "twin-b");
}

#[test]
fn forms_that_are_not_utf8_are_refused() {
    let server = server();
    for body in ["grant_type=%ff", "%ff=x", "grant_type=%ed%a0%80"] {
        refused(
            &server,
            &server.post(FORM, body),
            400,
            "invalid_request",
            "parameter_malformed",
        );
    }
    let reply = server.post(FORM, b"grant_type=\xff");
    refused(
        &server,
        &reply,
        400,
        "invalid_request",
        "parameter_malformed",
    );
}

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
    let unknown = json!({"token": token, "foo": {"a": [1]}, "subject_token": 1, "scope": "openid"});
    assert_eq!(server.simple(&unknown).status, 200);
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
        (json!({"Token": token}), "parameter_missing"),
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
        refused(
            &server,
            &reply,
            415,
            "invalid_request",
            "content_type_unsupported",
        );
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
        refused(
            &server,
            &reply,
            415,
            "invalid_request",
            "content_type_unsupported",
        );
        assert!(
            !reply.description().contains("quotes around"),
            "{}",
            reply.text()
        );
    }
    let reply = server.post("application/json", b"{\"token\":\"\xff\"}");
    refused(
        &server,
        &reply,
        415,
        "invalid_request",
        "content_type_unsupported",
    );
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
