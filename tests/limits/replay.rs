//! Tokens that can be used once, remembered by one process.

use std::process::Command;

use serde_json::json;

use crate::support::keys::P256;
use crate::support::server::{JWT, Server, Site};
use crate::support::tokens::{b64, seal};
use crate::support::{now, shapes};
use crate::{CI, at_once, exchange, job, metric};

const TARGETS: &str = "targets = [\"a\", \"b\", \"c\"]\nactors = [\"true\"]\n";

fn site() -> Site {
    Site::new().env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
}

fn once() -> Server {
    let lines = format!("{TARGETS}replay = \"once\"");
    site().connector("ci", &lines).start()
}

fn named(jti: &str) -> String {
    job(json!({ "jti": jti }))
}

fn issued(server: &Server, token: &str, further: &[(&str, &str)]) {
    let reply = server.exchange(token, further);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(server.audit(&reply)["replay"], "recorded");
}

fn replayed(server: &Server, token: &str, further: &[(&str, &str)]) {
    let reply = server.exchange(token, further);
    let (status, error, reason) = reply.refusal();
    let found = (status, error.as_str(), reason.as_str());
    assert_eq!(
        found,
        (400, "invalid_request", "replayed"),
        "{}",
        reply.text()
    );
    let event = server.audit(&reply);
    assert_eq!(event["outcome"], "refused", "{event}");
    assert!(event["jti"].is_null(), "{event}");
}

#[test]
fn a_token_can_be_used_once_in_whichever_form() {
    let server = once();
    issued(&server, &named("1"), &[]);
    let words = server.refuses(&named("1"), "replayed");
    assert!(words.contains("was used before"), "{words}");
    issued(&server, &named("2"), &[]);
    // It is the `jti` that counts, not what stands around it.
    let same = job(json!({"jti": "1", "ref": "other", "exp": now() + 100}));
    replayed(&server, &same, &[("audience", "b")]);
    assert_eq!(metric(&server, "remint_replay_entries"), 2);
    assert_eq!(metric(&server, "remint_replay_store_failures_total"), 0);
}

#[test]
fn a_refused_request_does_not_use_the_token_up() {
    let server = once();
    let token = named("1");
    for further in [
        [("audience", "elsewhere")],
        [("scope", "unknown")],
        [("requested_token_type", "unknown")],
    ] {
        assert_eq!(server.exchange(&token, &further).status, 400);
    }
    let bad = format!(
        "{}AAAA",
        named("1").rsplit_once('.').unwrap().0.to_owned() + "."
    );
    server.refuses(&bad, "signature_invalid");
    let (code, report) = server.explain(&[], &token);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.contains("replay: the server would record"),
        "{report}"
    );
    issued(&server, &token, &[]);
    replayed(&server, &token, &[]);
}

#[test]
fn without_a_jti_the_signing_input_counts() {
    let server = once();
    for (jti, ident) in [(json!(null), "1"), (json!(""), "2"), (json!(7), "3")] {
        let changes = json!({ "jti": jti, "ident": ident });
        let claims = shapes::with(shapes::gitlab(CI), changes);
        let header = json!({"alg": "ES256", "kid": "e1"}).to_string();
        let input = format!("{}.{}", b64(header), b64(claims.to_string()));
        let [one, other] = [(); 2].map(|()| seal(&input, &P256, "ES256"));
        assert_ne!(one, other, "two signatures of one content");
        issued(&server, &one, &[]);
        replayed(&server, &one, &[]);
        replayed(&server, &other, &[]);
    }
}

#[test]
fn a_jti_belongs_to_its_issuer_and_off_is_off() {
    let server = site()
        .connector("ci", "replay = \"once\"")
        .connector("other", "replay = \"once\"")
        .connector("off", "")
        .start();
    let of = |issuer: &str| job(json!({"jti": "1", "iss": issuer}));
    for issuer in [CI, "https://other.example"] {
        issued(&server, &of(issuer), &[]);
        replayed(&server, &of(issuer), &[]);
    }
    for _ in 0..3 {
        let reply = server.exchange(&of("https://off.example"), &[]);
        assert_eq!(reply.status, 200);
        assert!(server.audit(&reply)["replay"].is_null());
    }
}

