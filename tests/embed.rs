//! Remint as a library: inside another program, and twice in one process.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "../examples/embed.rs"]
#[allow(dead_code, reason = "its main is for people")]
mod example;
#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use remint::app::{App, Surroundings};
use remint::config::{self, problems::Problems};
use remint::http::{Role, RouteService};
use remint::jose::{PrivateJwk, SigningAlgorithm};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_service::Service;

use support::http::{Reply, raw, send};
use support::issuer::{Answer, Issuer, JWKS};
use support::keys::{self, P256};
use support::{PATIENCE, shapes, tokens, until};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A configuration that trusts `upstream`, under the path `/sts` of `address`.
fn site(address: SocketAddr, upstream: &Issuer) -> String {
    format!(
        r#"
issuer = "http://{address}/sts"
[keys]
file = "keys.json"
[[connectors]]
id = "ci"
issuer = "{}"
audiences = ["{}"]
allow = ["claims.namespace_path == 'acme'"]
targets = ["https://internal.example.com"]
"#,
        upstream.url,
        shapes::AUDIENCE
    )
}

/// A key file with one new key.
fn keys(kid: &str) -> String {
    let key = PrivateJwk::generate(SigningAlgorithm::Es256, Some(kid.to_owned())).unwrap();
    json!({ "keys": [key.to_json()] }).to_string()
}

async fn free() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// One request on a thread where it may block.
async fn ask(address: SocketAddr, method: &'static str, path: &str, body: Value) -> Reply {
    let (path, body) = (path.to_owned(), body.to_string());
    let body = if method == "GET" { String::new() } else { body };
    let asked = move || send(address, method, &path, &[JSON], body.as_bytes());
    tokio::task::spawn_blocking(asked).await.unwrap()
}

async fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, "GET", path, Value::Null).await
}

/// A GET whose reply need not look like one of Remint's.
async fn bare(address: SocketAddr, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let asked = move || raw(address, request.as_bytes());
    tokio::task::spawn_blocking(asked).await.unwrap()
}

/// The new token for a fresh job of `upstream`.
async fn exchange(address: SocketAddr, upstream: &Issuer) -> String {
    let job = tokens::token(&shapes::gitlab(&upstream.url), &P256, "ES256", "e1");
    let reply = ask(address, "POST", "/sts/token", json!({ "token": job })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().to_owned()
}

/// The program of `examples/embed.rs`, until its sender is used.
async fn host(folder: &tempfile::TempDir, upstream: &Issuer) -> Host {
    let (listener, address) = free().await;
    std::fs::write(folder.path().join("site.toml"), site(address, upstream)).unwrap();
    std::fs::write(folder.path().join("keys.json"), keys("host")).unwrap();
    let path = folder.path().join("site.toml");
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        let ended = example::run(&path, listener, stopped).await;
        ended.map_err(|error| error.to_string())
    });
    Host {
        address,
        stop,
        ended,
    }
}

struct Host {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_program_serves_remint_under_a_path_beside_its_own() {
    let upstream = Issuer::start(&[P256.jwk("e1")]);
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder, &upstream).await;
    let at = host.address;

    let metadata = get(at, "/sts/.well-known/openid-configuration").await;
    let issuer = format!("http://{at}/sts");
    assert_eq!(metadata.json()["issuer"], issuer);
    let inserted = get(at, "/.well-known/oauth-authorization-server/sts").await;
    assert_eq!(inserted.body, metadata.body);
    let jwks_uri = metadata.json()["jwks_uri"].as_str().unwrap().to_owned();
    let jwks = get(at, jwks_uri.strip_prefix(&format!("http://{at}")).unwrap()).await;
    let (header, claims) = tokens::read(&exchange(at, &upstream).await, &jwks.json());
    assert_eq!(header["kid"], "host");
    assert_eq!(claims["iss"], issuer);

    // The paths are the host's again where Remint's end.
    let hello = bare(at, "/hello").await;
    assert_eq!(hello.text(), "hello from the host program\n");
    assert!(hello.header("x-request-id").is_none());
    let unknown = get(at, "/sts/nothing").await;
    assert_eq!(
        (unknown.status, unknown.refusal().2.as_str()),
        (404, "not_found")
    );

    host.stop.send(()).unwrap();
    let ended = tokio::time::timeout(PATIENCE, host.ended).await;
    assert_eq!(ended.expect("it ends").unwrap(), Ok(()));
    std::net::TcpStream::connect(at).expect_err("it does not listen any more");
}

