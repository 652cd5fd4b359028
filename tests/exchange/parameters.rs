//! The parameters of a token exchange, and what is said of each that is wrong (design §2.1).

use serde_json::json;

use crate::support::http::Reply;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{job, job_with, signed};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) fn server() -> Server {
    Site::new()
        .connector("ci", "targets = [\"one\", \"two\"]")
        .connector("twin-a", "issuer = \"https://twin.example\"")
        .connector("twin-b", "issuer = \"https://twin.example\"")
        .start()
}

pub(crate) fn urn(kind: &str) -> String {
    format!("urn:ietf:params:oauth:token-type:{kind}")
}

/// Status, `error` and `reason`, the same in the reply and in the audit event.
#[track_caller]
pub(crate) fn refused(server: &Server, reply: &Reply, status: u16, error: &str, reason: &str) {
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
fn unknown_scopes_are_refused_and_spaces_ask_for_none() {
    let server = server();
    let token = signed(&job());
    for scope in [
        "deploy",
        "openid deploy",
        "offline_access",
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
    let post = server.exchange(&token, &[("client_id", "app"), ("client_secret", "s")]);
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
    for reply in [form, post, header].into_iter().chain(simple) {
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