#[test]
fn once_per_audience_records_each_and_all_or_none() {
    let lines = format!("{TARGETS}replay = \"once_per_audience\"");
    let server = site().connector("ci", &lines).start();
    let token = named("1");
    issued(&server, &token, &[("audience", "a")]);
    replayed(&server, &token, &[("audience", "a")]);
    // The first target is the default.
    replayed(&server, &token, &[]);
    replayed(
        &server,
        &token,
        &[("audience", "b"), ("audience", "a"), ("audience", "c")],
    );
    // So neither of the others was recorded.
    issued(
        &server,
        &token,
        &[("audience", "b"), ("audience", "c"), ("audience", "b")],
    );
    replayed(&server, &token, &[("audience", "c")]);
    assert_eq!(metric(&server, "remint_replay_entries"), 3);
}

#[test]
fn an_actor_token_goes_by_its_own_connector() {
    let server = site()
        .connector("ci", &format!("{TARGETS}replay = \"once\""))
        .connector("robots", "replay = \"once\"")
        .start();
    let robot = |jti: &str| job(json!({"jti": jti, "iss": "https://robots.example"}));
    let by = |robot: &str| {
        [
            ("actor_token", robot.to_owned()),
            ("actor_token_type", JWT.to_owned()),
        ]
    };
    let exchange = |subject: &str, actor: &str, reason: Option<&str>| {
        let by = by(actor);
        let by: Vec<_> = by
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        match reason {
            None => issued(&server, subject, &by),
            Some(_) => replayed(&server, subject, &by),
        }
    };
    exchange(&named("1"), &robot("1"), None);
    exchange(&named("2"), &robot("1"), Some("replayed"));
    exchange(&named("1"), &robot("2"), Some("replayed"));
    // Neither of the refused requests used up the token that was fresh.
    exchange(&named("2"), &robot("2"), None);
    // One token in both places is one use.
    exchange(&named("3"), &named("3"), None);
    replayed(&server, &named("3"), &[]);
}

#[test]
fn a_full_memory_refuses_and_forgets_nothing() {
    let server = site()
        .keys("\n[replay]\nmemory_entries = 1\non_store_failure = \"allow\"")
        .connector("ci", "replay = \"once\"")
        .start();
    issued(&server, &named("1"), &[]);
    for _ in 0..2 {
        let reply = server.exchange(&named("2"), &[]);
        let (status, error, reason) = reply.refusal();
        let found = (status, error.as_str(), reason.as_str());
        assert_eq!(
            found,
            (503, "temporarily_unavailable", "replay_store_unavailable")
        );
        let event = server.audit(&reply);
        assert_eq!(event["outcome"], "error", "{event}");
        let detail = event["detail"].as_str().unwrap();
        assert!(detail.contains("replay.memory_entries"), "{detail}");
    }
    replayed(&server, &named("1"), &[]);
}

#[test]
fn of_many_at_once_exactly_one_wins() {
    let server = once();
    for jti in ["1", "2", "3"] {
        let token = named(jti);
        let replies = at_once(32, |_| exchange(&server, &[], &token));
        let won = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(won, 1);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            assert_eq!(reply.refusal().2, "replayed");
        }
    }
}

#[test]
fn a_reload_forgets_no_used_token() {
    let server = site()
        .keys("\n[replay]\nmemory_entries = 5")
        .connector("ci", "replay = \"once\"")
        .start();
    issued(&server, &named("1"), &[]);
    let file = server.path().join("site.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let changed = config.replace("memory_entries = 5", "memory_entries = 6");
    assert_ne!(changed, config);
    std::fs::write(&file, changed).unwrap();
    let hang_up = Command::new("kill")
        .args(["-HUP", &server.id().to_string()])
        .status()
        .unwrap();
    assert!(hang_up.success());
    server.logged("the reload", |line| {
        (line["message"] == "the configuration was reloaded").then_some(())
    });
    replayed(&server, &named("1"), &[]);
    issued(&server, &named("2"), &[]);
    assert_eq!(metric(&server, "remint_replay_entries"), 2);
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_store_that_is_not_compiled_in_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/jwks.example.json");
    let config = format!(
        "issuer = \"https://a.example\"\n[keys]\nfile = {keys:?}\n[replay]\nstore = \"redis://:hush-hush@127.0.0.1:6379\"\n[[connectors]]\nid = \"ci\"\nissuer = \"{CI}\"\naudiences = [\"a\"]\nallow = [\"true\"]\n"
    );
    let file = folder.path().join("site.toml");
    std::fs::write(&file, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_remint"))
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        text.contains("replay.store") && text.contains("--features redis"),
        "{text}"
    );
    assert!(!text.contains("hush-hush"), "{text}");
}
