//! What becomes of a token that its issuer vouches for.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::keys::P256;
use crate::support::server::{JWT, Server};
use crate::support::shapes::{gitlab, with};
use crate::support::{now, tokens};
use crate::{TOKEN, USERINFO, ada, answers, exchange, issuer, refusal, simple, site};

#[test]
fn the_issuer_vouches_and_the_rules_decide() {
    let issuer = issuer();
    let lines = r#"allow = ["'ci' in claims.groups", "claims.level == 7", "claims.email_verified == true"]
clone_claims = ["sub", "level"]"#;
    let site = site(&issuer, lines).keys("default_alg = \"ES256\"");
    let server = site.env("RUST_LOG", "trace").start();
    let reply = exchange(&server, TOKEN, &[]);
    let (header, claims) = server.read(&reply);
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["level"], 7);
    assert_eq!(claims["aud"], "https://api.example.com");
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 300);
    let event = server.audit(&reply);
    for (field, expected) in [
        ("outcome", "issued"),
        ("connector", "idp"),
        ("verified_by", "userinfo"),
        ("subject_iss", issuer.url.as_str()),
        ("subject_sub", "ada"),
    ] {
        assert_eq!(event[field], expected, "{event}");
    }
    assert_eq!(server.read(&simple(&server, "another")).1["sub"], "ada");
    let heads = issuer.heads(USERINFO);
    assert_eq!(heads.len(), 2);
    let head = heads[0].to_ascii_lowercase();
    assert!(heads[0].contains(&format!("Bearer {TOKEN}")));
    assert!(head.contains("authorization: ") && head.contains("accept: application/json"));
    assert!(!server.log().contains(TOKEN));
}

#[test]
fn a_signature_is_said_to_have_verified_the_others() {
    let server = site(&issuer(), "").connector("ci", "").start();
    let token = tokens::token(&gitlab(crate::CI), &P256, "ES256", "e1");
    let event = server.audit(&server.exchange(&token, &[]));
    assert_eq!(event["verified_by"], "signature", "{event}");
}

#[test]
fn a_new_token_lives_five_minutes_unless_something_says_otherwise() {
    let stated = |seconds: u64| with(ada(), json!({"exp": now() + seconds}));
    for (lines, tables, userinfo, most) in [
        ("lifetime = \"15m\"", "", ada(), 900),
        (
            "lifetime = \"15m\"",
            "[tokens]\nmax_lifetime = \"2m\"",
            ada(),
            120,
        ),
        ("", "[tokens]\nmax_lifetime = \"2m\"", ada(), 120),
        ("", "", stated(60), 60),
        ("", "", stated(9000), 300),
        ("outlive_subject_token = true", "", stated(60), 300),
    ] {
        let issuer = issuer();
        answers(&issuer, &userinfo);
        let server = site(&issuer, lines).tables(tables).start();
        let (_, claims) = server.read(&exchange(&server, TOKEN, &[]));
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert!((most - 5..=most).contains(&life), "{lines} {tables} {life}");
    }
}

