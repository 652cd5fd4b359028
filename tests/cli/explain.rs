//! `remint explain`: a decision without a token, step by step.

use serde_json::json;

use crate::bench::process::Finished;
use crate::bench::site::{Site, TARGET, config, connector};
use crate::bench::upstream::{Upstream, dead_url, encode, now};

/// Explains `token`, and makes sure that no part of it is printed.
fn explain(site: &Site, args: &[&str], token: &str) -> Finished {
    let args = [&["explain"][..], args].concat();
    let run = site.run_with(&args, &format!("{token}\n"));
    for part in token.split('.').filter(|part| part.len() > 8) {
        let echoed = run.stdout.contains(part) || run.stderr.contains(part);
        assert!(!echoed, "{part} in {run:#?}");
    }
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
    run
}

fn says(run: &Finished, words: &[&str]) {
    for word in words {
        assert!(run.stdout.contains(word), "{word:?} is not in {run:#?}");
    }
}

#[test]
fn what_would_be_issued_is_shown_with_its_claims() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    let token = upstream.token(&json!({}));
    let run = explain(&site, &[], &token).exits(0);
    says(&run, &["allow[0]", "allow[1]", "would be issued"]);
    assert!(!run.stdout.contains("REFUSED"), "{run:#?}");
    let start = run.stdout.find("\n{").unwrap();
    let claims: serde_json::Value = serde_json::from_str(&run.stdout[start..]).unwrap();
    assert_eq!(claims["iss"], "http://127.0.0.1:9");
    assert_eq!(claims["aud"], TARGET);
    assert_eq!(claims["project"], "acme/shop");
    assert_eq!(claims["ref"], "main");
    assert!(claims["exp"].as_u64().unwrap() <= now() + 300);
    assert!(claims.get("namespace_path").is_none(), "{claims}");
}

#[test]
fn a_refusal_names_the_step_and_goes_on_in_parentheses() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    let token = upstream.token(&json!({ "ref_protected": "false" }));
    let run = explain(&site, &["--audience", "https://other.example.com"], &token).exits(1);
    says(
        &run,
        &[
            "refused: condition_false",
            "ref_protected",
            "Lines in parentheses",
        ],
    );
    let lines: Vec<_> = run.stdout.lines().collect();
    let at = |word: &str| lines.iter().position(|line| line.starts_with(word));
    let step = |place: usize| lines[place].split_once("  ").unwrap().1;
    let refused = at("REFUSED").unwrap();
    assert!(step(refused).contains("allow[1]"), "{run:#?}");
    // Before it everything was well; behind it nothing counts any more, good or bad.
    assert!(lines[..refused].iter().all(|line| line.starts_with("ok ")));
    let end = lines.iter().position(|line| line.is_empty()).unwrap();
    let later = &lines[refused + 1..end];
    assert!(later.iter().all(|line| line.starts_with('(')), "{run:#?}");
    assert!(
        later.iter().any(|line| line.starts_with("(ok)")),
        "{run:#?}"
    );
    let other = later.iter().find(|line| line.contains("audience")).unwrap();
    assert!(other.starts_with("(no)"), "{run:#?}");
}

#[test]
fn each_kind_of_refusal_exits_1() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    let forged = upstream.token(&json!({}));
    let stranger = Upstream::start();
    let other_key = stranger.sign(&upstream.claims(now()));
    let cut = forged.rsplit_once('.').unwrap().0.to_owned();
    for (token, reason) in [
        (upstream.token(&json!({ "aud": "x" })), "audience_mismatch"),
        (
            upstream.token(&json!({ "exp": now() - 1 })),
            "token_expired",
        ),
        (
            upstream.token(&json!({ "namespace_path": "evil" })),
            "condition_false",
        ),
        (stranger.token(&json!({})), "issuer_unknown"),
        (other_key, "signature_invalid"),
        (cut, "token_malformed"),
        ("garbage-that-is-not-a-token".to_owned(), "token_malformed"),
        (String::new(), "token_malformed"),
    ] {
        let run = explain(&site, &[], &token).exits(1);
        says(&run, &[&format!("refused: {reason}"), "REFUSED"]);
        assert!(!run.stdout.contains("would be issued"), "{run:#?}");
    }
}

