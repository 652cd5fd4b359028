//! The commands that ask an issuer as the server does.

use std::process::Command;

use serde_json::Value;

use crate::support::issuer::{Answer, nobody};
use crate::support::server::Server;
use crate::{TOKEN, USERINFO, ada, answers, issuer, site};

#[test]
fn explain_asks_the_issuer_about_an_opaque_token() {
    let issuer = issuer();
    let server = site(&issuer, "").start();
    let explain = |args: &[&str]| {
        let (code, text) = server.explain(args, TOKEN);
        assert!(!text.contains(TOKEN), "{text}");
        (code, text)
    };
    let (code, text) = explain(&["--connector", "idp"]);
    assert_eq!(code, Some(0), "{text}");
    for words in [
        "ok       token: is not a JWT",
        "ok       userinfo: ",
        "ok       aud: an opaque token of unknown aud is accepted",
        "\"sub\": \"ada\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    answers(&issuer, &serde_json::json!({"sub": "eve", "groups": []}));
    let (code, text) = explain(&["--connector", "idp"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("refused: condition_false"), "{text}");
    for (answer, code, words) in [
        (Answer::Status(401), 1, "refused: userinfo_refused"),
        (Answer::Status(500), 2, "refused: userinfo_unavailable"),
        (Answer::Document(ada().to_string()), 0, "would be issued"),
    ] {
        issuer.set(USERINFO, answer);
        let (found, text) = explain(&["--connector", "idp"]);
        assert_eq!(found, Some(code), "{text}");
        assert!(text.contains(words), "{text}");
    }
    let (code, text) = explain(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("needs `connector_id`"), "{text}");
}

/// What `check --online` finds about the connector.
fn online(server: &Server) -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_remint"))
        .args(["check", "--online", "--format", "json", "--config"])
        .arg(server.path().join("site.toml"))
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = ["errors", "warnings", "notes"]
        .into_iter()
        .flat_map(|kind| {
            let found = report[kind].as_array().unwrap().clone();
            found.into_iter().map(move |one| (kind.to_owned(), one))
        });
    all.filter(|(_, one)| one["path"] == "connectors[0]")
        .map(|(kind, one)| (kind, one["message"].as_str().unwrap().to_owned()))
        .filter(|(_, message)| message.contains("userinfo"))
        .collect()
}

#[test]
fn check_online_looks_at_the_userinfo_endpoint() {
    let issuer = issuer();
    let server = site(&issuer, "").issuer(&nobody()).start();
    for (answer, kind, words) in [
        (Answer::Status(401), "notes", "(401), as it should"),
        (Answer::Document(ada().to_string()), "errors", "answers 200"),
        (Answer::Status(404), "errors", "answers 404"),
        (Answer::Close, "errors", "cannot be asked"),
    ] {
        issuer.set(USERINFO, answer);
        let found = online(&server);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, kind, "{found:?}");
        assert!(found[0].1.contains(words), "{found:?}");
    }
    assert!(
        issuer
            .heads(USERINFO)
            .iter()
            .all(|head| !head.to_lowercase().contains("authorization"))
    );
    let lines = format!("userinfo_uri = \"{}/userinfo\"", nobody());
    let found = online(&site(&issuer, &lines).issuer(&nobody()).start());
    assert_eq!(found[0].0, "errors", "{found:?}");
}
