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
use crate::http::DroppedLines;
use crate::http::serve::{Limits, bind, serve};
use crate::jose::{PrivateJwk, SigningAlgorithm};

/// The audience that practice tokens are requested for.
const AUDIENCE: &str = "https://sts.example.com";

pub(super) fn run(listen: SocketAddr, format: LogFormat) -> ExitCode {
    let Some(_logs) = logging::start(format, DroppedLines::default()) else {
        return ExitCode::FAILURE;
    };
    serve::block_on(format, async move {
        match Demo::prepare(listen, format).await {
            Ok(demo) => demo.run().await,
            Err(Failure::Said) => ExitCode::from(BAD_CONFIG),
            Err(Failure::Because(why)) => {
                logging::fail(format, why);
                ExitCode::FAILURE
            }
        }
    })
}

/// Everything that the demo serves, ready to be served.
struct Demo {
    stop: serve::Stop,
    /// Where Remint is, and where the practice issuer.
    origins: [String; 2],
    sockets: [TcpListener; 2],
    practice: Practice,
    app: App,
    limits: config::Limits,
}

/// Why the demo does not start.
enum Failure {
    /// Its own configuration has errors, which were printed.
    Said,
    Because(String),
}

impl Demo {
    async fn prepare(listen: SocketAddr, format: LogFormat) -> Result<Self, Failure> {
        let because = |why: &str| Failure::Because(why.to_owned());
        let stop = serve::Stop::listen().map_err(Failure::Because)?;
        let next_port = |port: u16| port.checked_add(u16::from(port != 0));
        let port = next_port(listen.port()).ok_or_else(|| {
            because("the practice issuer needs the next port, and there is none after 65535")
        })?;
        let practice_listen = SocketAddr::new(listen.ip(), port);
        let mut sockets = Vec::new();
        for address in [listen, practice_listen] {
            let socket = bind(&address.to_string()).await;
            sockets.push(socket.map_err(|error| {
                Failure::Because(format!("{error}; choose another port with --listen"))
            })?);
        }
        let sockets: [TcpListener; 2] = sockets
            .try_into()
            .map_err(|_| because("a listener was not opened"))?;
        let [Some(origin), Some(practice_origin)] = sockets.each_ref().map(origin) else {
            return Err(because("a listener does not tell its address"));
        };
        // RSA keys take seconds in a debug build.
        tracing::info!("making throw-away keys, which can take a few seconds");
        let surroundings = load::machine();
        let practice = Practice::new(practice_origin.clone(), surroundings.clock.clone())
            .map_err(|error| Failure::Because(error.to_string()))?;
        let mut problems = Problems::new();
        let built = build(&origin, &practice_origin, &surroundings, &mut problems);
        let (app, limits) = built.ok_or_else(|| {
            logging::report(format, &problems);
            Failure::Said
        })?;
        Ok(Self {
            stop,
            origins: [origin, practice_origin],
            sockets,
            practice,
            app,
            limits,
        })
    }

    async fn run(self) -> ExitCode {
        let [remint, practice] = self.sockets;
        let practising = tokio::spawn(serve(
            vec![practice.into()],
            TowerToHyperService::new(warp::service(self.practice.routes())),
            Limits::default(),
            std::future::pending(),
        ));
        let [origin, practice_origin] = &self.origins;
        instruct(origin, practice_origin);
        let status = serve::run_until(
            self.stop,
            self.app,
            None,
            Listeners::only(remint),
            self.limits,
            Duration::ZERO,
        )
        .await;
        practising.abort();
        status
    }
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
    problems: &mut Problems,
) -> Option<(App, config::Limits)> {
    let keys: Result<Vec<_>, _> = SigningAlgorithm::ALL
        .into_iter()
        .map(|alg| PrivateJwk::generate(alg, None).map(|key| key.to_json()))
        .collect();
    let keys = keys
        .map_err(|error| problems.error("keys", error.to_string()))
        .ok()?;
    let keys = json!({ "keys": keys }).to_string();
    let settings = config::load_toml(&site(origin, practice), problems);
    let settings = settings?;
    let app = App::build(&settings, Some(keys.as_bytes()), surroundings, problems)?;
    Some((app, settings.limits))
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
