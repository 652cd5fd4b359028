//! The practice issuer of the demo: mints GitHub- and GitLab-shaped tokens for whoever asks.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::clock::Clock;
use crate::jose::{PrivateJwk, SigningAlgorithm, SigningKey, UnusableKey};
use crate::random::{Random, SystemRandom, uuid_v7};

/// How long a practice token lives, in seconds, as at GitHub.
const LIFETIME: u64 = 300;

/// An issuer of practice tokens: one for each kind, under `/gitlab` and `/github`.
#[derive(Debug)]
pub(super) struct Practice {
    origin: String,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    random: SystemRandom,
}

impl Practice {
    /// An issuer at `origin`, such as `http://127.0.0.1:8081`, with a new key.
    pub(super) fn new(origin: String, clock: Arc<dyn Clock>) -> Result<Self, UnusableKey> {
        let kid = Some("practice".to_owned());
        Ok(Self {
            origin,
            key: PrivateJwk::generate(SigningAlgorithm::Rs256, kid)?.into_signing_key()?,
            clock,
            random: SystemRandom,
        })
    }

    /// Its routes.
    pub(super) fn routes(self) -> BoxedFilter<(Response,)> {
        let this = Arc::new(self);
        warp::path::full()
            .and(warp::query::<HashMap<String, String>>())
            .map(move |path: warp::path::FullPath, query| this.answer(path.as_str(), query))
            .boxed()
    }

    fn answer(&self, path: &str, query: HashMap<String, String>) -> Response {
        match path {
            "/jwks" => reply(
                StatusCode::OK,
                json!({ "keys": [self.key.public()] }).to_string(),
            ),
            "/token" => match self.token(query) {
                Ok(token) => reply(StatusCode::OK, token),
                Err(words) => reply(StatusCode::BAD_REQUEST, words),
            },
            "/gitlab/.well-known/openid-configuration" => self.discovery("gitlab"),
            "/github/.well-known/openid-configuration" => self.discovery("github"),
            _ => reply(
                StatusCode::NOT_FOUND,
                "try /token?kind=gitlab&aud=AUDIENCE or /token?kind=github&aud=AUDIENCE".to_owned(),
            ),
        }
    }

    fn discovery(&self, kind: &str) -> Response {
        let document = json!({
            "issuer": format!("{}/{kind}", self.origin),
            "jwks_uri": format!("{}/jwks", self.origin),
        });
        reply(StatusCode::OK, document.to_string())
    }

    /// A token of the kind asked for; any further parameter replaces the claim of its name.
    fn token(&self, mut query: HashMap<String, String>) -> Result<String, String> {
        let kind = query.remove("kind").unwrap_or_default();
        let aud = query.remove("aud").filter(|aud| !aud.is_empty());
        let aud = aud.ok_or("aud is missing: /token?kind=gitlab&aud=AUDIENCE\n")?;
        let unix = self.clock.unix();
        let now = unix.as_secs();
        let millis = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        let (mut claims, head_start) = match kind.as_str() {
            "gitlab" => (gitlab(), 5),
            "github" => (github(), 600),
            _ => return Err("kind is gitlab or github\n".to_owned()),
        };
        for (name, value) in query {
            claims.insert(name, value.into());
        }
        for (name, value) in [
            ("iss", json!(format!("{}/{kind}", self.origin))),
            ("aud", aud.into()),
            ("iat", now.into()),
            ("nbf", now.saturating_sub(head_start).into()),
            ("exp", (now + LIFETIME).into()),
            (
                "jti",
                uuid_v7(&self.random as &dyn Random, millis)
                    .to_string()
                    .into(),
            ),
        ] {
            claims.insert(name.to_owned(), value);
        }
        self.key
            .sign(Value::Object(claims).to_string().as_bytes())
            .map_err(|error| error.to_string())
    }
}

fn reply(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn gitlab() -> Map<String, Value> {
    object(json!({
        "sub": "project_path:acme/shop:ref_type:branch:ref:main",
        "namespace_id": "72", "namespace_path": "acme",
        "project_id": "20", "project_path": "acme/shop", "project_visibility": "private",
        "user_id": "1", "user_login": "ada", "user_email": "ada@example.com",
        "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
        "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "runner_id": 1, "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "ci_config_ref_uri": "gitlab.example.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
    }))
}

fn github() -> Map<String, Value> {
    object(json!({
        "sub": "repo:acme@123456/shop@456789:ref:refs/heads/main",
        "repository": "acme/shop", "repository_id": "456789",
        "repository_owner": "acme", "repository_owner_id": "123456", "repository_visibility": "private",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "event_name": "push", "actor": "ada", "actor_id": "1",
        "workflow": "ci", "workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "run_id": "29679449", "run_number": "10", "run_attempt": "1",
        "runner_environment": "github-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
    }))
}
