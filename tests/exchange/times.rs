//! Times, issuers and audiences of subject tokens (design §7).

use serde_json::json;

use crate::support::keys::RSA;
use crate::support::now;
use crate::support::server::{Server, Site};
use crate::support::tokens::{b64, compact};
use crate::{CI, job, job_with, signed};

fn server() -> Server {
    Site::new().connector("ci", "").start()
}

/// A job's token whose claim `name` is written as `number`.
fn written(name: &str, number: &str) -> String {
    let text = job_with(json!({ name: null })).to_string();
    let payload = format!("{},\"{name}\":{number}}}", text.strip_suffix('}').unwrap());
    compact(r#"{"alg":"RS256","kid":"k1"}"#, payload, &RSA, "RS256")
}

#[test]
fn exp_is_a_finite_number_and_there() {
    let server = server();
    let absent = server.refuses(&signed(&job_with(json!({"exp": null}))), "token_malformed");
    assert!(absent.contains("no claim `exp`"), "{absent}");
    for text in ["\"9999999999\"", "null", "[9999999999]", "{}", "true"] {
        let words = server.refuses(&written("exp", text), "token_malformed");
        assert!(words.contains("`exp` that is not a number"), "{words}");
    }
    for text in [
        "1e400",
        "-1e400",
        "1e99999",
        "0x99999999",
        "+9999999999",
        "09999999999",
    ] {
        let words = server.refuses(&written("exp", text), "token_malformed");
        assert!(words.contains("is not valid JSON"), "{words}");
    }
    let later = (now() + 600).to_string();
    for text in [
        format!("{later}.75"),
        format!("{later}.0"),
        format!("{later}0e-1"),
        "1e300".to_owned(),
        "18446744073709551615".to_owned(),
        "99999999999999999999999999".to_owned(),
    ] {
        let claims = server.claims(&written("exp", &text), &[]);
        assert!(claims["exp"].is_u64(), "{text}: {claims}");
    }
}

#[test]
fn nbf_and_iat_are_finite_numbers_where_they_are() {
    let server = server();
    for name in ["nbf", "iat"] {
        for text in ["\"1\"", "null", "[]", "false"] {
            let words = server.refuses(&written(name, text), "token_malformed");
            assert!(
                words.contains(&format!("`{name}` that is not a number")),
                "{words}"
            );
        }
        server.refuses(&written(name, "1e400"), "token_malformed");
        let absent = signed(&job_with(json!({ name: null })));
        assert_eq!(server.exchange(&absent, &[]).status, 200, "{name}");
        for text in ["-1", "0", "1.5", "1e3"] {
            assert_eq!(
                server.exchange(&written(name, text), &[]).status,
                200,
                "{name} {text}"
            );
        }
    }
}

#[test]
fn the_future_is_refused_beyond_the_leeway_only() {
    let server = server();
    for name in ["nbf", "iat"] {
        let within = signed(&job_with(json!({ name: now() + 30 })));
        assert_eq!(server.exchange(&within, &[]).status, 200, "{name}");
        for beyond in [now() + 120, now() + 999_999] {
            let token = signed(&job_with(json!({ name: beyond, "exp": beyond + 600 })));
            let words = server.refuses(&token, "token_not_yet_valid");
            assert!(words.contains(&format!("`{name}`")), "{words}");
        }
        server.refuses(&written(name, "1e300"), "token_not_yet_valid");
    }
}

#[test]
fn the_leeway_is_configured_and_may_be_none() {
    let server = Site::new()
        .tables("[tokens]\nleeway = \"0s\"")
        .connector("ci", "")
        .start();
    let token = signed(&job_with(json!({"iat": now() + 30})));
    server.refuses(&token, "token_not_yet_valid");
    let server = Site::new()
        .tables("[tokens]\nleeway = \"5m\"")
        .connector("ci", "")
        .start();
    assert_eq!(server.exchange(&token, &[]).status, 200);
}

#[test]
fn an_expired_token_has_no_leeway() {
    let server = server();
    for exp in [now() - 1, now() - 30, now() - 4_000, 0, 1] {
        let token = signed(&job_with(json!({"exp": exp})));
        let words = server.refuses(&token, "token_expired");
        assert!(words.contains("expired"), "{words}");
    }
    for text in ["-1", "-1e300", "0.5"] {
        server.refuses(&written("exp", text), "token_expired");
    }
}

#[test]
fn a_token_that_may_be_outlived_is_accepted_within_the_leeway() {
    let server = Site::new()
        .connector("ci", "outlive_subject_token = true\nlifetime = \"10m\"")
        .start();
    let token = |exp: u64| signed(&job_with(json!({ "exp": exp })));
    for exp in [now() - 20, now() + 20] {
        let claims = server.claims(&token(exp), &[]);
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert_eq!(life, 600);
    }
    server.refuses(&token(now() - 120), "token_expired");
}

#[test]
fn iss_is_compared_byte_for_byte() {
    let server = server();
    for iss in [
        json!("https://ci.example/"),
        json!("https://CI.example"),
        json!("HTTPS://ci.example"),
        json!("https://ci.example:443"),
        json!(" https://ci.example"),
        json!("https://ci.example\u{0}"),
        json!("ci.example"),
        json!(""),
        json!(null),
        json!(1),
        json!([CI]),
        json!({"iss": CI}),
    ] {
        let words = server.refuses(&signed(&job_with(json!({ "iss": iss }))), "issuer_unknown");
        assert!(words.contains("its issuer is not known here"), "{words}");
        assert!(!words.contains("example"), "{words}");
    }
}

#[test]
fn aud_is_a_string_or_a_list_that_holds_an_accepted_one() {
    let server = server();
    let own = "https://sts.example.com";
    for aud in [json!(own), json!([own]), json!(["x", own, "y"])] {
        let token = signed(&job_with(json!({ "aud": aud })));
        assert_eq!(server.claims(&token, &[])["aud"], own);
    }
    for aud in [
        json!("https://sts.example.com/"),
        json!("https://sts.amazonaws.com"),
        json!(["a", "b"]),
        json!([]),
        json!([own, 1]),
        json!({"aud": own}),
        json!(7),
        json!(""),
    ] {
        let token = signed(&job_with(json!({ "aud": aud })));
        let words = server.refuses(&token, "audience_mismatch");
        assert!(
            words.contains("expected is https://sts.example.com"),
            "{words}"
        );
    }
    let words = server.refuses(
        &signed(&job_with(json!({"aud": null}))),
        "audience_mismatch",
    );
    assert!(words.contains("a token without a usable aud"), "{words}");
}

#[test]
fn any_audience_still_needs_one() {
    let server = Site::new().connector("ci", "audiences = [\"*\"]").start();
    let token = signed(&job_with(json!({"aud": ["b", "a", "b"]})));
    assert_eq!(server.claims(&token, &[])["aud"], json!(["b", "a"]));
    for aud in [json!(null), json!([]), json!([1])] {
        server.refuses(
            &signed(&job_with(json!({ "aud": aud }))),
            "audience_mismatch",
        );
    }
}

#[test]
fn what_is_said_before_the_signature_is_checked_stays_general() {
    let server = server();
    let unsigned = |claims: &serde_json::Value| {
        let header = b64(r#"{"alg":"RS256","kid":"k1"}"#);
        format!(
            "{header}.{}.{}",
            b64(claims.to_string()),
            b64("no signature")
        )
    };
    let words = server.refuses(&unsigned(&job()), "signature_invalid");
    assert_eq!(
        words,
        "the token was not accepted: its signature is not that of its issuer"
    );
    for (changes, reason) in [
        (
            json!({"iss": "https://secret-project.example"}),
            "issuer_unknown",
        ),
        (json!({"exp": 17}), "token_expired"),
        (json!({"aud": "elsewhere"}), "signature_invalid"),
    ] {
        let words = server.refuses(&unsigned(&job_with(changes)), reason);
        assert!(
            !words.contains("secret") && !words.contains("17"),
            "{words}"
        );
        let reply = server.exchange(&unsigned(&job()), &[]);
        assert!(server.audit(&reply)["subject_sub"].is_null());
    }
}
