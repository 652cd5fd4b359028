//! `remint health`: asks the running server whether it is ready.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{BAD_CONFIG, LogFormat, out, own_tls, serve};
use crate::config::problems::{Problems, Severity};
use crate::config::{self, Address, Server};

/// How long the whole exchange may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest reply that is read; with thousands of connectors the details are long.
const LONGEST_REPLY: usize = 16 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn run(config: &Path) -> ExitCode {
    let mut problems = Problems::new();
    let settings = config::load(config, config::process_environment(), &mut problems);
    let Some(settings) = settings.filter(|_| !problems.has_errors()) else {
        let errors = problems
            .iter()
            .filter(|found| found.severity == Severity::Error);
        errors.for_each(out::error);
        return ExitCode::from(BAD_CONFIG);
    };
    serve::block_on(LogFormat::Text, health(&settings.server))
}

async fn health(server: &Server) -> ExitCode {
    let Some((address, over_tls)) = listener(server) else {
        out::error("error: no listener has an address (write server.admin_listen)");
        return ExitCode::from(BAD_CONFIG);
    };
    let asked = tokio::time::timeout(PATIENCE, ask(address, over_tls)).await;
    let why = match asked {
        Ok(Ok((StatusCode::OK, word))) => {
            out::line(word);
            return ExitCode::SUCCESS;
        }
        Ok(Ok((status, word))) => {
            out::line(&word);
            format!("is {word} ({})", status.as_u16())
        }
        Ok(Err(error)) => format!("cannot be asked: {error}"),
        Err(_) => format!("did not answer within {} s", PATIENCE.as_secs()),
    };
    out::error(format_args!("error: the server on {address} {why}"));
    ExitCode::FAILURE
}

/// Whom to ask, and whether over TLS: plain ones first, then one that asks for no client certificate.
fn listener(server: &Server) -> Option<(&Address, bool)> {
    let plain = server.admin_listen.iter().chain(&server.listen);
    let plain = plain.chain(&server.metadata_listen);
    let tls = server.tls.iter();
    let tls = tls.flat_map(|tls| tls.metadata_listen.iter().chain(&tls.listen));
    let mut all = plain
        .map(|plain| (plain, false))
        .chain(tls.map(|tls| (tls, true)));
    all.next()
}

/// The status and the word of `/healthz/ready` at `address`.
async fn ask(address: &Address, over_tls: bool) -> Result<(StatusCode, String), BoxError> {
    match address {
        Address::Unix(path) => converse(UnixStream::connect(path).await?, "localhost").await,
        Address::Tcp(address) => {
            let address = reachable(address);
            let stream = TcpStream::connect(&address).await?;
            if over_tls {
                return converse(own_tls::connect(stream).await?, &address).await;
            }
            converse(stream, &address).await
        }
    }
}

/// Where a listener is reached from this machine: one on every address, by loopback.
fn reachable(address: &str) -> String {
    let Ok(mut parsed) = address.parse::<SocketAddr>() else {
        return address.to_owned();
    };
    if parsed.ip().is_unspecified() {
        parsed.set_ip(match parsed {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    parsed.to_string()
}

async fn converse(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
) -> Result<(StatusCode, String), BoxError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection);
    let request = Request::get("/healthz/ready")
        .header("host", host)
        .body(Empty::<Bytes>::new())?;
    let reply = sender.send_request(request).await?;
    let status = reply.status();
    let body = Limited::new(reply.into_body(), LONGEST_REPLY)
        .collect()
        .await?;
    let body: Option<Value> = serde_json::from_slice(&body.to_bytes()).ok();
    match body.as_ref().and_then(|body| body.get("status")?.as_str()) {
        Some(word) => Ok((status, word.to_owned())),
        None => Err(format!("it answered {status} without a health status; is it Remint?").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_on_every_address_are_reached_by_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("sts.internal:80", "sts.internal:80"),
        ] {
            assert_eq!(reachable(listen), asked);
        }
    }
}
