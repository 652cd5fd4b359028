//! Actor tokens (RFC 8693 §1.1, §4; design §2.1).

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::keys::{OTHER_RSA, RSA};
use crate::support::now;
use crate::support::server::{JWT, Server, Site};
use crate::support::shapes::with;
use crate::support::tokens::token;
use crate::{CI, job_with, signed};

const BOT: &str = "https://bot.example";

/// The connector `ci` with `lines`, and `bot`, whose tokens act.
fn server(lines: &str, bot: &str) -> Server {
    Site::new()
        .connector("ci", lines)
        .connector("bot", bot)
        .start()
}

fn actor(changes: Value) -> String {
    let own = json!({"iss": BOT, "sub": "deployer", "team": "x"});
    signed(&with(job_with(own), changes))
}

fn acting(server: &Server, subject: &Value, actor: &str) -> Reply {
    let subject = signed(&job_with(subject.clone()));
    server.exchange(
        &subject,
        &[("actor_token", actor), ("actor_token_type", JWT)],
    )
}

#[track_caller]
fn refused(server: &Server, reply: &Reply, reason: &str) {
    let expected = (400, "invalid_request".to_owned(), reason.to_owned());
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    assert_eq!(server.audit(reply)["reason"], reason);
}

#[test]
fn actors_are_refused_by_default() {
    let server = server("", "");
    let reply = acting(&server, &json!({}), &actor(json!({})));
    refused(&server, &reply, "actor_refused");
    let myself = signed(&job_with(json!({})));
    refused(
        &server,
        &acting(&server, &json!({}), &myself),
        "actor_refused",
    );
}

#[test]
fn may_act_names_the_actor_with_every_member() {
    let server = server("", "");
    for (may_act, accepted) in [
        (json!({"sub": "deployer"}), true),
        (json!({"sub": "deployer", "iss": BOT}), true),
        (json!({"sub": "deployer", "iss": BOT, "team": "x"}), true),
        (json!({"sub": "other"}), false),
        (json!({"sub": "deployer", "iss": CI}), false),
        (json!({"sub": "deployer", "role": "absent"}), false),
        (json!({"sub": ["deployer"]}), false),
        (json!({"sub": null}), false),
        (json!({}), false),
        (json!("deployer"), false),
        (json!([{"sub": "deployer"}]), false),
        (json!(true), false),
    ] {
        let reply = acting(&server, &json!({ "may_act": may_act }), &actor(json!({})));
        if accepted {
            let claims = server.read(&reply).1;
            assert_eq!(
                claims["act"],
                json!({"iss": BOT, "sub": "deployer"}),
                "{may_act}"
            );
            assert_eq!(claims["sub"], job_with(json!({}))["sub"]);
            assert!(claims.get("may_act").is_none());
        } else {
            refused(&server, &reply, "actor_refused");
        }
    }
}

#[test]
fn a_condition_in_actors_admits_too() {
    let lines = r#"actors = ["actor.sub == 'nobody'", "actor.nothing == 'x'", "actor.iss == 'https://bot.example' && actor.sub == 'deployer' && claims.ref == 'main'"]"#;
    let server = server(lines, "");
    let reply = acting(&server, &json!({}), &actor(json!({})));
    assert_eq!(server.read(&reply).1["act"]["sub"], "deployer");
    refused(
        &server,
        &acting(&server, &json!({"ref": "x"}), &actor(json!({}))),
        "actor_refused",
    );
    refused(
        &server,
        &acting(&server, &json!({}), &actor(json!({"sub": "x"}))),
        "actor_refused",
    );
    // The conditions of the actor's connector are not the subject's.
    let other = self::server("", r#"actors = ["true"]"#);
    refused(
        &other,
        &acting(&other, &json!({}), &actor(json!({}))),
        "actor_refused",
    );
}

#[test]
fn who_acted_before_is_nested_inside() {
    let server = server("actors = [\"true\"]", "");
    let before = json!({"sub": "first", "act": {"sub": "zeroth"}});
    let reply = acting(
        &server,
        &json!({ "act": before }),
        &actor(json!({"act": {"sub": "ignored"}})),
    );
    let expected = json!({"iss": BOT, "sub": "deployer", "act": before});
    assert_eq!(server.read(&reply).1["act"], expected);
    let alone = signed(&job_with(json!({ "act": before })));
    assert_eq!(server.claims(&alone, &[])["act"], before);
    let none = signed(&job_with(json!({})));
    assert!(server.claims(&none, &[]).get("act").is_none());
}

#[test]
fn exp_is_bounded_by_both_tokens() {
    let server = server("actors = [\"true\"]", "");
    let (soon, later) = (now() + 200, now() + 900);
    for (subject, actors) in [(soon, later), (later, soon)] {
        let reply = acting(
            &server,
            &json!({"exp": subject}),
            &actor(json!({"exp": actors})),
        );
        assert_eq!(server.read(&reply).1["exp"], soon);
    }
}

#[test]
fn an_actor_passes_the_verification_and_the_rules_of_its_own_connector() {
    let bot = r#"audiences = ["bots"]
allow = ["claims.team == 'x'"]
[[connectors.rules]]
name = "r"
when = "claims.sub != 'ruled-out'""#;
    let server = server("actors = [\"true\"]", bot);
    let with_aud = |mut changes: Value| {
        changes["aud"] = json!("bots");
        actor(changes)
    };
    assert_eq!(
        acting(&server, &json!({}), &with_aud(json!({}))).status,
        200
    );
    let stolen = token(
        &job_with(json!({"iss": BOT, "aud": "bots"})),
        &OTHER_RSA,
        "RS256",
        "k1",
    );
    let headless = token(
        &job_with(json!({"iss": BOT, "aud": "bots"})),
        &RSA,
        "PS256",
        "k1",
    );
    for (actor, reason) in [
        ("nonsense".to_owned(), "token_malformed"),
        (
            actor(json!({"iss": "https://unknown.example"})),
            "issuer_unknown",
        ),
        (with_aud(json!({"exp": 1})), "token_expired"),
        (
            with_aud(json!({"nbf": now() + 1_000})),
            "token_not_yet_valid",
        ),
        (stolen, "signature_invalid"),
        (headless, "alg_refused"),
        (actor(json!({})), "audience_mismatch"),
        (with_aud(json!({"team": "y"})), "condition_false"),
        (with_aud(json!({"sub": "ruled-out"})), "no_rule"),
    ] {
        refused(&server, &acting(&server, &json!({}), &actor), reason);
    }
}

#[test]
fn connector_id_concerns_the_subject_only() {
    let server = server("actors = [\"true\"]", "");
    let subject = signed(&job_with(json!({})));
    let actor = actor(json!({}));
    let with_id = |id| {
        [
            ("actor_token", actor.as_str()),
            ("actor_token_type", JWT),
            ("connector_id", id),
        ]
    };
    assert_eq!(server.exchange(&subject, &with_id("ci")).status, 200);
    refused(
        &server,
        &server.exchange(&subject, &with_id("bot")),
        "issuer_mismatch",
    );
}

#[test]
fn an_actor_without_a_name_is_refused() {
    let server = server("actors = [\"true\"]", "");
    for sub in [json!(null), json!(""), json!(7), json!(["deployer"])] {
        let reply = acting(&server, &json!({}), &actor(json!({ "sub": sub })));
        refused(&server, &reply, "actor_refused");
        assert!(reply.description().contains("`sub`"), "{}", reply.text());
    }
}
