//! `allow` and the rules, and what a caller is told of those that do not hold (design §2.1, §3).

use serde_json::json;

use crate::support::server::{Server, Site};
use crate::support::shapes::{kubernetes, with};
use crate::{CI, job, job_with, signed};

#[track_caller]
fn refused(server: &Server, token: &str, reason: &str, words: &[&str]) {
    let said = server.refuses(token, reason);
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn every_condition_must_hold_and_the_first_that_does_not_is_named() {
    let lines = r#"allow = ["claims.ref_protected == 'true'", "claims.ref == 'main'", "claims.environment in ['production', 'staging']"]"#;
    let server = Site::new().connector("ci", lines).start();
    assert_eq!(server.exchange(&signed(&job()), &[]).status, 200);
    let row = |changes| signed(&job_with(changes));
    let unprotected = row(json!({"ref_protected": "false", "ref": "evil"}));
    refused(
        &server,
        &unprotected,
        "condition_false",
        &["allow[0]", "claims.ref_protected == 'true'", "false"],
    );
    let elsewhere = row(json!({"ref": "evil"}));
    refused(
        &server,
        &elsewhere,
        "condition_false",
        &["allow[1]", "claims.ref == 'main'", "evil"],
    );
    let review = row(json!({"environment": "review"}));
    refused(&server, &review, "condition_false", &["allow[2]", "review"]);
}

#[test]
fn an_absent_claim_makes_a_condition_false_and_is_named() {
    for (condition, changes, words) in [
        (
            "claims.environment == 'production'",
            json!({"environment": null}),
            ["environment", "absent"],
        ),
        (
            "claims.environment != 'production'",
            json!({"environment": null}),
            ["environment", "absent"],
        ),
        (
            "!(claims.environment == 'production')",
            json!({"environment": null}),
            ["environment", "absent"],
        ),
        ("claims['a.b'] == 'x'", json!({}), ["a.b", "absent"]),
        (
            "claims.job_config.sha == 'x'",
            json!({}),
            ["job_config", "absent"],
        ),
    ] {
        let server = Site::new()
            .connector("ci", &format!("allow = [{}]", json!(condition)))
            .start();
        refused(
            &server,
            &signed(&job_with(changes)),
            "condition_false",
            &words,
        );
    }
}

#[test]
fn what_is_not_exactly_true_does_not_hold() {
    for condition in [
        "claims.ref",
        "claims.runner_id",
        "claims.ref_protected",
        "claims.runner_id == '1'",
        "claims.ref < 1",
        "null",
        "[true]",
        "1",
    ] {
        let server = Site::new()
            .connector("ci", &format!("allow = [{}]", json!(condition)))
            .start();
        refused(&server, &signed(&job()), "condition_false", &["allow[0]"]);
    }
}

#[test]
fn conditions_reach_nested_claims_and_use_the_functions() {
    let holds = [
        "claims['kubernetes.io'].namespace == 'shop'",
        "claims['kubernetes.io'].serviceaccount.name == 'web'",
        "has(claims.sub) && !has(claims.nothing)",
        "glob(claims.sub, 'system:serviceaccount:shop:*')",
        "glob(claims.sub, '**')",
        "!glob(claims.sub, 'system:*')",
        "claims.sub.startsWith('system:') && claims.sub.endsWith(':web') && claims.sub.contains('shop')",
        "claims.sub.matches('^system:serviceaccount:[a-z]+:web$')",
        "'https://sts.example.com' in claims.aud && size(claims.aud) == 1",
        "claims.aud.exists(a, a == 'https://sts.example.com')",
        "connector == 'ci' && client == null",
        "assertion == claims",
        "claims.exp - claims.iat <= 3600",
    ];
    let lines = format!("allow = {}", json!(holds));
    let server = Site::new().connector("ci", &lines).start();
    let reply = server.exchange(&signed(&kubernetes(CI)), &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[test]
fn the_first_rule_that_holds_is_in_force_and_its_allow_counts() {
    let lines = r#"targets = ["t"]
[[connectors.rules]]
name = "main"
when = "claims.ref == 'main'"
allow = ["claims.ref_protected == 'true'"]
[[connectors.rules]]
name = "errs"
when = "claims.nothing == 'x'"
[[connectors.rules]]
name = "any-branch"
when = "claims.ref_type == 'branch'""#;
    let server = Site::new().connector("ci", lines).start();
    let rule = |changes| {
        let reply = server.exchange(&signed(&job_with(changes)), &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        server.audit(&reply)["rule"].clone()
    };
    assert_eq!(rule(json!({})), "main");
    assert_eq!(rule(json!({"ref": "x"})), "any-branch");
    // In force, its own condition decides: there is no way on to the next rule.
    let unprotected = signed(&job_with(json!({"ref_protected": "false"})));
    refused(
        &server,
        &unprotected,
        "condition_false",
        &["rules[0].allow[0]"],
    );
    let tag = signed(&job_with(json!({"ref": "v1", "ref_type": "tag"})));
    refused(&server, &tag, "no_rule", &["main, errs, any-branch"]);
}

/// One token with large claims and one with small ones: only the large ones are too much, whatever the rest of the
/// condition says, and explaining that evaluates nothing again.
#[test]
fn what_is_too_much_work_does_not_hold_and_is_not_computed() {
    let few = vec![1; 60];
    let large = json!({"few": few, "long": "ab".repeat(4_000)});
    let large = signed(&job_with(large));
    let small = signed(&job_with(json!({"few": few, "long": "ab"})));
    for body in [
        "!claims.long.contains('abababababababababac')",
        "!claims.long.matches('[ab]*a[ab]{200}c')",
        "!glob(claims.long, '*a*a*a*c*')",
        "claims.long == claims.long",
        "size([claims.long]) == 1",
    ] {
        let work = format!("claims.few.all(x, claims.few.all(y, {body}))");
        for condition in [work.clone(), format!("{work} || true")] {
            let allow = format!("allow = {}", json!([condition]));
            let server = Site::new().connector("ci", &allow).start();
            assert_eq!(server.exchange(&small, &[]).status, 200, "{condition}");
            let words = ["allow[0]", "it is too much work to evaluate"];
            refused(&server, &large, "condition_false", &words);
        }
        let claim = format!("claims = {{ sub = \"{work} ? claims.sub : ''\" }}\nallow = ['true']");
        let server = Site::new().connector("ci", &claim).start();
        assert_eq!(server.exchange(&small, &[]).status, 200, "{claim}");
        let words = ["`sub`", "it is too much work to evaluate"];
        refused(&server, &large, "claim_failed", &words);
    }
}

#[test]
fn a_description_cuts_what_the_token_says_and_keeps_to_plain_bytes() {
    let server = Site::new()
        .connector("ci", "allow = [\"claims.ref == 'main'\"]")
        .start();
    let odd = with(
        job(),
        json!({"ref": format!("\"\\\u{e9}\u{7}{}", "x".repeat(3_000))}),
    );
    let said = server.refuses(&signed(&odd), "condition_false");
    assert!(said.len() < 500 && said.contains("xxx"), "{said}");
    let aud = job_with(json!({"aud": ["y".repeat(3_000), "\r\nSet-Cookie: a=b"]}));
    let said = server.refuses(&signed(&aud), "audience_mismatch");
    assert!(said.len() < 500, "{said}");
}
