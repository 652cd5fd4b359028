//! How long an answer counts, on a clock of the test's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use remint::app::{App, Surroundings};
use remint::clock::ManualClock;
use remint::config::{self, problems::Problems};
use serde_json::json;
use tower_service::Service;

use crate::support::http;
use crate::support::issuer::{Answer, Issuer};
use crate::support::now;
use crate::{TOKEN, USERINFO, ada, answers, connector, issuer};

/// An instance in this process, with two connectors for one issuer.
struct World {
    issuer: Issuer,
    clock: Arc<ManualClock>,
    app: App,
    address: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

const KEYS: &str = "jwks.example.json";

fn settings(issuer: &Issuer, lines: &str) -> config::Settings {
    let idp = connector(&issuer.url, lines);
    let second = idp.replace("\"idp\"", "\"second\"");
    let text = format!("issuer = \"https://sts.example.com\"\n{idp}{second}");
    config::load_toml(&text, &mut Problems::new()).unwrap()
}

impl World {
    fn start() -> Self {
        let issuer = issuer();
        let clock = Arc::new(ManualClock::at(Duration::from_secs(now())));
        let surroundings = Surroundings {
            clock: clock.clone(),
            ..Surroundings::machine()
        };
        let keys = std::fs::read(KEYS).unwrap();
        let mut problems = Problems::new();
        let app = App::build(
            &settings(&issuer, ""),
            Some(&keys),
            &surroundings,
            &mut problems,
        );
        let app = app.unwrap_or_else(|| panic!("{:?}", problems.iter().collect::<Vec<_>>()));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let service = app.service();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let answer = service_fn(move |request: ::http::Request<hyper::body::Incoming>| {
                    service.clone().call(request)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self {
            issuer,
            clock,
            app,
            address,
            runtime,
        }
    }

    /// The status of an exchange by this connector, and how often the issuer was asked so far.
    fn exchange(&self, token: &str, connector: &str) -> (u16, usize) {
        let body = json!({"token": token, "connector_id": connector}).to_string();
        let headers = [("Content-Type", "application/json")];
        let reply = http::send(self.address, "POST", "/token", &headers, body.as_bytes());
        (reply.status, self.issuer.hits(USERINFO))
    }
}

#[test]
fn an_answer_counts_for_sixty_seconds() {
    let world = World::start();
    let pass = |seconds| world.clock.advance(Duration::from_secs(seconds));
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 1));
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 1));
    // The issuer withdraws the token.
    world.issuer.set(USERINFO, Answer::Status(401));
    pass(59);
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 1));
    pass(1);
    assert_eq!(world.exchange(TOKEN, "idp"), (403, 2));
}

#[test]
fn a_refusal_counts_for_five_seconds() {
    let world = World::start();
    for status in [400, 401, 403] {
        let token = format!("{TOKEN}{status}");
        let before = world.issuer.hits(USERINFO);
        let exchange = |connector: &str| {
            let (status, hits) = world.exchange(&token, connector);
            (status, hits - before)
        };
        world.issuer.set(USERINFO, Answer::Status(status));
        assert_eq!(exchange("idp"), (403, 1));
        assert_eq!(exchange("second"), (403, 2), "another connector");
        // The issuer comes to know the token.
        answers(&world.issuer, &ada());
        world.clock.advance(Duration::from_millis(4_999));
        assert_eq!(exchange("idp"), (403, 2));
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(exchange("idp"), (200, 3));
        assert_eq!(exchange("second"), (200, 4));
    }
}

#[test]
fn a_failure_is_not_remembered() {
    let world = World::start();
    world.issuer.set(USERINFO, Answer::Status(500));
    assert_eq!(world.exchange(TOKEN, "idp"), (502, 1));
    answers(&world.issuer, &ada());
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 2));
}

#[test]
fn an_answer_counts_for_its_token_and_connector() {
    let world = World::start();
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 1));
    assert_eq!(world.exchange(TOKEN, "second"), (200, 2));
    assert_eq!(world.exchange(&TOKEN.to_lowercase(), "idp"), (200, 3));
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 3));
    assert_eq!(world.exchange(TOKEN, "second"), (200, 3));
}

#[test]
fn a_kept_answer_is_decided_on_each_time_and_a_new_configuration_begins_without() {
    let world = World::start();
    assert_eq!(world.exchange(TOKEN, "idp"), (200, 1));
    let keys = std::fs::read(KEYS).unwrap();
    let strict = settings(&world.issuer, "allow = [\"claims.level == 8\"]");
    let mut problems = Problems::new();
    let next = world.app.reloaded(&strict, Some(&keys), &mut problems);
    let next = next.unwrap();
    world.runtime.block_on(async { drop(next.take_over()) });
    assert_eq!(world.exchange(TOKEN, "idp"), (403, 2));
    // What was counted goes on.
    let userinfo = next.connectors().by_id("idp").unwrap().userinfo.clone();
    assert_eq!(userinfo.unwrap().counts()[0], ("success", 2));
}
