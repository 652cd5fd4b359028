//! The audience of the new token (design §2.1).

use serde_json::{Value, json};

use crate::support::server::{Server, Site};
use crate::{job_with, signed};

const TARGETS: &str =
    r#"targets = ["https://sts.amazonaws.com", "vault", "https://c.example/x?y=z"]"#;

fn token(aud: &Value) -> String {
    signed(&job_with(json!({ "aud": aud })))
}

fn own() -> String {
    token(&json!("https://sts.example.com"))
}

#[track_caller]
fn refused(server: &Server, token: &str, asked: &[(&str, &str)], reason: &str) -> String {
    let reply = server.exchange(token, asked);
    let expected = (400, "invalid_target".to_owned(), reason.to_owned());
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    reply.description()
}

#[test]
fn without_a_wish_the_first_target_is_given() {
    let server = Site::new().connector("ci", TARGETS).start();
    assert_eq!(
        server.claims(&own(), &[])["aud"],
        "https://sts.amazonaws.com"
    );
}

#[test]
fn wishes_keep_their_order_and_lose_their_duplicates() {
    let server = Site::new().connector("ci", TARGETS).start();
    let (aws, url) = ("https://sts.amazonaws.com", "https://c.example/x?y=z");
    for (asked, expected) in [
        (vec![("audience", "vault")], json!("vault")),
        (
            vec![("audience", "vault"), ("audience", aws)],
            json!(["vault", aws]),
        ),
        (
            vec![("resource", url), ("audience", "vault"), ("resource", aws)],
            json!([url, "vault", aws]),
        ),
        (
            vec![
                ("audience", "vault"),
                ("audience", aws),
                ("audience", "vault"),
                ("resource", aws),
            ],
            json!(["vault", aws]),
        ),
        (vec![("audience", aws), ("resource", aws)], json!(aws)),
    ] {
        assert_eq!(server.claims(&own(), &asked)["aud"], expected, "{asked:?}");
    }
}

#[test]
fn one_refused_target_refuses_all() {
    let server = Site::new().connector("ci", TARGETS).start();
    for asked in [
        vec![("audience", "elsewhere")],
        vec![("audience", "vault"), ("audience", "elsewhere")],
        vec![("audience", "elsewhere"), ("audience", "vault")],
        vec![("resource", "https://elsewhere.example")],
        vec![("audience", "VAULT")],
        vec![("audience", "vault ")],
        vec![("audience", "https://sts.amazonaws.com/")],
        // The subject token's own audience is not a target where targets are set.
        vec![("audience", "https://sts.example.com")],
    ] {
        let words = refused(&server, &own(), &asked, "target_refused");
        assert!(
            words.contains("allowed: https://sts.amazonaws.com, vault"),
            "{words}"
        );
    }
}

#[test]
fn at_most_ten_different_targets_may_be_asked() {
    let names: Vec<_> = (0..11).map(|n| format!("t{n}")).collect();
    let targets = format!("targets = {names:?}");
    let server = Site::new().connector("ci", &targets).start();
    let asked: Vec<_> = names
        .iter()
        .map(|name| ("audience", name.as_str()))
        .collect();
    let ten = [&asked[..10], &asked[..10]].concat();
    assert_eq!(server.claims(&own(), &ten)["aud"], json!(names[..10]));
    let words = refused(&server, &own(), &asked, "target_refused");
    assert!(words.contains("more than 10"), "{words}");
}

#[test]
fn a_resource_is_an_absolute_uri_without_fragment() {
    let server = Site::new()
        .connector(
            "ci",
            "targets = [\"/relative\", \"vault\", \"https://a.example/#f\", \"https://a.example\"]",
        )
        .start();
    for resource in [
        "/relative",
        "vault",
        "https://a.example/#f",
        "https://a.example/#",
        "//a.example",
        "a b:c",
        "https://a example",
        "https://",
    ] {
        let words = refused(&server, &own(), &[("resource", resource)], "target_refused");
        assert!(words.contains("absolute URI"), "{words}");
        refused(
            &server,
            &own(),
            &[("audience", "vault"), ("resource", resource)],
            "target_refused",
        );
    }
    assert_eq!(
        server.claims(&own(), &[("resource", "https://a.example")])["aud"],
        "https://a.example"
    );
    // An audience may be anything.
    assert_eq!(
        server.claims(&own(), &[("audience", "/relative")])["aud"],
        "/relative"
    );
}

