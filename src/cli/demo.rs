//! `remint demo`: everything in memory, and curl lines to paste.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::TcpListener;

use super::listeners::Listeners;
use super::practice::Practice;
use super::{BAD_CONFIG, LogFormat, load, logging, out, serve};
use crate::app::{App, Surroundings};
use crate::config::{self, problems::Problems};
use crate::http::serve::{Limits, bind, serve};
use crate::jose::{PrivateJwk, SigningAlgorithm};

/// The audience that practice tokens are requested for.
const AUDIENCE: &str = "https://sts.example.com";

pub(super) fn run(listen: SocketAddr, format: LogFormat) -> ExitCode {
    let Some(_logs) = logging::start(format) else {
        return ExitCode::FAILURE;
    };
    serve::block_on(demo(listen))
}

async fn demo(listen: SocketAddr) -> ExitCode {
    let Some(stop) = serve::Stop::listen() else {
        return ExitCode::FAILURE;
    };
    let next_port = |port: u16| port.checked_add(u16::from(port != 0));
    let Some(port) = next_port(listen.port()) else {
        out::error("error: the practice issuer needs the next port, and there is none after 65535");
        return ExitCode::FAILURE;
    };
    let practice_listen = SocketAddr::new(listen.ip(), port);
    let (remint, practice) = match (
        bind(&listen.to_string()).await,
        bind(&practice_listen.to_string()).await,
    ) {
        (Ok(remint), Ok(practice)) => (remint, practice),
        (Err(error), _) | (_, Err(error)) => {
            out::error(format_args!(
                "error: {error}; choose another port with --listen"
            ));
            return ExitCode::FAILURE;
        }
    };
    let (Some(origin), Some(practice_origin)) = (origin(&remint), origin(&practice)) else {
        out::error("error: a listener does not tell its address");
        return ExitCode::FAILURE;
    };
    let surroundings = load::machine();
    let issuer = match Practice::new(practice_origin.clone(), surroundings.clock.clone()) {
        Ok(issuer) => issuer,
        Err(error) => {
            out::error(format_args!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let Some((app, limits)) = build(&origin, &practice_origin, &surroundings) else {
        return ExitCode::from(BAD_CONFIG);
    };
    let practising = tokio::spawn(serve(
        vec![practice.into()],
        TowerToHyperService::new(warp::service(issuer.routes())),
        Limits::default(),
        std::future::pending(),
    ));
    instruct(&origin, &practice_origin);
    let status = serve::run_until(
        stop,
        app,
        None,
        Listeners::only(remint),
        limits,
        Duration::ZERO,
    )
    .await;
    practising.abort();
    status
}

/// The URL under which a pasted curl line reaches a listener.
fn origin(listener: &TcpListener) -> Option<String> {
    let mut address = listener.local_addr().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(format!("http://{address}"))
}

fn build(
    origin: &str,
    practice: &str,
    surroundings: &Surroundings,
) -> Option<(App, config::Limits)> {
    let mut problems = Problems::new();
    let keys: Result<Vec<_>, _> = SigningAlgorithm::ALL
        .into_iter()
        .map(|alg| PrivateJwk::generate(alg, None).map(|key| key.to_json()))
        .collect();
    let keys = keys
        .map_err(|error| problems.error("keys", error.to_string()))
        .ok()?;
    let keys = json!({ "keys": keys }).to_string();
    let settings = config::load_toml(&site(origin, practice), &mut problems);
    let app = settings.and_then(|settings| {
        let keys = Some(keys.as_bytes());
        let app = App::build(&settings, keys, surroundings, &mut problems)?;
        Some((app, settings.limits))
    });
    if app.is_none() {
        load::report(&problems);
    }
    app
}

/// The configuration of the demo, as an operator would write it.
fn site(origin: &str, practice: &str) -> String {
    format!(
        r#"
issuer = "{origin}"

[[connectors]]
id = "gitlab"
issuer = "{practice}/gitlab"
insecure_http = true
audiences = ["{AUDIENCE}"]
allow = ["claims.namespace_path == 'acme'", "claims.ref_protected == 'true'"]
targets = ["https://sts.amazonaws.com", "https://vault.example.com"]
subject_prefix = "gitlab:"
clone_claims = ["sub", "ref"]

[connectors.claims]
project = "claims.project_path"

[[connectors]]
id = "github"
issuer = "{practice}/github"
insecure_http = true
audiences = ["{AUDIENCE}"]
allow = ["claims.repository_owner_id == '123456'"]
targets = ["https://internal.example.com"]
subject_prefix = "github:"
"#
    )
}

fn instruct(origin: &str, practice: &str) {
    out::line(format_args!(
        r#"Remint serves on {origin}, and a practice CI issuer on {practice}. Paste these into another shell:

# 1. What a CI job already holds: a token from its own issuer.
TOKEN=$(curl -sS '{practice}/token?kind=gitlab&aud={AUDIENCE}')

# 2. The simple exchange: JSON in, the bare new token out.
NEW=$(curl -sS {origin}/token -H 'Content-Type: application/json' --data "{{\"token\": \"$TOKEN\"}}")

# 3. Read it: only what the rules give, signed by Remint.
echo "$NEW" | cut -d. -f2 | tr '_-' '/+' | base64 -d 2>/dev/null; echo

# 4. The same by RFC 8693, for another audience, with an ES256 or RS256 key as configured.
curl -sS {origin}/token --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange --data-urlencode subject_token="$TOKEN" --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:id_token --data-urlencode audience=https://vault.example.com; echo

# 5. A GitHub job, and the bare token without jq.
TOKEN=$(curl -sS '{practice}/token?kind=github&aud={AUDIENCE}')
curl -sS {origin}/token -H 'Accept: application/jwt' --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange --data-urlencode subject_token="$TOKEN" --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:id_token; echo

# 6. A refused exchange: the branch is not protected.
TOKEN=$(curl -sS '{practice}/token?kind=gitlab&aud={AUDIENCE}&ref=feature&ref_protected=false')
curl -sS {origin}/token -H 'Content-Type: application/json' --data "{{\"token\": \"$TOKEN\"}}"; echo

# 7. What AWS, Vault or your own service verifies it with.
curl -sS {origin}/.well-known/openid-configuration; echo
curl -sS {origin}/.well-known/jwks.json; echo

Ctrl-C ends it; nothing is left behind.
"#
    ));
}
