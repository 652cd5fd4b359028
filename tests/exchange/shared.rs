//! Issuers where anybody can get a token: a refusal does not say what would be accepted (design §2.1).

use serde_json::{Value, json};

use crate::signed;
use crate::support::server::{Server, Site};
use crate::support::shapes::{github, with};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const OWNER: &str = "claims.repository_owner_id == '123456'";

fn server(lines: &str) -> Server {
    Site::new()
        .connector("ci", &format!("issuer = \"{GITHUB}\"\n{lines}"))
        .start()
}

fn token(changes: Value) -> String {
    signed(&with(github(GITHUB), changes))
}

/// Refused for `reason` without a word of what is expected, which only the log has.
#[track_caller]
fn hides(server: &Server, token: &str, asked: &[(&str, &str)], reason: &str, secret: &str) {
    let reply = server.exchange(token, asked);
    assert_eq!(
        (reply.status, reply.refusal().2.as_str()),
        (400, reason),
        "{}",
        reply.text()
    );
    assert!(!reply.text().contains(secret), "{}", reply.text());
    let event = server.audit(&reply);
    assert!(
        event["detail"].as_str().unwrap().contains(secret),
        "{event}"
    );
}

#[test]
fn a_job_of_the_pinned_tenant_is_served() {
    let server = server(&format!("allow = [\"{OWNER}\"]"));
    assert_eq!(
        server.claims(&token(json!({})), &[])["sub"],
        github(GITHUB)["sub"]
    );
}

#[test]
fn each_refusal_hides_what_was_expected() {
    let stranger = token(json!({"repository_owner_id": "666"}));
    let plain = server(&format!(
        "allow = [\"{OWNER}\"]\ntargets = [\"hidden-target\"]"
    ));
    hides(&plain, &stranger, &[], "condition_false", "123456");
    let elsewhere = token(json!({"aud": "https://github.com/stranger"}));
    hides(
        &plain,
        &elsewhere,
        &[],
        "audience_mismatch",
        "https://sts.example.com",
    );
    let nowhere = token(json!({"aud": null}));
    hides(
        &plain,
        &nowhere,
        &[],
        "audience_mismatch",
        "https://sts.example.com",
    );
    let mine = token(json!({}));
    hides(
        &plain,
        &mine,
        &[("audience", "guess")],
        "target_refused",
        "hidden-target",
    );
    let rules = server(&format!(
        "allow = [\"true\"]\n[[connectors.rules]]\nname = \"hidden-rule\"\nwhen = \"{OWNER}\""
    ));
    hides(&rules, &stranger, &[], "no_rule", "hidden-rule");
    let rule_allow = server(&format!(
        "allow = [\"{OWNER}\"]\n[[connectors.rules]]\nname = \"r\"\nwhen = \"true\"\nallow = [\"claims.ref == 'hidden-ref'\"]"
    ));
    hides(&rule_allow, &mine, &[], "condition_false", "hidden-ref");
    let claim = server(&format!(
        "allow = [\"{OWNER}\"]\n[connectors.claims]\nteam = \"claims.actor == 'hidden-actor' ? 1 / 0 : 1 / 0\""
    ));
    hides(&claim, &mine, &[], "claim_failed", "hidden-actor");
    let asked = server(&format!(
        "allow = [\"{OWNER}\", \"'hidden-aud' in request.audience\"]\ntargets = [\"hidden-aud\"]"
    ));
    hides(&asked, &mine, &[], "audience_required", "allow[1]");
}

#[test]
fn an_own_issuer_tells_its_users_what_was_expected() {
    let server = Site::new()
        .connector("ci", &format!("allow = [\"{OWNER}\"]"))
        .start();
    let stranger = signed(&with(
        github(crate::CI),
        json!({"repository_owner_id": "666"}),
    ));
    let said = server.refuses(&stranger, "condition_false");
    assert!(said.contains("123456") && said.contains("666"), "{said}");
}