#[test]
fn without_targets_the_tokens_own_accepted_audiences_are_given() {
    let server = Site::new()
        .connector("ci", "audiences = [\"a\", \"b\", \"c\"]")
        .start();
    let subject = token(&json!(["b", "elsewhere", "a", "b"]));
    assert_eq!(server.claims(&subject, &[])["aud"], json!(["b", "a"]));
    assert_eq!(server.claims(&subject, &[("audience", "a")])["aud"], "a");
    refused(
        &server,
        &subject,
        &[("audience", "elsewhere")],
        "target_refused",
    );
    // Accepted by the connector, but not in this token.
    refused(&server, &subject, &[("audience", "c")], "target_refused");
    let any = Site::new().connector("ci", "audiences = [\"*\"]").start();
    let all = json!(["b", "elsewhere", "a"]);
    assert_eq!(any.claims(&token(&all), &[])["aud"], all);
    assert_eq!(
        any.claims(&token(&json!("x")), &[("audience", "x")])["aud"],
        "x"
    );
    refused(
        &any,
        &token(&json!("x")),
        &[("audience", "*")],
        "target_refused",
    );
}

#[test]
fn the_targets_of_the_rule_in_force_come_after_the_connectors() {
    let rules = r#"
[[connectors.rules]]
name = "production"
when = "claims.environment == 'production'"
targets = ["prod"]
[[connectors.rules]]
name = "rest"
when = "true"
"#;
    let server = Site::new()
        .connector("ci", &format!("targets = [\"first\"]{rules}"))
        .start();
    let staging = signed(&job_with(json!({"environment": "staging"})));
    assert_eq!(server.claims(&own(), &[])["aud"], "first");
    let both = [("audience", "prod"), ("audience", "first")];
    assert_eq!(
        server.claims(&own(), &both)["aud"],
        json!(["prod", "first"])
    );
    assert_eq!(
        server.claims(&staging, &[("audience", "first")])["aud"],
        "first"
    );
    refused(&server, &staging, &[("audience", "prod")], "target_refused");
    refused(&server, &staging, &both, "target_refused");
}

#[test]
fn an_audience_that_a_rule_lists_is_granted_only_by_that_rule() {
    let rules = r#"
[[connectors.rules]]
name = "production"
when = "claims.environment == 'production'"
targets = ["prod"]
[[connectors.rules]]
name = "rest"
when = "true"
"#;
    let server = Site::new()
        .connector("ci", &format!("audiences = [\"*\"]{rules}"))
        .start();
    let staging = |aud: Value| signed(&job_with(json!({"environment": "staging", "aud": aud})));
    refused(&server, &staging(json!("prod")), &[], "target_refused");
    refused(
        &server,
        &staging(json!(["prod", "x"])),
        &[("audience", "prod")],
        "target_refused",
    );
    assert_eq!(
        server.claims(&staging(json!(["prod", "x"])), &[])["aud"],
        "x"
    );
    let production = token(&json!("prod"));
    assert_eq!(server.claims(&production, &[])["aud"], "prod");
}

#[test]
fn a_condition_on_the_wish_refuses_a_request_without_one() {
    for lines in [
        "allow = [\"!('aws' in request.audience) || claims.ref_protected == 'true'\"]\ntargets = [\"aws\"]",
        "allow = [\"size(request.audience) < 2\"]\ntargets = [\"aws\"]",
        "targets = [\"aws\"]\n[[connectors.rules]]\nname = \"r\"\nwhen = \"!('other' in request.audience)\"",
        "targets = [\"aws\"]\n[[connectors.rules]]\nname = \"r\"\nwhen = \"true\"\nallow = [\"request['audience'] != []\"]",
    ] {
        let server = Site::new().connector("ci", lines).start();
        let words = refused(&server, &own(), &[], "audience_required");
        assert!(words.contains("ask for an `audience`"), "{words}");
        refused(&server, &own(), &[("audience", "")], "audience_required");
        assert_eq!(server.claims(&own(), &[("audience", "aws")])["aud"], "aws");
        let simple = server.simple(&json!({"token": own()}));
        assert_eq!(
            simple.refusal(),
            (
                403,
                "access_denied".to_owned(),
                "audience_required".to_owned()
            )
        );
    }
}

#[test]
fn conditions_see_every_audience_asked() {
    let allow = r#"allow = ["request.audience.all(a, a.startsWith('team-'))"]
targets = ["team-a", "team-b", "root"]"#;
    let server = Site::new().connector("ci", allow).start();
    let asked = [("audience", "team-a"), ("audience", "team-b")];
    assert_eq!(
        server.claims(&own(), &asked)["aud"],
        json!(["team-a", "team-b"])
    );
    for asked in [
        [("audience", "team-a"), ("audience", "root")],
        [("audience", "root"), ("audience", "team-a")],
    ] {
        assert_eq!(
            server.exchange(&own(), &asked).refusal().2,
            "condition_false"
        );
    }
}
