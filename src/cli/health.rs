//! `remint health`: asks the running server whether it is ready.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::endpoint::{Endpoint, Refused};
use super::{BAD_CONFIG, LogFormat, out, serve};
use crate::config::{self, Server};

/// How long one server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The configuration that says where the server listens; what else is wrong in it does not matter.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
    /// Ask this server instead, without any file: http(s)://HOST:PORT[/PATH] or unix:PATH.
    #[arg(long, value_name = "URL")]
    url: Option<Endpoint>,
}

pub(super) fn run(args: &HealthArgs) -> ExitCode {
    let endpoints = match &args.url {
        Some(url) => vec![url.clone()],
        None => listed(args),
    };
    if endpoints.is_empty() {
        out::error(
            "error: no listener has an address: write server.admin_listen, or ask with --url",
        );
        return ExitCode::from(BAD_CONFIG);
    }
    serve::block_on(LogFormat::Text, health(&endpoints))
}

/// The listeners of the configuration.
fn listed(args: &HealthArgs) -> Vec<Endpoint> {
    // The server runs with the configuration that was good, and goes on with it.
    let (server, doubt) = config::load_server(&args.config, config::process_environment());
    if let Some(doubt) = doubt {
        out::error(format_args!(
            "note: {doubt}; asking where the server may listen all the same"
        ));
    }
    listeners(&server)
}

/// Where to ask: plain listeners first, then those that ask for no client certificate.
fn listeners(server: &Server) -> Vec<Endpoint> {
    let plain = server.admin_listen.iter().chain(&server.listen);
    let plain = plain.chain(&server.metadata_listen);
    let tls = server.tls.iter();
    let tls = tls.flat_map(|tls| tls.metadata_listen.iter().chain(&tls.listen));
    let plain = plain.map(|address| Endpoint::listener(address, false));
    let tls = tls.map(|address| Endpoint::listener(address, true));
    plain.chain(tls).collect()
}

/// The first server that answers decides.
async fn health(endpoints: &[Endpoint]) -> ExitCode {
    for endpoint in endpoints {
        let (why, answered) = match tokio::time::timeout(PATIENCE, endpoint.ask()).await {
            Ok(Ok(word)) => {
                out::line(word);
                return ExitCode::SUCCESS;
            }
            Ok(Err(Refused::Unready(status, word))) => {
                out::line(&word);
                (format!("is {word} ({status})"), true)
            }
            Ok(Err(Refused::Other(error))) => (format!("cannot be asked: {error}"), false),
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                (format!("did not answer within {seconds} s"), true)
            }
        };
        out::error(format_args!("error: the server on {endpoint} {why}"));
        if answered {
            break;
        }
    }
    ExitCode::FAILURE
}
