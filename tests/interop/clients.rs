//! OAuth client libraries that others wrote get tokens from nothing but the issuer's URL.

use std::process::Command;

use serde_json::{Value, json};

use crate::bench::site::TARGET;
use crate::bench::upstream::{Upstream, part};
use crate::verifiers::{Public, ask, installed};

/// Bytes that a form encodes, so that it shows who encodes what in Basic; all ASCII, since Authlib sends others as Latin-1.
const SECRET: &str = "p%w+d /:&=?";

fn authlib() -> Command {
    let mut command = Command::new(installed().join("venv/bin/python"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/client.py");
    command.arg(script);
    command
}

fn openid_client() -> Command {
    let mut command = Command::new("node");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/client.mjs");
    command.arg(script).arg(installed());
    command
}

/// `remint` at an issuer with this path, with a client that may use both grants.
fn start(upstream: &Upstream, path: &str) -> Public {
    let client = format!(
        "[[clients]]\nid = \"my-app\"\nname = \"My App\"\nsecret = \"{SECRET}\"\n\
         grants = [\"token-exchange\", \"client_credentials\"]\n"
    );
    Public::start_with(upstream.url(), path, &client)
}

#[track_caller]
fn check(replies: &Value, count: usize, issuer: &str, subject: &Value) {
    let replies = replies.as_array().unwrap();
    assert_eq!(replies.len(), count);
    let claims = |reply: &Value, name: &str| part(reply[name].as_str().unwrap(), 1);
    for reply in replies {
        let (own, traded) = (&reply["own"], &reply["traded"]);
        let access = claims(own, "access_token");
        let id = claims(own, "id_token");
        for claims in [&access, &id] {
            assert_eq!(claims["sub"], "my-app");
            assert_eq!(claims["aud"], "my-app");
            assert_eq!(claims["name"], "My App");
        }
        assert_eq!(own.get("refresh_token"), None);
        let new = claims(traded, "access_token");
        assert_eq!(
            (&new["aud"], &new["sub"]),
            (&json!(TARGET), &subject["sub"])
        );
        for claims in [&access, &id, &new] {
            assert_eq!(claims["iss"], issuer);
        }
        let kind = traded["token_type"].as_str().unwrap();
        assert!(kind.eq_ignore_ascii_case("bearer"), "{kind}");
    }
}

#[test]
fn authlib_and_openid_client_get_tokens_by_both_grants() {
    let upstream = Upstream::start();
    for path in ["", "/sts"] {
        let remint = start(&upstream, path);
        let token = upstream.token(&json!({}));
        let question = json!({
            "issuer": remint.issuer, "client_id": "my-app", "client_secret": SECRET,
            "subject_token": token, "audience": TARGET,
        });
        let subject = part(&token, 1);
        check(&ask(authlib(), &question), 2, &remint.issuer, &subject);
        check(
            &ask(openid_client(), &question),
            4,
            &remint.issuer,
            &subject,
        );
        remint.process.stop();
    }
}
