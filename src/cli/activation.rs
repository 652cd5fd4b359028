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

    /// By the name in `LISTEN_FDNAMES`.
    fn of(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, known)| *known)
    }

    fn names() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }
}

/// Whether nobody chose `name`: it is that of the unit, or none.
fn is_unnamed(name: &str) -> bool {
    matches!(name, "" | "unknown") || name.ends_with(".socket")
}

/// What each of the sockets is for. One without a name is a main one, if it is alone and there is no other kind.
pub(super) fn name(
    passed: Vec<(Option<Use>, Passed)>,
    has_tls: bool,
) -> Result<Vec<(Use, Passed)>, String> {
    let is_plain = passed.len() == 1 && !has_tls;
    let named = passed.into_iter().map(|(purpose, socket)| {
        let purpose = purpose.or(is_plain.then_some(Use::Main));
        let purpose = purpose.ok_or_else(|| {
            format!(
                "systemd passes a socket without a name, and it could be for more than one thing: set FileDescriptorName= to one of {}",
                Use::names()
            )
        })?;
        Ok((purpose, socket))
    });
    named.collect()
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

/// Takes every socket that was passed to this process, with what its name says it is for, if it has one.
///
/// It clears the variables that tell of them, so it comes before there are threads.
pub(super) fn take() -> Result<Vec<(Option<Use>, Passed)>, String> {
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
        let purpose = Use::of(name);
        if purpose.is_none() && !is_unnamed(name) {
            return Err(format!(
                "systemd passes a socket with the name {name:?}: set FileDescriptorName= to one of {}",
                Use::names()
            ));
        }
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
            ("remint.socket", None),
            ("unknown", None),
            ("", None),
            ("Main", None),
            ("https", None),
        ] {
            assert_eq!(Use::of(name), purpose, "{name}");
            let is_known = !matches!(name, "Main" | "https");
            assert_eq!(purpose.is_some() || is_unnamed(name), is_known, "{name}");
        }
    }
}
