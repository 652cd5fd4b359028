//! What operators see: audit events that nothing silences, and no secret at any level.

use serde_json::{Value, json};

use crate::bench::http::{exchange, get, post};
use crate::bench::process::Running;
use crate::bench::site::{Site, TARGET, keys, private_members, set_mode};
use crate::bench::upstream::{Upstream, free_url, now, part};

/// The first audit event of the request with this id.
fn audit(remint: &Running, request_id: &str) -> Value {
    remint.stderr.wait("audit", |text| {
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["target"] == "audit" && event["request_id"] == request_id)
    })
}

#[test]
fn every_json_line_parses_and_audit_has_its_fields() {
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    // What is said before it listens is a line like the others.
    set_mode(&site.folder().join("jwks.json"), 0o644);
    let remint = site.serve_with(&["--log-format", "json"], &[]);
    let origin = remint.origin();
    let warning = remint.stderr.line("everybody on this machine");
    assert!(warning.contains("\"path\":\"keys.file\""), "{warning}");

    let reply = exchange(&origin, &upstream.token(&json!({ "jti": "job-7" })));
    let event = audit(&remint, reply.header("x-request-id").unwrap());
    let (header, claims) = (part(&reply.body, 0), part(&reply.body, 1));
    for (name, value) in [
        ("outcome", json!("issued")),
        ("grant", json!("simple")),
        ("connector", json!("gitlab")),
        ("subject_iss", json!(upstream.url())),
        (
            "subject_sub",
            json!("project_path:acme/shop:ref_type:branch:ref:main"),
        ),
        ("subject_jti", json!("job-7")),
        ("aud", json!(TARGET)),
        ("jti", claims["jti"].clone()),
        ("kid", header["kid"].clone()),
        ("alg", header["alg"].clone()),
        ("exp", claims["exp"].clone()),
    ] {
        assert_eq!(event[name], value, "{name} of {event}");
    }
    assert!(event["remote"].as_str().unwrap().starts_with("127.0.0.1"));
    assert!(event["duration_us"].is_u64(), "{event}");
    assert!(event.get("reason").is_none(), "{event}");

    let refused = upstream.token(&json!({ "ref_protected": "false" }));
    let reply = exchange(&origin, &refused);
    let event = audit(&remint, reply.header("x-request-id").unwrap());
    assert_eq!(event["outcome"], "refused");
    assert_eq!(event["reason"], "condition_false");
    assert_eq!(
        event["subject_jti"].as_str().map(|jti| &jti[..4]),
        Some("job-")
    );

    // Nothing of an unverified token is taken for its subject.
    let stranger = Upstream::start();
    let reply = exchange(&origin, &stranger.sign(&upstream.claims(now())));
    let event = audit(&remint, reply.header("x-request-id").unwrap());
    assert_eq!(event["reason"], "signature_invalid");
    assert!(event.get("subject_sub").is_none(), "{event}");

    let run = remint.stop();
    for line in run.stderr.lines() {
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            event["timestamp"].is_string() && event["level"].is_string(),
            "{line}"
        );
    }
    let audits = run.stderr.matches("\"target\":\"audit\"").count();
    assert_eq!(audits, 3, "{run:#?}");
    assert_eq!(run.stdout, "");
}

#[test]
fn rust_log_does_not_silence_audit() {
    let upstream = Upstream::start();
    for filter in ["off", "error", "audit=off", "remint=off,audit=error"] {
        let site = Site::trusting(upstream.url());
        // Nothing says where it listens when all else is off, so the port is chosen here.
        let origin = free_url();
        let text = site.read("site.toml");
        let address = origin.strip_prefix("http://").unwrap();
        site.write("site.toml", &text.replace("127.0.0.1:0", address));
        let environment = [("RUST_LOG", filter)];
        let remint = site.serve_with(&["--log-format", "json"], &environment);
        wait_for(&origin);
        let reply = exchange(&origin, &upstream.token(&json!({})));
        let event = audit(&remint, reply.header("x-request-id").unwrap());
        assert_eq!(event["outcome"], "issued", "{filter}");
        let run = remint.stop();
        let lines: Vec<_> = run.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{filter}: {lines:#?}");
    }
}

/// Waits until something listens at `origin`.
pub(crate) fn wait_for(origin: &str) {
    let address = origin.strip_prefix("http://").unwrap();
    for _ in 0..1000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nothing listens at {origin}");
}

#[test]
fn no_level_of_logging_shows_a_token_or_a_private_key() {
    let upstream = Upstream::start_rsa();
    for format in ["text", "json"] {
        let site = Site::trusting(upstream.url());
        let environment = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];
        let remint = site.serve_with(&["--log-format", format], &environment);
        let origin = remint.origin();
        let mut tokens = Vec::new();
        let mut bodies = String::new();
        for changes in [
            json!({}),
            json!({ "ref_protected": "false" }),
            json!({ "aud": "x" }),
            json!({ "iss": "https://unknown.example.com" }),
            json!({ "exp": 1 }),
        ] {
            let token = upstream.token(&changes);
            let form = format!(
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:jwt"
            );
            let form_type = "application/x-www-form-urlencoded";
            let simple = exchange(&origin, &token);
            let formed = post(&origin, form_type, &form);
            // The forms in which a token comes with something wrong around it.
            let bare = post(
                &origin,
                "application/json",
                &format!("{{\"token\": {token}}}"),
            );
            let twice = post(&origin, form_type, &format!("{form}&{form}"));
            assert_eq!((bare.status, twice.status), (415, 400));
            if simple.status == 200 {
                tokens.push(simple.body);
                tokens.push(formed.json()["access_token"].as_str().unwrap().to_owned());
            } else {
                bodies.extend([simple.body, formed.body]);
            }
            bodies.extend([bare.body, twice.body]);
            tokens.push(token);
        }
        assert_eq!(tokens.len(), 7);
        for path in [
            "/.well-known/jwks.json",
            "/keys",
            "/.well-known/openid-configuration",
            "/healthz",
        ] {
            bodies.push_str(&get(&origin, path).body);
        }
        let run = remint.stop();
        assert!(run.stderr.contains("TRACE"), "{}", run.stderr);
        let said = [run.stdout, run.stderr, bodies].concat();
        for token in &tokens {
            let signed = token.split('.').skip(1);
            for part in signed {
                assert!(!said.contains(part), "{part} of a token was shown");
            }
        }
        for (name, value) in private_members(keys()) {
            assert!(!said.contains(&value), "{name} of a key was shown");
        }
    }
}
