//! Where a listener stands, and who may open its socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use config::{Value, ValueKind};

use super::value::{FromValue, Sink, wrong};

/// What is expected where a listener is configured.
const FORMS: &str = "\"host:port\", such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\", or a unix socket, such as \"unix:/run/remint/remint.sock\"";

/// Where a listener stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`; empty where something wrong was found and reported.
    Tcp(String),
    /// `unix:PATH`; a relative path is already joined to the folder of the configuration.
    Unix(PathBuf),
}

impl Address {
    /// Whether it stands for something wrong that was reported when it was read.
    pub(super) fn is_blank(&self) -> bool {
        *self == Self::Tcp(String::new())
    }

    /// Whether two listeners cannot both have it: of port 0 there is always another.
    pub(super) fn is_exclusive(&self) -> bool {
        !matches!(self, Self::Tcp(address) if address.ends_with(":0"))
    }

    /// Whether only this machine reaches it.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => match address.parse::<SocketAddr>() {
                Ok(address) => address.ip().is_loopback(),
                Err(_) => address
                    .rsplit_once(':')
                    .is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
            },
        }
    }

    fn parse(text: &str, path: &str, sink: &mut Sink) -> Self {
        let parsed = match text.strip_prefix("unix:") {
            Some(socket) if is_file_name(socket) => Some(Self::Unix(sink.folder.join(socket))),
            None if is_tcp(text) => Some(Self::Tcp(text.to_owned())),
            _ => None,
        };
        parsed.unwrap_or_else(|| {
            let message = format!("found {text:?}, expected {FORMS}");
            sink.problems.error(path, message);
            Self::Tcp(String::new())
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromValue for Address {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let text = String::read(value, path, sink)?;
        Some(Self::parse(&text, path, sink))
    }
}

impl FromValue for Vec<Address> {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let texts = Vec::<String>::read(value, path, sink)?;
        let mut addresses = Self::new();
        for (index, text) in texts.into_iter().enumerate() {
            addresses.push(if text.is_empty() {
                Address::Tcp(text)
            } else {
                Address::parse(&text, &format!("{path}[{index}]"), sink)
            });
        }
        Some(addresses)
    }
}

fn is_tcp(address: &str) -> bool {
    if address.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let is_host = |host: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
        !host.is_empty() && host.chars().all(is_part)
    };
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && is_port(port))
}

fn is_file_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    !path.contains('\0') && !matches!(name, "" | "." | "..")
}

/// The permission bits of unix sockets; connecting takes the write bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(pub u32);

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl SocketMode {
    /// Three octal digits, or four of which the first is 0; one that lets nobody connect is none.
    fn parse(text: &str) -> Option<Self> {
        let digits = match text.len() {
            4 => text.strip_prefix('0')?,
            3 => text,
            _ => return None,
        };
        let is_octal = digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
        let mode = u32::from_str_radix(digits, 8).ok()?;
        (is_octal && mode & 0o222 != 0).then_some(Self(mode))
    }
}

impl FromValue for SocketMode {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        const EXPECTED: &str = "an octal string that lets somebody write, which is what connecting takes, such as \"0660\" or \"0600\"";
        let read = match &value.kind {
            ValueKind::String(text) => Self::parse(text),
            _ => None,
        };
        read.or_else(|| wrong(&value.kind, EXPECTED, path, sink))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_and_let_somebody_in() {
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0777", 0o777)] {
            assert_eq!(SocketMode::parse(text), Some(SocketMode(mode)), "{text}");
        }
        for text in [
            "",
            "0",
            "66",
            "1660",
            "0680",
            "+660",
            "0o660",
            "rw-rw----",
            "0444",
            "00660",
        ] {
            assert_eq!(SocketMode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn knows_what_only_this_machine_reaches() {
        for (address, local) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("127.example.com:1", false),
        ] {
            assert_eq!(
                Address::Tcp(address.to_owned()).is_local(),
                local,
                "{address}"
            );
        }
        assert!(Address::Unix("/run/a".into()).is_local());
    }
}