#[test]
fn what_userinfo_states_counts_as_in_a_token() {
    let issuer = issuer();
    let server = site(&issuer, "").start();
    let far = now() + 3600;
    let good = [
        json!({"iss": issuer.url, "aud": "https://sts.example.com", "exp": far, "iat": now()}),
        json!({"aud": ["other", "https://sts.example.com"]}),
    ];
    for (number, changes) in good.into_iter().enumerate() {
        answers(&issuer, &with(ada(), changes));
        let reply = exchange(&server, &format!("good-{number}"), &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    for (number, (changes, reason)) in [
        (json!({"iss": "https://other.example"}), "issuer_mismatch"),
        (
            json!({"iss": format!("{}/", issuer.url)}),
            "issuer_mismatch",
        ),
        (json!({"iss": [issuer.url]}), "issuer_mismatch"),
        (json!({"aud": "other-app"}), "audience_mismatch"),
        (json!({"aud": []}), "audience_mismatch"),
        (json!({"aud": 1}), "audience_mismatch"),
        (json!({"exp": now() - 1}), "token_expired"),
        (json!({"nbf": far}), "token_not_yet_valid"),
        (json!({"iat": far}), "token_not_yet_valid"),
        (json!({"groups": ["sales"]}), "condition_false"),
        (json!({"groups": null}), "condition_false"),
    ]
    .into_iter()
    .enumerate()
    {
        answers(&issuer, &with(ada(), changes));
        let token = format!("bad-{number}");
        let (form, simple) = (exchange(&server, &token, &[]), simple(&server, &token));
        assert_eq!(
            form.refusal(),
            refusal(400, "invalid_request", reason),
            "{number}"
        );
        assert_eq!(
            simple.refusal(),
            refusal(403, "access_denied", reason),
            "{number}"
        );
    }
}

#[test]
fn limits_of_age_refuse_what_does_not_state_its_times() {
    for (lines, reason) in [
        ("max_token_age = \"5m\"", "token_too_old"),
        ("max_subject_lifetime = \"1h\"", "token_lives_too_long"),
    ] {
        let issuer = issuer();
        let server = site(&issuer, lines).start();
        let refused = exchange(&server, TOKEN, &[]);
        assert_eq!(refused.refusal(), refusal(400, "invalid_request", reason));
        let times = json!({"iat": now(), "exp": now() + 600});
        answers(&issuer, &with(ada(), times));
        assert_eq!(exchange(&server, "stated", &[]).status, 200);
    }
}

#[test]
fn the_audience_is_a_target_or_the_client_since_the_token_names_none() {
    let none = |lines: &str| {
        let lines = format!("{lines}\nallow = [\"true\"]");
        let issuer = issuer();
        let text = crate::connector(&issuer.url, &lines);
        let text = text.replace("targets = [\"https://api.example.com\"]\n", "");
        (crate::support::server::Site::new().tables(&text), issuer)
    };
    let (site, _issuer) = none("");
    let server = site.start();
    let refused = exchange(&server, TOKEN, &[]);
    assert_eq!(
        refused.refusal(),
        refusal(400, "invalid_target", "target_refused")
    );
    let (site, _issuer) = none("");
    let server = site.client("app", "secret = \"s3cret\"").start();
    let reply = exchange(
        &server,
        TOKEN,
        &[("client_id", "app"), ("client_secret", "s3cret")],
    );
    assert_eq!(server.read(&reply).1["aud"], "app");
}

/// A server where `ci`, which signs its tokens, has the actors.
fn with_actors(userinfo: &Value, lines: &str) -> (Server, crate::support::issuer::Issuer) {
    let issuer = issuer();
    answers(&issuer, userinfo);
    let server = site(&issuer, lines).connector("ci", "").start();
    (server, issuer)
}

fn act(server: &Server, actor: &str) -> Reply {
    exchange(
        server,
        TOKEN,
        &[("actor_token", actor), ("actor_token_type", JWT)],
    )
}

#[test]
fn an_actor_needs_a_condition_and_may_not_be_opaque() {
    let actor = tokens::token(&gitlab(crate::CI), &P256, "ES256", "e1");
    let sub = gitlab(crate::CI)["sub"].clone();
    let may_act = with(ada(), json!({"may_act": {"sub": sub}}));
    let (server, _issuer) = with_actors(&may_act, "");
    let refused = act(&server, &actor);
    assert_eq!(
        refused.refusal(),
        refusal(400, "invalid_request", "actor_refused")
    );

    let acted = with(ada(), json!({"act": {"sub": "before"}}));
    let (server, _issuer) = with_actors(&acted, "actors = [\"actor.ref == 'main'\"]");
    let (_, claims) = server.read(&act(&server, &actor));
    // What userinfo calls `act` may be the user's own words.
    assert_eq!(claims["act"], json!({"iss": crate::CI, "sub": sub}));
    let (_, claims) = server.read(&exchange(&server, TOKEN, &[]));
    assert_eq!(claims.get("act"), None);
    let opaque = exchange(
        &server,
        TOKEN,
        &[
            ("actor_token", "opaque"),
            ("actor_token_type", crate::ACCESS_TOKEN),
        ],
    );
    assert_eq!(
        opaque.refusal(),
        refusal(400, "invalid_request", "token_malformed")
    );
    assert!(opaque.description().starts_with("actor token: "));
}

#[test]
fn an_opaque_token_can_be_used_once_by_its_text() {
    let issuer = issuer();
    // A `jti` of the profile names nothing.
    answers(&issuer, &with(ada(), json!({"jti": "same"})));
    let server = site(&issuer, "replay = \"once\"").start();
    let first = exchange(&server, TOKEN, &[]);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(server.audit(&first)["replay"], "recorded");
    let second = exchange(&server, TOKEN, &[]);
    assert_eq!(
        second.refusal(),
        refusal(400, "invalid_request", "replayed")
    );
    assert_eq!(exchange(&server, "another", &[]).status, 200);
}
