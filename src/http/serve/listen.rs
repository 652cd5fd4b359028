//! Opening listeners, and accepting from several of them through every error that passes.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use futures_util::FutureExt as _;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::either::Either;

use super::tls::{ClientCertificates, Tls};
use super::unix::UnixSocket;
use super::{Origin, Peer};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The transport of one connection.
type Stream = Either<TcpStream, UnixStream>;

/// A connection as it was accepted.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) origin: Origin,
    /// How its TLS is done, where it has any.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// On TCP.
    Tcp(TcpListener),
    /// On TCP, with TLS; which client certificates it asks for.
    Tls(TcpListener, Arc<Tls>, ClientCertificates),
    /// On a unix socket.
    Unix(UnixSocket),
}

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => poll_tcp(listener, cx),
            Self::Tls(listener, tls, asked) => {
                poll_tcp(listener, cx).map_ok(|accepted| accepted.with(tls.config(*asked)))
            }
            Self::Unix(socket) => socket
                .listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Accepted {
                    stream: Either::Right(stream),
                    origin: Origin {
                        peer: Peer(None),
                        over_tls: false,
                    },
                    tls: None,
                }),
        }
    }
}

impl Accepted {
    fn with(mut self, config: Arc<ServerConfig>) -> Self {
        self.origin.over_tls = true;
        self.tls = Some(config);
        self
    }
}

fn poll_tcp(listener: &TcpListener, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
    listener.poll_accept(cx).map_ok(|(stream, peer)| {
        // Replies are written whole, so Nagle's algorithm could only delay them.
        let _ = stream.set_nodelay(true);
        Accepted {
            stream: Either::Left(stream),
            origin: Origin {
                peer: Peer(Some(peer)),
                over_tls: false,
            },
            tls: None,
        }
    })
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Where it listens: `http://127.0.0.1:8080`, `https://127.0.0.1:8443` or `unix:/run/remint/remint.sock`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, listener) = match self {
            Self::Tcp(listener) => ("http", listener),
            Self::Tls(listener, ..) => ("https", listener),
            Self::Unix(socket) => return write!(f, "unix:{}", socket.path().display()),
        };
        match listener.local_addr() {
            Ok(address) => write!(f, "{scheme}://{address}"),
            Err(error) => write!(f, "an address that is not known ({error})"),
        }
    }
}

/// Opens a TCP listener on `addr`, `host:port`; port 0 takes any free port.
pub async fn bind(addr: &str) -> Result<TcpListener, BindError> {
    let opened = TcpListener::bind(addr).await;
    opened.map_err(|error| BindError::new(addr, advice(&error)))
}

/// Why a listener cannot be opened; its text says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
pub struct BindError {
    address: String,
    why: String,
}

impl BindError {
    pub(super) fn new(address: impl Into<String>, why: String) -> Self {
        Self {
            address: address.into(),
            why,
        }
    }
}

/// What an operator can do about `error`.
fn advice(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "address already in use (another program has the port; stop it or choose another port)"
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; grant it or choose a higher port)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address (use one of its own, or 0.0.0.0 for all of them)"
        }
        io::ErrorKind::InvalidInput => {
            return format!("{error} (write it as address:port, such as 127.0.0.1:8080)");
        }
        _ => return error.to_string(),
    };
    advice.to_owned()
}

/// Accepts from all of its listeners in turn.
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    first: usize,
    pause: Duration,
    paused_until: Option<Instant>,
    logged: Option<Instant>,
}

impl Acceptor {
    pub(super) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            first: 0,
            pause: FIRST_PAUSE,
            paused_until: None,
            logged: None,
        }
    }

    /// The next connection. An error means that the process is out of descriptors or memory: it has
    /// been logged, and the next call pauses before it tries again. Safe to cancel.
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        loop {
            if let Some(until) = self.paused_until {
                tokio::time::sleep_until(until).await;
                self.paused_until = None;
            }
            match std::future::poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(accepted) => {
                    self.pause = FIRST_PAUSE;
                    return Ok(accepted);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.back_off(&error, Instant::now());
                    return Err(error);
                }
            }
        }
    }

    /// Those that wait in the queues now, at most `most` of them.
    pub(super) fn accept_waiting(&mut self, most: usize) -> impl Iterator<Item = Accepted> {
        let waiting = std::iter::from_fn(|| self.accept().now_or_never()?.ok());
        waiting.take(most)
    }

    /// Polls every listener, beginning behind the one that was served last.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (before, after) = self.listeners.split_at(self.first);
        let behind = after.iter().chain(before).enumerate();
        for (position, listener) in behind {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                self.first = (self.first + position + 1) % self.listeners.len();
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    fn back_off(&mut self, error: &io::Error, now: Instant) {
        if self
            .logged
            .is_none_or(|logged| now >= logged + LOG_INTERVAL)
        {
            self.logged = Some(now);
            tracing::error!(
                %error,
                "cannot accept connections; trying again (if descriptors ran out, raise `ulimit -n`)"
            );
        }
        self.paused_until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether `accept` failed because of the one connection that it took from the queue (accept(2)).
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_are_logged_once_a_second() {
        let mut acceptor = Acceptor::new(Vec::new());
        let start = Instant::now();
        let error = io::Error::other("out of descriptors");
        let mut now = start;
        let mut log = Vec::new();
        for _ in 0..6 {
            acceptor.back_off(&error, now);
            if acceptor.logged == Some(now) {
                log.push((now - start).as_millis());
            }
            now = acceptor.paused_until.unwrap();
        }
        assert_eq!(
            (now - start).as_millis(),
            100 + 200 + 400 + 800 + 1000 + 1000
        );
        assert_eq!(log, [0, 1500, 2500]);
    }
}
