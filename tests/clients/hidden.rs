//! Tokens in places that are quoted back: neither the reply nor the log shows any of them, at any level.

use serde_json::{Value, json};

use crate::support::fragments::Fragments;
use crate::support::http::Reply;
use crate::support::keys::RSA;
use crate::support::server::{EXCHANGE, Server, Site};
use crate::support::{shapes, tokens};
use crate::{CI, basic, exchange, job, own_token};

/// Where a foreign text is repeated, and the reasons for which that is refused; none where a token is issued.
type Place = (
    &'static str,
    &'static [&'static str],
    fn(&Server, &str) -> Reply,
);

const PLACES: [Place; 21] = [
    (
        "the name of a parameter",
        &["parameter_repeated"],
        |server, text| server.exchange(&job(json!({})), &[(text, "1"), (text, "2")]),
    ),
    (
        "Content-Type",
        &["content_type_unsupported"],
        |server, text| server.post(text, "x"),
    ),
    ("connector_id", &["connector_unknown"], |server, text| {
        server.exchange(&job(json!({})), &[("connector_id", text)])
    }),
    ("iss", &["issuer_unknown"], |server, text| {
        server.exchange(&job(json!({ "iss": text })), &[])
    }),
    (
        "kid", // The first of them has the keys looked for again, and the others come too soon after it.
        &["key_unknown", "keys_unavailable"],
        |server, text| server.exchange(&headed(json!({ "kid": text })), &[("connector_id", "ci")]),
    ),
    ("typ", &["type_refused"], |server, text| {
        server.exchange(&headed(json!({ "typ": text })), &[("connector_id", "ci")])
    }),
    ("alg", &["alg_refused"], |server, text| {
        server.exchange(&headed(json!({ "alg": text })), &[("connector_id", "ci")])
    }),
    (
        "a member of the header",
        &["token_malformed"],
        |server, text| server.exchange(&headed(json!({ "crit": [text] })), &[]),
    ),
    ("aud", &["audience_mismatch"], |server, text| {
        server.exchange(
            &job(json!({ "aud": ["x", text] })),
            &[("connector_id", "ci")],
        )
    }),
    (
        "a claim of a condition",
        &["condition_false"],
        |server, text| server.exchange(&job(json!({ "ref": text })), &[("connector_id", "picky")]),
    ),
    (
        "a claim that is not what it should be",
        &["condition_false"],
        |server, text| {
            let claims = json!({ "ref": { "nested": [text] } });
            server.exchange(&job(claims), &[("connector_id", "picky")])
        },
    ),
    ("sub", &["claim_failed"], |server, text| {
        server.exchange(&job(json!({ "sub": [text] })), &[("connector_id", "plain")])
    }),
    ("audience", &["target_refused"], |server, text| {
        server.exchange(
            &job(json!({})),
            &[("connector_id", "plain"), ("audience", text)],
        )
    }),
    ("resource", &["target_refused"], |server, text| {
        let resource = [("connector_id", "plain"), ("resource", text)];
        server.exchange(&job(json!({})), &resource)
    }),
    ("scope", &["scope_refused"], |server, text| {
        let scope = text.replace(' ', "_");
        server.exchange(
            &job(json!({})),
            &[("connector_id", "plain"), ("scope", &scope)],
        )
    }),
    (
        "the client of a scope",
        &["scope_refused"],
        |server, text| {
            let scope = format!("audience:server:client_id:{}", text.replace(' ', "_"));
            let further = [("connector_id", "plain"), ("scope", scope.as_str())];
            exchange(
                server,
                &basic("app", "s3cret-of-app"),
                &job(json!({})),
                &further,
            )
        },
    ),
    (
        "alg of the simple exchange",
        &["alg_unavailable"],
        |server, text| {
            server.simple(&json!({ "token": job(json!({})), "connector_id": "plain", "alg": text }))
        },
    ),
    (
        "audience of client_credentials",
        &["target_refused"],
        |server, text| {
            own_token(
                server,
                &basic("app", "s3cret-of-app"),
                &[("audience", text)],
            )
        },
    ),
    (
        "scope of client_credentials",
        &["scope_refused"],
        |server, text| {
            let scope = text.replace(' ', "_");
            own_token(server, &basic("app", "s3cret-of-app"), &[("scope", &scope)])
        },
    ),
    ("X-Request-Id", &["parameter_missing"], |server, text| {
        // A whole one is longer than an id may be.
        let id: String = text.replace(' ', "_").chars().take(120).collect();
        server.form_with(&[("X-Request-Id", &id)], &[("grant_type", EXCHANGE)])
    }),
    ("claims that the event has", &[], |server, text| {
        let claims = json!({ "sub": text, "jti": text, "aud": [text] });
        server.exchange(&job(claims), &[("connector_id", "any")])
    }),
];

