//! Opening listeners, and accepting from several of them through every error that passes.

use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_util::either::Either;

use super::Peer;
use super::unix::UnixSocket;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The transport of one connection.
type Stream = Either<TcpStream, UnixStream>;

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// On TCP.
    Tcp(TcpListener),
    /// On a unix socket.
    Unix(UnixSocket),
}

impl Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, peer)| {
                // Replies are written whole, so Nagle's algorithm could only delay them.
                let _ = stream.set_nodelay(true);
                (Either::Left(stream), Peer(Some(peer)))
            }),
            Self::Unix(socket) => {
                let accepted = socket.listener.poll_accept(cx);
                accepted.map_ok(|(stream, _)| (Either::Right(stream), Peer(None)))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// Where it listens: `http://127.0.0.1:8080` or `unix:/run/remint/remint.sock`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}"),
                Err(error) => write!(f, "an address that is not known ({error})"),
            },
            Self::Unix(socket) => write!(f, "unix:{}", socket.path().display()),
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
    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
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

    /// Polls every listener, beginning behind the one that was served last.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
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
