//! What a new token says (design §2.4), and which algorithm signs it.

use serde_json::{Value, json};

use crate::support::keys::{P256, P384, RSA};
use crate::support::now;
use crate::support::server::{Server, Site};
use crate::support::shapes::{kubernetes, with};
use crate::support::tokens::{compact, token};
use crate::{CI, job, job_with, signed};

#[track_caller]
fn refused(server: &Server, token: &str, reason: &str, words: &str) {
    let said = server.refuses(token, reason);
    assert!(said.contains(words), "{words}: {said}");
}

fn life(claims: &Value) -> u64 {
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}

#[test]
fn nothing_but_the_registered_claims_and_sub_is_said_by_default() {
    let server = Site::new().connector("ci", "").start();
    let before = now();
    let (header, claims) = server.read(&server.exchange(&signed(&job()), &[]));
    let members: Vec<_> = claims
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, ["iss", "aud", "iat", "nbf", "exp", "jti", "sub"]);
    assert_eq!(claims["iss"], "https://sts.example.com");
    assert_eq!(claims["sub"], job()["sub"]);
    let iat = claims["iat"].as_u64().unwrap();
    assert!((before..=now()).contains(&iat));
    assert_eq!(claims["nbf"].as_u64().unwrap(), iat - 5);
    let names: Vec<_> = header
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names.len(), 3, "{header}");
    assert_eq!(
        (&header["typ"], &header["alg"]),
        (&json!("JWT"), &json!("RS256"))
    );
}