/// Serves a tower service with hyper alone, each body being one that threads cannot share (as axum's).
fn serve(listener: TcpListener, service: RouteService) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let answer = service_fn(move |request: http::Request<Incoming>| {
                service.clone().call(request.map(BodyExt::boxed_unsync))
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(serving);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_with_keys_of_their_own_live_in_one_process() {
    let upstreams = [
        Issuer::start(&[P256.jwk("e1")]),
        Issuer::start(&[P256.jwk("e1")]),
    ];
    let mut instances = Vec::new();
    for (upstream, kid) in upstreams.iter().zip(["one", "two"]) {
        let (listener, address) = free().await;
        let mut problems = Problems::new();
        let settings = config::load_toml(&site(address, upstream), &mut problems).unwrap();
        let machine = Surroundings::machine();
        let keys = keys(kid);
        let app = App::build(&settings, Some(keys.as_bytes()), &machine, &mut problems);
        let app = app.unwrap_or_else(|| panic!("{:?}", problems.iter().collect::<Vec<_>>()));
        serve(listener, app.service());
        instances.push((app, address));
    }
    // Nothing runs that was not started: no upstream was asked so far.
    assert!(upstreams.iter().all(|upstream| upstream.hits(JWKS) == 0));
    let [(one, at_one), (two, at_two)] = <[_; 2]>::try_from(instances).unwrap();
    let background = one.start();
    let first = upstreams[0].url.clone();
    tokio::task::block_in_place(|| until(&first, || upstreams[0].hits(JWKS) == 1));
    assert_eq!(upstreams[1].hits(JWKS), 0, "only the first was started");

    let (old, new) = tokio::join!(
        exchange(at_one, &upstreams[0]),
        exchange(at_two, &upstreams[1])
    );
    let read = async |token: &str, at: SocketAddr| {
        let jwks = get(at, "/sts/.well-known/jwks.json").await.json();
        let (header, claims) = tokens::read(token, &jwks);
        (header["kid"].clone(), claims["iss"].clone(), jwks)
    };
    let (kid, issuer, jwks) = read(&old, at_one).await;
    assert_eq!(
        (kid, issuer),
        (json!("one"), json!(format!("http://{at_one}/sts")))
    );
    let (kid, issuer, other) = read(&new, at_two).await;
    assert_eq!(
        (kid, issuer),
        (json!("two"), json!(format!("http://{at_two}/sts")))
    );
    assert_ne!(jwks, other);
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);

    // Neither knows what the other trusts, and the end of one is not the end of the other.
    let job = tokens::token(&shapes::gitlab(&upstreams[1].url), &P256, "ES256", "e1");
    let foreign = ask(at_one, "POST", "/sts/token", json!({ "token": job })).await;
    assert_eq!(foreign.refusal().2, "issuer_unknown");
    background.stop();
    one.drain();
    assert_eq!(bare(at_one, "/healthz").await.status, 503);
    assert_eq!(bare(at_two, "/healthz").await.status, 200);
    drop((one, two));
    exchange(at_two, &upstreams[1]).await;
}

/// A host program drops the call when its client has left: the token is spent, so its decision must be made.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_under_way_is_decided_all_the_same() {
    let upstream = Issuer::start(&[P256.jwk("e1")]);
    let gate = Arc::<AtomicBool>::default();
    let answer = Answer::Held(Arc::clone(&gate), keys::jwks(&[P256.jwk("e1")]));
    upstream.set(JWKS, answer);
    let (_, address) = free().await;
    let site = format!("{}replay = \"once\"\n", site(address, &upstream));
    let mut problems = Problems::new();
    let settings = config::load_toml(&site, &mut problems).unwrap();
    let machine = Surroundings::machine();
    let keys = keys("one");
    let app = App::build(&settings, Some(keys.as_bytes()), &machine, &mut problems).unwrap();
    let job = tokens::token(&shapes::gitlab(&upstream.url), &P256, "ES256", "e1");
    let call = || {
        let request = http::Request::post("/sts/token").header(JSON.0, JSON.1);
        let body = json!({ "token": job }).to_string();
        app.service().call(request.body(body).unwrap())
    };

    let mut left = call();
    let fetched = async {
        while upstream.hits(JWKS) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut left => panic!("it cannot have the keys"),
        () = fetched => {}
        () = tokio::time::sleep(PATIENCE) => panic!("no fetch"),
    }
    drop(left);
    gate.store(true, Relaxed);
    let metrics = async || {
        let request = http::Request::get("/metrics").body(String::new()).unwrap();
        let reply = warp::service(app.routes_for(Role::Admin))
            .call(request)
            .await
            .unwrap();
        let text = reply.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(text.to_vec()).unwrap()
    };
    tokio::time::timeout(PATIENCE, async {
        while !metrics().await.contains("outcome=\"issued\"") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a count");
    let again = call().await.unwrap();
    assert_eq!(again.status(), 403);
    let body = again.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["reason"], "replayed");
}
