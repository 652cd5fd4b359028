//! `PyJWT`, jwcrypto and jose, from nothing but the issuer's URL.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bench::http::{Reply, connect, get, read_reply};
use crate::bench::process::{Finished, Running};
use crate::bench::site::{Site, TARGET, config, connector};
use crate::bench::upstream::{Upstream, free_url, part};

const VAULT: &str = "https://vault.example.com";

/// Where `setup.sh` has installed the verifiers.
pub(crate) fn installed() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = root.join("target/interop");
    for pins in ["requirements.txt", "package.json", "package-lock.json"] {
        let wanted = fs::read(root.join("tests/interop").join(pins)).unwrap();
        let found = fs::read(out.join(pins)).unwrap_or_default();
        assert!(
            wanted == found,
            "the verifiers are not installed, or not these: run tests/interop/setup.sh"
        );
    }
    out
}

/// What a verifier makes of `question`: the claims of each token.
pub(crate) fn ask(mut verifier: Command, question: &Value) -> Value {
    verifier
        .env("no_proxy", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = verifier.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A verifier that ends before it reads says why on its standard error.
    let _ = stdin.write_all(question.to_string().as_bytes());
    drop(stdin);
    let run = Finished::from(child.wait_with_output().unwrap()).exits(0);
    serde_json::from_str(&run.stdout).unwrap()
}

fn python() -> Command {
    let mut command = Command::new(installed().join("venv/bin/python"));
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/interop/verify.py"
    ));
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/verify.mjs");
    command.arg(script).arg(installed());
    command
}

/// A Remint that verifiers reach under its own issuer.
pub(crate) struct Public {
    pub(crate) process: Running,
    origin: String,
    pub(crate) issuer: String,
}

impl Public {
    fn start(upstream: &str, path: &str) -> Self {
        Self::start_with(upstream, path, "")
    }

    /// With further tables of the configuration.
    pub(crate) fn start_with(upstream: &str, path: &str, tables: &str) -> Self {
        let origin = free_url();
        let issuer = format!("{origin}{path}");
        let address = origin.strip_prefix("http://").unwrap();
        let text = config(
            &issuer,
            &format!("{}{tables}", connector("gitlab", upstream)),
        );
        let process = Site::new(&text.replace("127.0.0.1:0", address)).serve();
        process.origin();
        Self {
            process,
            origin,
            issuer,
        }
    }

    fn post(&self, kind: &str, body: &str) -> Reply {
        let path = self
            .issuer
            .strip_prefix(&self.origin)
            .unwrap()
            .trim_end_matches('/');
        let mut stream = connect(&self.origin);
        let length = body.len();
        write!(stream, "POST {path}/token HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        read_reply(&mut stream)
    }

    /// A new token of this algorithm, by the simple exchange.
    fn simple(&self, token: &str, alg: &str) -> String {
        let body = json!({ "token": token, "alg": alg }).to_string();
        let reply = self.post("application/json", &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(part(&reply.body, 0)["alg"], alg);
        reply.body
    }

    /// A new token for two audiences, by RFC 8693.
    fn exchange(&self, token: &str) -> String {
        let body = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
             &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience={VAULT}&audience={TARGET}"
        );
        let reply = self.post("application/x-www-form-urlencoded", &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }
}

#[test]
fn every_verifier_accepts_what_is_issued_and_refuses_what_is_not() {
    let (ec, rsa) = (Upstream::start(), Upstream::start_rsa());
    for (upstream, path) in [(&ec, ""), (&rsa, "/sts"), (&ec, "/"), (&ec, "/a/b/")] {
        let remint = Public::start(upstream.url(), path);
        let tokens: Vec<String> = [
            remint.simple(&upstream.token(&json!({})), "RS256"),
            remint.simple(&upstream.token(&json!({})), "ES256"),
            remint.exchange(&upstream.token(&json!({}))),
            // The times of a new token are whole, whatever those of the subject are.
            remint.exchange(&upstream.token(&json!({
                "exp": f64::from(u32::try_from(crate::bench::upstream::now()).unwrap()) + 200.5,
                "iat": f64::from(u32::try_from(crate::bench::upstream::now()).unwrap()) - 0.25,
                "sub": "ünï/cødé: 字 \"quoted\" \\ and longer than a line of text usually is",
            }))),
        ]
        .into();
        let claims: Vec<Value> = tokens.iter().map(|token| part(token, 1)).collect();
        assert_eq!(claims[0]["aud"], TARGET);
        assert_eq!(claims[2]["aud"], json!([VAULT, TARGET]));
        let question = json!({ "issuer": remint.issuer, "audience": TARGET, "tokens": tokens });
        let claims = Value::from(claims);
        assert_eq!(ask(python(), &question), claims, "{path}");
        assert_eq!(ask(node(), &question), claims, "{path}");
        remint.process.stop();
    }
}

#[test]
fn a_verifier_fails_where_something_is_wrong() {
    let upstream = Upstream::start();
    let remint = Public::start(upstream.url(), "");
    // A token of another issuer, and an issuer with a slash more.
    let foreign = upstream.token(&json!({ "aud": TARGET }));
    let own = remint.simple(&upstream.token(&json!({})), "RS256");
    let slash = format!("{}/", remint.issuer);
    for (issuer, token) in [(&remint.issuer, &foreign), (&slash, &own)] {
        for mut verifier in [python(), node()] {
            let question = json!({ "issuer": issuer, "audience": TARGET, "tokens": [token] });
            verifier.env("no_proxy", "*").stdin(Stdio::piped());
            let mut child = verifier
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(question.to_string().as_bytes()).unwrap();
            drop(stdin);
            assert!(!child.wait().unwrap().success(), "{question}");
        }
    }
    remint.process.stop();
}

#[test]
fn behind_a_tls_front_the_issuer_is_what_is_configured() {
    let upstream = Upstream::start();
    let issuer = "https://sts.example.com/ci";
    let text = config(issuer, &connector("gitlab", upstream.url()));
    let remint = Site::new(&text).serve();
    let origin = remint.origin();
    for path in [
        "/ci/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/ci",
    ] {
        let metadata = get(&origin, path).json();
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(
            metadata["jwks_uri"],
            format!("{issuer}/.well-known/jwks.json")
        );
        assert_eq!(metadata["token_endpoint"], format!("{issuer}/token"));
        let algs = &metadata["id_token_signing_alg_values_supported"];
        assert_eq!(*algs, json!(["RS256", "ES256"]));
    }
    remint.stop();
}
