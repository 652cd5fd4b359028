//! Sockets that systemd has opened (`sd_listen_fds(3)`): which of them becomes which listener.

use std::io;
use std::net;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::http::serve::{Listener, adopt_unix};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Main,
    Metadata,
    Admin,
    Tls,
    TlsMetadata,
}

impl Use {
    const ALL: [(&str, Self); 5] = [
        ("main", Self::Main),
        ("metadata", Self::Metadata),
        ("admin", Self::Admin),
        ("tls", Self::Tls),
        ("tls-metadata", Self::TlsMetadata),
    ];

    /// By the name in `LISTEN_FDNAMES`. One that nobody named has that of its unit, or none: it is a main one.
    fn of(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        let is_unnamed = matches!(name, "" | "unknown") || name.ends_with(".socket");
        known
            .map(|(_, known)| *known)
            .or(is_unnamed.then_some(Self::Main))
    }
}

/// A socket that was passed, as it came.
pub(super) enum Passed {
    Tcp(net::TcpListener),
    Unix(UnixListener),
}

impl Passed {
    /// The socket in the Tokio runtime that is running.
    pub(super) fn open(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket).map(Socket::Tcp)
            }
            Self::Unix(socket) => Ok(Socket::Unix(Listener::Unix(adopt_unix(socket)?))),
        }
    }
}

/// An open socket that is not yet a listener.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(Listener),
}

/// Takes every socket that was passed to this process, with what it is for.
///
/// It clears the variables that tell of them, so it comes before there are threads.
pub(super) fn take() -> Result<Vec<(Use, Passed)>, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    // Without it they were meant for another process, or are none at all.
    if std::env::var_os("LISTEN_PID").is_none() {
        return Ok(Vec::new());
    }
    let mut passed = ListenFd::from_env();
    let mut names = names.split(':');
    let mut sockets = Vec::new();
    for place in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        let Some(purpose) = Use::of(name) else {
            let known: Vec<_> = Use::ALL.iter().map(|(known, _)| *known).collect();
            return Err(format!(
                "systemd passes a socket with the name {name:?}: set FileDescriptorName= to one of {}",
                known.join(", ")
            ));
        };
        let socket = take_one(&mut passed, place)
            .map_err(|error| format!("systemd passes a socket {name:?} that cannot be used: {error} (set ListenStream=, and Accept=no)"))?;
        sockets.extend(socket.map(|socket| (purpose, socket)));
    }
    Ok(sockets)
}

fn take_one(passed: &mut ListenFd, place: usize) -> io::Result<Option<Passed>> {
    if let Ok(socket) = passed.take_unix_listener(place) {
        return Ok(socket.map(Passed::Unix));
    }
    Ok(passed.take_tcp_listener(place)?.map(Passed::Tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_socket_is_for() {
        for (name, purpose) in [
            ("main", Some(Use::Main)),
            ("tls-metadata", Some(Use::TlsMetadata)),
            ("remint.socket", Some(Use::Main)),
            ("unknown", Some(Use::Main)),
            ("", Some(Use::Main)),
            ("Main", None),
            ("https", None),
        ] {
            assert_eq!(Use::of(name), purpose, "{name}");
        }
    }
}