/// A job's token with members of its header replaced.
fn headed(changes: Value) -> String {
    let header = json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" });
    let header = shapes::with(header, changes);
    let claims = shapes::gitlab(CI);
    tokens::compact(header.to_string(), claims.to_string(), &RSA, "RS256")
}

fn site() -> Site {
    let shared = "issuer = \"https://ci.example\"\nrequire_client = false";
    Site::new()
        .env("RUST_LOG", "trace")
        .connector("ci", "require_client = false")
        .connector("other", "issuer = \"https://other.example\"")
        .connector(
            "picky",
            &format!("{shared}\nallow = [\"claims.ref == 'main'\"]"),
        )
        .connector(
            "plain",
            &format!("{shared}\ntargets = [\"https://t.example\"]"),
        )
        .connector("any", &format!("{shared}\naudiences = [\"*\"]"))
        .client(
            "app",
            "secret = \"s3cret-of-app\"\ngrants = [\"token-exchange\", \"client_credentials\"]",
        )
}

/// Tokens of somebody else, and each as it may stand in a text.
fn hidden() -> (Fragments, Vec<String>) {
    let claims = json!({ "iss": "https://elsewhere.example", "sub": "the-subject-of-this-token" });
    let claims = claims.to_string();
    let spaced = "{ \"alg\" : \"RS256\", \"kid\" : \"k1\" }";
    let lines = "{\n  \"alg\": \"RS256\",\n  \"kid\": \"k1\"\n}";
    let plain = "{\"alg\":\"RS256\",\"kid\":\"k1\"}";
    let mut fragments = Fragments::default();
    let mut texts = Vec::new();
    for header in [plain, spaced, lines] {
        let token = tokens::compact(header, &claims, &RSA, "RS256");
        fragments.token(&token);
        texts.push(token.clone());
        texts.push(format!("Bearer {token}"));
        texts.push(format!("x=1&subject_token={}", token.replace('.', "%2E")));
        // Without its beginning, and without its end.
        texts.push(token[20..].to_owned());
        texts.push(token[..150].to_owned());
    }
    (fragments, texts)
}

#[test]
fn a_token_in_the_wrong_place_is_shown_nowhere() {
    let server = site().start();
    let (fragments, texts) = hidden();
    let mut last = None;
    for text in &texts {
        for (place, reasons, ask) in PLACES {
            let reply = ask(&server, text);
            let what = format!("{text} as {place}: {}", reply.text());
            if reasons.is_empty() {
                assert_eq!(reply.status, 200, "{what}");
            } else {
                assert!(reasons.contains(&reply.refusal().2.as_str()), "{what}");
                let whole = format!("{:?}{}", reply.headers, reply.text());
                assert_eq!(fragments.found_in(&whole), None, "{what}");
            }
            last = Some(reply);
        }
        // The last request's event is there, so that everything before it is.
        let event = server.audit(&last.take().unwrap());
        assert_eq!(event["outcome"], "issued", "{event}");
        assert!(
            event["subject_sub"].as_str().unwrap().contains("(a token)"),
            "{event}"
        );
        let (_, report) = server.explain(&["--connector", "picky"], &job(json!({ "ref": text })));
        assert!(report.contains("(a token)"), "{report}");
        assert_eq!(fragments.found_in(&report), None, "{text}");
    }
    let log = server.log();
    assert!(log.contains("\"DEBUG\""), "more is logged than usual");
    assert_eq!(fragments.found_in(&log), None);
}
