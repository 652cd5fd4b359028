//! How old a subject token may be, and how long it may live.

use serde_json::json;

use crate::support::now;
use crate::support::server::Site;
use crate::{exchange, job};

#[test]
fn a_token_that_is_too_old_is_refused_without_leeway() {
    let server = Site::new()
        .connector("ci", "max_token_age = \"5m\"")
        .start();
    for (age, taken) in [
        (0, true),
        (270, true),
        (302, false),
        (330, false),
        (4000, false),
    ] {
        let token = job(json!({"iat": now() - age, "exp": now() + 600}));
        if taken {
            assert_eq!(exchange(&server, &[], &token).status, 200, "{age}");
        } else {
            let words = server.refuses(&token, "token_too_old");
            assert!(words.contains("`max_token_age` is 300 s"), "{words}");
        }
    }
    let ahead = job(json!({"iat": now() + 30}));
    assert_eq!(exchange(&server, &[], &ahead).status, 200);
    let words = server.refuses(&job(json!({"iat": null})), "token_too_old");
    assert!(words.contains("has no `iat`"), "{words}");
}

#[test]
fn a_token_that_lives_too_long_is_refused() {
    let lines = "max_subject_lifetime = \"10m\"";
    let server = Site::new().connector("ci", lines).start();
    let iat = now() - 30;
    let living = |seconds: u64| job(json!({"iat": iat, "exp": iat + seconds}));
    assert_eq!(exchange(&server, &[], &living(600)).status, 200);
    for seconds in [601, 86_400] {
        let words = server.refuses(&living(seconds), "token_lives_too_long");
        assert!(words.contains("`max_subject_lifetime` is 600 s"), "{words}");
    }
    let words = server.refuses(&job(json!({"iat": null})), "token_lives_too_long");
    assert!(words.contains("has no `iat`"), "{words}");
}

#[test]
fn ages_come_after_nbf_and_before_aud_and_explain_shows_them() {
    let lines = "max_token_age = \"5m\"\nmax_subject_lifetime = \"10m\"";
    let server = Site::new().connector("ci", lines).start();
    let far = now() + 4000;
    let both = json!({"iat": now() - 400, "exp": far, "nbf": far, "aud": "elsewhere"});
    server.refuses(&job(both), "token_not_yet_valid");
    let old = job(json!({"iat": now() - 400, "exp": far, "aud": "elsewhere"}));
    server.refuses(&old, "token_too_old");
    let long = job(json!({"iat": now(), "exp": far, "aud": "elsewhere"}));
    server.refuses(&long, "token_lives_too_long");
    let (code, report) = server.explain(&[], &old);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("REFUSED  max_token_age: "), "{report}");
    assert!(
        report.contains("(no)     max_subject_lifetime: "),
        "{report}"
    );
    let (code, report) = server.explain(&[], &job(json!({"iat": now(), "exp": now() + 60})));
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("max_token_age: "), "{report}");
}
