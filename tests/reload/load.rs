//! Reloads under load: no request fails, and none sees two configurations.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::support::server::{EXCHANGE, JWT, Site};
use super::support::{tokens, until};
use super::world::{World, job, make_keys};

const RELOADS: usize = 100;

/// How many requests each client makes at least, however fast the reloads are.
const REQUESTS: usize = 50;

/// One of two configurations; everything in it names its letter.
fn configuration(letter: &str) -> String {
    format!(
        r#"issuer = "https://{letter}.example"
[server]
listen = ["127.0.0.1:0"]
[keys]
file = "keys-{letter}.json"
[[connectors]]
id = "ci"
issuer = "https://ci.example"
jwks_file = "ci.json"
audiences = ["https://sts.example.com"]
allow = ["true"]
alg = "ES256"
targets = ["https://target-{letter}.example"]
subject_prefix = "{letter}:"
[connectors.claims]
letter = "'{letter}'"
"#
    )
}

/// The letter of the configuration that made a token, which must have made all of it.
fn letter(token: &str, jwks: &Value) -> String {
    let (header, claims) = tokens::read(token, jwks);
    let letter = claims["letter"].as_str().unwrap().to_owned();
    assert_eq!(header["kid"], letter.as_str());
    assert_eq!(claims["iss"], format!("https://{letter}.example"));
    assert_eq!(claims["aud"], format!("https://target-{letter}.example"));
    let sub = claims["sub"].as_str().unwrap();
    assert!(sub.starts_with(&format!("{letter}:")), "{sub}");
    letter
}

async fn text(mut reply: Response) -> String {
    let mut body = Vec::new();
    while let Some(part) = reply.chunk().await.unwrap() {
        body.extend(part);
    }
    String::from_utf8(body).unwrap()
}

struct Caller {
    client: Client,
    origin: String,
    token: String,
    jwks: Value,
}

impl Caller {
    /// One exchange and one look at the public documents.
    async fn call(&self) -> String {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", &self.token),
            ("subject_token_type", JWT),
        ];
        let body = {
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.extend_pairs(form);
            body.finish()
        };
        let request = self.client.post(format!("{}/token", self.origin));
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let reply = request.send().await.unwrap();
        let (status, body) = (reply.status(), text(reply).await);
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let path = "/.well-known/openid-configuration";
        let reply = self.client.get(format!("{}{path}", self.origin)).send();
        let metadata = text(reply.await.unwrap()).await;
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        let issuer = metadata["issuer"].as_str().unwrap();
        assert_eq!(
            metadata["jwks_uri"],
            format!("{issuer}/.well-known/jwks.json")
        );
        letter(body["access_token"].as_str().unwrap(), &self.jwks)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_disturb_no_request() {
    let world = Arc::new(World::start(Site::new().connector("ci", "")));
    let mut keys = Vec::new();
    for letter in ["a", "b"] {
        let file = world.path().join(format!("keys-{letter}.json"));
        let public = make_keys(&file, letter);
        keys.extend(public["keys"].as_array().unwrap().clone());
        let name = format!("{letter}.toml");
        fs::write(world.path().join(name), configuration(letter)).unwrap();
    }
    world.edit(|_| configuration("a"));
    assert!(world.reload());

    let (ended, started) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let plain = || Client::builder().no_proxy();
    let clients = [
        plain().http1_only(),
        plain().http1_only().pool_max_idle_per_host(0),
        plain().http2_prior_knowledge(),
    ];
    let mut calling = Vec::new();
    for client in clients {
        let caller = Caller {
            client: client.build().unwrap(),
            origin: format!("http://{}", world.server.address),
            token: job("ci"),
            jwks: json!({ "keys": keys }),
        };
        let (ended, started) = (Arc::clone(&ended), Arc::clone(&started));
        calling.push(tokio::spawn(async move {
            let mut seen = [0; 2];
            while !ended.load(Ordering::Relaxed) || seen.iter().sum::<usize>() < REQUESTS {
                let letter = caller.call().await;
                seen[usize::from(letter == "b")] += 1;
                started.fetch_add(1, Ordering::Relaxed);
            }
            seen
        }));
    }
    let reloading = Arc::clone(&world);
    let reloads = tokio::task::spawn_blocking(move || {
        until("there is load", || started.load(Ordering::Relaxed) > 10);
        for turn in 0..RELOADS {
            let letter = if turn % 2 == 0 { "b" } else { "a" };
            reloading.edit(|_| configuration(letter));
            assert!(reloading.reload());
        }
    });
    let reloads = reloads.await;
    ended.store(true, Ordering::Relaxed);
    reloads.unwrap();
    for calls in calling {
        let [a, b] = calls.await.unwrap();
        assert!(a > 0 && b > 0, "{a} and {b}");
    }
    let (succeeded, failed) = world.reloads();
    assert!(
        succeeded > RELOADS as u64 && failed == 0,
        "{succeeded}, {failed}"
    );
    assert_eq!(world.status(), "ok");
}