#[test]
fn every_token_has_a_jti_of_its_own() {
    let server = Site::new().connector("ci", "").start();
    let mut seen: Vec<_> = (0..20)
        .map(|_| {
            server.claims(&signed(&job()), &[])["jti"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(
        seen.iter()
            .all(|jti| jti.len() == 36 && jti.as_bytes()[14] == b'7'),
        "{seen:?}"
    );
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 20);
}

#[test]
fn claims_are_copied_by_name_whatever_they_hold() {
    let server = Site::new()
        .connector("ci", r#"clone_claims = ["sub", "runner_id", "groups_direct", "kubernetes.io", "absent", "no", "half", "large"]"#)
        .start();
    let subject = job_with(json!({
        "kubernetes.io": kubernetes(CI)["kubernetes.io"], "no": false, "half": 0.5,
        "large": 18_446_744_073_709_551_615_u64,
    }));
    let claims = server.claims(&signed(&subject), &[]);
    for name in [
        "runner_id",
        "groups_direct",
        "kubernetes.io",
        "no",
        "half",
        "large",
    ] {
        assert_eq!(claims[name], subject[name], "{name}");
    }
    assert!(claims.get("absent").is_none() && claims.get("user_email").is_none());
}

#[test]
fn computed_claims_win_over_copied_ones_and_null_leaves_out() {
    let server = Site::new()
        .connector("ci", r#"clone_claims = ["sub", "ref", "environment"]
[connectors.claims]
project = "claims.project_path"
ref = "'refs/heads/' + claims.ref"
environment = "null"
number = "claims.runner_id + 1"
list = "[claims.ref, 'x']"
map = "{'a': 1}"
yes = "claims.ref_protected == 'true'"
from = "connector"
asked = "request.audience"
"https://aws.amazon.com/tags" = "{'principal_tags': {'Project': [claims.project_path]}, 'transitive_tag_keys': ['Project']}"
same = "assertion.sub == claims.sub""#)
        .start();
    let own = "https://sts.example.com";
    let claims = server.claims(&signed(&job()), &[("audience", own)]);
    for (name, value) in [
        ("project", json!("acme/shop")),
        ("ref", json!("refs/heads/main")),
        ("number", json!(2)),
        ("list", json!(["main", "x"])),
        ("map", json!({"a": 1})),
        ("yes", json!(true)),
        ("from", json!("ci")),
        ("asked", json!([own])),
        (
            "https://aws.amazon.com/tags",
            json!({"principal_tags": {"Project": ["acme/shop"]}, "transitive_tag_keys": ["Project"]}),
        ),
        ("same", json!(true)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims.get("environment").is_none(), "{claims}");
}

#[test]
fn a_claim_that_cannot_be_computed_refuses_and_is_named() {
    for expression in [
        "claims.nothing",
        "claims.ref + 1",
        "1 / 0",
        "claims.runner_id + 9223372036854775807",
        "claims.groups_direct[7]",
        "0.0 / 0.0",
        "b'bytes'",
        "duration('1s')",
    ] {
        let lines = format!("[connectors.claims]\nteam = {}", json!(expression));
        let server = Site::new().connector("ci", &lines).start();
        refused(&server, &signed(&job()), "claim_failed", "`team`");
    }
}

#[test]
fn a_rules_claims_are_merged_over_the_connectors() {
    let lines = r#"clone_claims = ["sub", "ref"]
[connectors.claims]
a = "'connector'"
b = "'connector'"
[[connectors.rules]]
name = "r"
when = "true"
clone_claims = ["project_id"]
[connectors.rules.claims]
b = "'rule'"
c = "'rule'""#;
    let server = Site::new().connector("ci", lines).start();
    let reply = server.exchange(&signed(&job()), &[]);
    let claims = server.read(&reply).1;
    for (name, value) in [
        ("a", "connector"),
        ("b", "rule"),
        ("c", "rule"),
        ("ref", "main"),
        ("project_id", "20"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(server.audit(&reply)["rule"], "r");
}

#[test]
fn the_final_sub_is_a_string_that_is_not_empty() {
    let server = Site::new().connector("ci", "").start();
    for (sub, words) in [
        (Value::Null, "`sub` would be absent"),
        (json!(""), "`sub` would be"),
        (json!(7), "`sub` would be 7"),
        (json!(["a"]), "`sub` would be"),
        (json!({"a": "b"}), "`sub` would be"),
        (json!(true), "`sub` would be true"),
    ] {
        refused(
            &server,
            &signed(&job_with(json!({ "sub": sub }))),
            "claim_failed",
            words,
        );
    }
    for expression in ["null", "''", "claims.runner_id"] {
        let lines = format!("[connectors.claims]\nsub = \"{expression}\"");
        let server = Site::new().connector("ci", &lines).start();
        refused(&server, &signed(&job()), "claim_failed", "`sub`");
    }
    let lines =
        "clone_claims = [\"ref\"]\n[connectors.claims]\nsub = \"'project:' + claims.project_id\"";
    let server = Site::new().connector("ci", lines).start();
    let anonymous = signed(&job_with(json!({"sub": null})));
    assert_eq!(server.claims(&anonymous, &[])["sub"], "project:20");
}

#[test]
fn the_prefix_stands_before_copied_and_computed_subjects() {
    let server = Site::new()
        .connector("ci", "subject_prefix = \"gitlab:\"")
        .connector(
            "b",
            "subject_prefix = \"b:\"\n[connectors.claims]\nsub = \"claims.project_id\"",
        )
        .start();
    let copied = format!("gitlab:{}", job()["sub"].as_str().unwrap());
    assert_eq!(server.claims(&signed(&job()), &[])["sub"], copied);
    let other = signed(&job_with(json!({"iss": "https://b.example"})));
    assert_eq!(server.claims(&other, &[])["sub"], "b:20");
    // A prefix alone is no subject.
    refused(
        &server,
        &signed(&job_with(json!({"sub": ""}))),
        "claim_failed",
        "`sub`",
    );
}

#[test]
fn exp_is_the_earliest_of_token_connector_rule_and_maximum() {
    let rules = r#"lifetime = "20m"
[[connectors.rules]]
name = "short"
when = "claims.ref == 'short'"
lifetime = "5m"
[[connectors.rules]]
name = "long"
when = "claims.ref == 'long'"
lifetime = "40m"
[[connectors.rules]]
name = "rest"
when = "true""#;
    let server = Site::new()
        .tables("[tokens]\nmax_lifetime = \"30m\"")
        .connector("ci", rules)
        .connector("plain", "")
        .start();
    let later = now() + 7_200;
    for (changes, expected) in [
        (json!({"ref": "short", "exp": later}), 300),
        (json!({"ref": "long", "exp": later}), 1_800),
        (json!({"ref": "main", "exp": later}), 1_200),
        (json!({"iss": "https://plain.example", "exp": later}), 1_800),
        (json!({"iss": "https://plain.example", "exp": 1e300}), 1_800),
    ] {
        let claims = server.claims(&signed(&job_with(changes.clone())), &[]);
        assert_eq!(life(&claims), expected, "{changes}");
    }
    let soon = now() + 100;
    for text in [
        soon.to_string(),
        format!("{soon}.9"),
        format!("{soon}.999999"),
    ] {
        let written: Value = serde_json::from_str(&text).unwrap();
        let claims = server.claims(&signed(&job_with(json!({ "exp": written }))), &[]);
        assert_eq!(claims["exp"], soon, "{text}");
    }
}

#[test]
fn only_outliving_lifts_the_subjects_own_end() {
    let server = Site::new()
        .connector("ci", "outlive_subject_token = true\nlifetime = \"20m\"")
        .connector("max", "outlive_subject_token = true")
        .start();
    let soon = now() + 60;
    for (issuer, expected) in [(CI, 1_200), ("https://max.example", 3_600)] {
        let token = signed(&job_with(json!({"iss": issuer, "exp": soon})));
        assert_eq!(life(&server.claims(&token, &[])), expected);
    }
}

#[test]
fn the_signing_algorithm_is_forced_asked_the_subjects_or_the_default() {
    let every = "algorithms = [\"RS256\", \"ES256\", \"ES384\"]\njwks_file = \"all.json\"";
    let set = json!({"keys": [RSA.jwk("k1"), P256.jwk("e1"), P384.jwk("e3")]}).to_string();
    let forced = "alg = \"ES256\"\n[[connectors.rules]]\nname = \"r\"\nwhen = \"claims.ref == 'rs'\"\nalg = \"RS256\"\n[[connectors.rules]]\nname = \"s\"\nwhen = \"true\"";
    let server = Site::new()
        .file("all.json", &set)
        .keys("default_alg = \"ES256\"")
        .connector("ci", every)
        .connector("forced", forced)
        .start();
    let alg = |token: &str, asked: Option<&str>| {
        let reply = server.simple(&json!({"token": token, "alg": asked}));
        match reply.status {
            200 => server.read(&reply).0["alg"].as_str().unwrap().to_owned(),
            _ => reply.refusal().2,
        }
    };
    let rs = signed(&job());
    let es = token(&job(), &P256, "ES256", "e1");
    let es384 = token(&job(), &P384, "ES384", "e3");
    let elsewhere = |git_ref: &str| {
        signed(&job_with(
            json!({"iss": "https://forced.example", "ref": git_ref}),
        ))
    };
    for (token, asked, expected) in [
        (&rs, None, "RS256"),
        (&rs, Some("ES256"), "ES256"),
        (&es, None, "ES256"),
        (&es, Some("RS256"), "RS256"),
        (&es384, None, "ES256"),
        (&es384, Some("ES384"), "alg_unavailable"),
        (&elsewhere("main"), None, "ES256"),
        (&elsewhere("main"), Some("ES256"), "ES256"),
        (&elsewhere("main"), Some("RS256"), "alg_unavailable"),
        (&elsewhere("rs"), None, "RS256"),
        (&elsewhere("rs"), Some("ES256"), "alg_unavailable"),
    ] {
        assert_eq!(alg(token, asked), expected, "{asked:?}");
    }
    assert_eq!(server.read(&server.exchange(&es384, &[])).0["alg"], "ES256");
}

#[test]
fn the_first_key_is_the_default_where_none_is_named() {
    let set = json!({"keys": [P384.jwk("e3")]}).to_string();
    let server = Site::new()
        .file("all.json", &set)
        .connector("ci", "algorithms = [\"ES384\"]\njwks_file = \"all.json\"")
        .start();
    let subject = token(&job(), &P384, "ES384", "e3");
    let keys = server.get("/keys").json();
    let alg = server.read(&server.exchange(&subject, &[])).0["alg"].clone();
    assert_eq!(alg, keys["keys"][0]["alg"]);
}

#[test]
fn a_new_token_over_16_kib_is_refused() {
    let lines = "clone_claims = [\"sub\", \"pad\"]\n[connectors.claims]\nagain = \"claims.pad\"";
    let server = Site::new().connector("ci", lines).start();
    let padded = |size: usize| signed(&with(job(), json!({"pad": "x".repeat(size)})));
    refused(&server, &padded(9_000), "token_too_large", "16 KiB");
    let reply = server.simple(&json!({"token": padded(5_000)}));
    assert_eq!(reply.status, 200);
    assert!(reply.text().len() > 13_000);
}

#[test]
fn a_copied_number_keeps_its_value_and_times_are_integers() {
    let server = Site::new().connector("ci", "").start();
    let text = job_with(json!({"iat": null, "exp": null})).to_string();
    let payload = text.replacen(
        '{',
        &format!("{{\"iat\":{}.5,\"exp\":{}.5,", now(), now() + 50),
        1,
    );
    let fractional = compact(r#"{"alg":"RS256","kid":"k1"}"#, payload, &RSA, "RS256");
    let claims = server.claims(&fractional, &[]);
    for name in ["iat", "nbf", "exp"] {
        assert!(claims[name].is_u64(), "{claims}");
    }
}
