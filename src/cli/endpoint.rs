//! A server whose health can be asked: where it is, and what it says.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::{Host, Url};

use super::own_tls;
use crate::config::Address;
use crate::upstream::PublicClient;

/// The longest reply that is read; with thousands of connectors the details are long.
const LONGEST_REPLY: usize = 16 * 1024 * 1024;
/// What is asked for where nothing else is named.
const READY: &str = "/healthz/ready";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where to ask for a server's health.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    door: Door,
    path: String,
    /// As it was written.
    shown: String,
}

#[derive(Clone, Debug)]
enum Door {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// `host:port` of this machine, whatever its certificate says.
    OwnTls(String),
    /// A server elsewhere, whose certificate must be good.
    Https(Url),
}

/// Why a server is not healthy.
pub(super) enum Refused {
    /// It says so: the status and the word.
    Unready(u16, String),
    /// It was not reached, or did not answer as Remint does.
    Other(BoxError),
}

impl<E: Into<BoxError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Endpoint {
    /// A configured listener.
    pub(super) fn listener(address: &Address, over_tls: bool) -> Self {
        Self {
            door: match address {
                Address::Unix(path) => Door::Unix(path.clone()),
                Address::Tcp(address) if over_tls => Door::OwnTls(reachable(address)),
                Address::Tcp(address) => Door::Tcp(reachable(address)),
            },
            path: READY.to_owned(),
            shown: address.to_string(),
        }
    }

    /// The word of a healthy server, `ok` or `degraded`.
    pub(super) async fn ask(&self) -> Result<String, Refused> {
        let (status, body) = match &self.door {
            Door::Unix(path) => {
                self.get(UnixStream::connect(path).await?, "localhost")
                    .await?
            }
            Door::Tcp(address) => {
                self.get(TcpStream::connect(address).await?, address)
                    .await?
            }
            Door::OwnTls(address) => {
                let stream = TcpStream::connect(address).await?;
                self.get(own_tls::connect(stream).await?, address).await?
            }
            Door::Https(url) => {
                let document = PublicClient::new().get(url.as_str()).await?;
                (StatusCode::OK, document.body)
            }
        };
        let body: Option<Value> = serde_json::from_slice(&body).ok();
        let word = body.as_ref().and_then(|body| body.get("status")?.as_str());
        let word = word.ok_or_else(|| {
            format!("it answered {status} without a health status; is it Remint?")
        })?;
        match status {
            StatusCode::OK => Ok(word.to_owned()),
            _ => Err(Refused::Unready(status.as_u16(), word.to_owned())),
        }
    }

    async fn get(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
    ) -> Result<(StatusCode, Vec<u8>), BoxError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
        tokio::spawn(connection);
        let request = Request::get(&self.path)
            .header("host", host)
            .body(Empty::<Bytes>::new())?;
        let reply = sender.send_request(request).await?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), LONGEST_REPLY)
            .collect()
            .await?;
        Ok((status, body.to_bytes().into()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads `http(s)://HOST:PORT[/PATH]` or `unix:PATH`; without a path it is the readiness that is asked for.
    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected http://HOST:PORT, https://HOST:PORT or unix:PATH, such as http://127.0.0.1:8080";
        let endpoint = |door, path: &str| Self {
            door,
            path: path.to_owned(),
            shown: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(endpoint(Door::Unix(path.into()), READY));
        }
        let mut url = Url::parse(text).map_err(|_| EXPECTED.to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("health takes no user name and no password".to_owned());
        }
        if url.path() == "/" {
            url.set_path(READY);
        }
        let address = match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => reachable(&format!("{host}:{port}")),
            _ => return Err(EXPECTED.to_owned()),
        };
        let door = match url.scheme() {
            "http" => Door::Tcp(address),
            "https" if is_here(&url) => Door::OwnTls(address),
            "https" => Door::Https(url.clone()),
            _ => return Err(EXPECTED.to_owned()),
        };
        Ok(endpoint(door, url.path()))
    }
}

/// Whether a URL leads to this machine, where nobody stands between.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
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