#[test]
fn at_sets_the_clock() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    // 2026-01-01T00:00:00Z, long past for the machine's clock.
    let token = upstream.token_at(1_767_225_600, &json!({}));
    says(&explain(&site, &[], &token).exits(1), &["token_expired"]);
    let then = ["--at", "2026-01-01T00:01:00Z"];
    let run = explain(&site, &then, &token).exits(0);
    says(
        &run,
        &[
            "\"iat\": 1767225660",
            "\"nbf\": 1767225655",
            "\"exp\": 1767225900",
        ],
    );
    let before = ["--at", "2025-12-31T23:50:00Z"];
    says(
        &explain(&site, &before, &token).exits(1),
        &["token_not_yet_valid"],
    );
    let after = ["--at", "2026-01-01T00:05:00Z"];
    says(&explain(&site, &after, &token).exits(1), &["token_expired"]);
}

#[test]
fn audience_and_connector_are_asked_for_as_in_a_request() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    let token = upstream.token(&json!({}));
    let vault = ["--audience", "https://vault.example.com"];
    let run = explain(&site, &vault, &token).exits(0);
    says(&run, &["\"aud\": \"https://vault.example.com\""]);
    let both = [&vault[..], &["--audience", TARGET]].concat();
    let run = explain(&site, &both, &token).exits(0);
    assert!(
        run.stdout
            .split_whitespace()
            .collect::<String>()
            .contains(r#""aud":["https://vault.example.com","https://sts.amazonaws.com"]"#)
    );
    let run = explain(&site, &["--audience", "https://evil.example"], &token).exits(1);
    says(&run, &["refused: target_refused"]);
    explain(&site, &["--connector", "gitlab"], &token).exits(0);
    let run = explain(&site, &["--connector", "none"], &token).exits(1);
    says(&run, &["refused: connector_unknown"]);
    let run = explain(&site, &["--scope", "deploy"], &token).exits(1);
    says(&run, &["refused: scope_refused"]);
}

#[test]
fn a_connector_of_another_issuer_is_a_mismatch() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let connectors = [connector("one", one.url()), connector("two", two.url())];
    let site = Site::new(&config("http://127.0.0.1:9", &connectors.concat()));
    let run = explain(&site, &["--connector", "two"], &one.token(&json!({}))).exits(1);
    says(&run, &["refused: issuer_mismatch"]);
}

#[test]
fn keys_that_cannot_be_had_exit_2() {
    let upstream = Upstream::start();
    let dead = dead_url();
    let site = Site::trusting(&dead);
    let token = upstream.token(&json!({ "iss": dead }));
    let run = explain(&site, &[], &token).exits(2);
    says(&run, &["refused: keys_unavailable", "REFUSED", "(ok)"]);
    // A later refusal does not hide that the keys were the first thing to fail.
    let token = upstream.token(&json!({ "iss": dead, "ref_protected": "false" }));
    says(&explain(&site, &[], &token).exits(2), &["(no)"]);
}

#[test]
fn nothing_on_standard_input_is_said() {
    let site = Site::new(&config("http://127.0.0.1:9", &connector("a", &dead_url())));
    let run = explain(&site, &[], " \n").exits(1);
    assert!(
        run.stderr.contains("there is no token on standard input"),
        "{run:#?}"
    );
}

#[test]
fn a_bad_config_exits_64_and_says_nothing_of_the_token() {
    let site = Site::trusting("ftp://x");
    let token = format!(
        "{}.{}.c2ln",
        encode("{\"alg\":\"ES256\"}"),
        encode("{\"iss\":\"x\"}")
    );
    let run = explain(&site, &[], &token).exits(64);
    assert_eq!(run.stdout, "");
    run.complains(&["error: site.toml:7:1: connectors[0].issuer"]);
}
