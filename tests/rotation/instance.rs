//! An instance in this process, whose clock the test moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use remint::app::{App, Surroundings};
use remint::clock::ManualClock;
use remint::config::{self, problems::Problems};
use remint::http::{Role, RouteService};
use remint::random::SystemRandom;
use serde_json::Value;
use tower_service::Service;

/// When these tests play, in seconds since the Unix epoch.
pub(crate) const START: u64 = 1_800_000_000;

pub(crate) const JWKS: &str = "/.well-known/jwks.json";

/// A configuration with one client, whose tokens live for `lifetime` seconds.
pub(crate) fn config(keys: &str, lifetime: u64) -> String {
    format!(
        r#"
issuer = "https://sts.example.com"
[keys]
file = "jwks.json"
{keys}
[tokens]
max_lifetime = "{lifetime}s"
[[clients]]
id = "job"
secret = "a-plain-secret"
grants = ["client_credentials"]
"#
    )
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) etag: String,
    pub(crate) cache_control: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One instance.
pub(crate) struct Instance {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) app: App,
    main: RouteService,
}

impl Instance {
    /// An instance at `now`, or what is wrong with its configuration.
    pub(crate) fn build(config: &str, keys: &Value, now: u64) -> (Option<Self>, Problems) {
        Self::at(
            config,
            keys,
            Arc::new(ManualClock::at(Duration::from_secs(now))),
        )
    }

    pub(crate) fn at(
        config: &str,
        keys: &Value,
        clock: Arc<ManualClock>,
    ) -> (Option<Self>, Problems) {
        let mut problems = Problems::new();
        let settings = config::load_toml(config, &mut problems).unwrap();
        let surroundings = Surroundings {
            clock: Arc::clone(&clock) as Arc<_>,
            random: Arc::new(SystemRandom),
        };
        let bytes = keys.to_string();
        let app = App::build(
            &settings,
            Some(bytes.as_bytes()),
            &surroundings,
            &mut problems,
        );
        let built = app.map(|app| Self {
            clock,
            main: app.service(),
            app,
        });
        (built, problems)
    }

    /// An instance without anything to complain about.
    pub(crate) fn new(config: &str, keys: &Value, now: u64) -> Self {
        let (built, problems) = Self::build(config, keys, now);
        built.unwrap_or_else(|| panic!("{problems:?}"))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Request::get(path), String::new()).await
    }

    pub(crate) async fn operators_see(&self, path: &str) -> Reply {
        let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
        let routes = self.app.routes_for(Role::Admin);
        let response = warp::service(routes).call(request).await.unwrap();
        read(response).await
    }

    /// The whole reply to a request for a token.
    pub(crate) async fn ask_token(&self) -> Reply {
        let request = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/jwt");
        let form = "grant_type=client_credentials&client_id=job&client_secret=a-plain-secret";
        self.ask(request, form.to_owned()).await
    }

    /// A new token.
    pub(crate) async fn token(&self) -> String {
        let reply = self.ask_token().await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    async fn ask(&self, request: http::request::Builder, body: String) -> Reply {
        let request = request
            .header("host", "sts.example.com")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        read(self.main.clone().call(request).await.unwrap()).await
    }
}

async fn read<B: hyper::body::Body<Data: Send, Error: std::fmt::Debug>>(
    response: http::Response<B>,
) -> Reply {
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    let (status, etag, cache_control) = (
        response.status().as_u16(),
        header("etag"),
        header("cache-control"),
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Reply {
        status,
        etag,
        cache_control,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
