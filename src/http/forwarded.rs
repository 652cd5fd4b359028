//! Where a request really comes from: what trusted proxies say of it (RFC 7239, and `X-Forwarded-For`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;
use warp::http::header::{FORWARDED, HeaderName};

use super::serve::Peer;
use crate::config::{Proxies, ProxyHeader};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The address that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The address; one that was written as IPv6 for an IPv4 address is that.
    pub ip: IpAddr,
    /// The port, where it is known.
    pub port: Option<u16>,
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        Self {
            ip: address.ip().to_canonical(),
            port: Some(address.port()),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// Where a request with these headers comes from; `None` where the transport has no addresses and nobody
/// who is trusted names one.
///
/// From the peer on, each trusted proxy is believed for the address before it, until one is not trusted
/// or says nothing that can be read.
pub(super) fn remote(headers: &HeaderMap, peer: Option<Peer>, proxies: &Proxies) -> Option<Remote> {
    let peer = peer?;
    let direct = peer.0.map(Remote::from);
    if !is_trusted(peer, proxies) {
        return direct;
    }
    // The other header is whoever's: a proxy hands on what it does not write itself.
    match proxies.header() {
        ProxyHeader::XForwardedFor => walk(direct, forwarded_for(headers), proxies),
        ProxyHeader::Forwarded => walk(direct, forwarded(headers), proxies),
    }
}

/// Whether the caller speaks https: by the word of a trusted proxy, else as the request came.
pub(super) fn is_https(
    headers: &HeaderMap,
    peer: Option<Peer>,
    over_tls: bool,
    proxies: &Proxies,
) -> bool {
    if !peer.is_some_and(|peer| is_trusted(peer, proxies)) {
        return over_tls;
    }
    // Of several, the last was written by the proxy that is trusted.
    let last = |name: HeaderName| headers.get_all(name).iter().next_back()?.to_str().ok();
    let said = match proxies.header() {
        ProxyHeader::XForwardedFor => {
            let line = last(HeaderName::from_static(FORWARDED_PROTO));
            line.and_then(|line| Some(line.rsplit(',').next()?.trim()))
        }
        ProxyHeader::Forwarded => {
            let hops = last(FORWARDED).and_then(|line| elements(line).ok());
            hops.and_then(|hops| hops.last()?.proto)
        }
    };
    match said.map(str::to_ascii_lowercase).as_deref() {
        Some("https") => true,
        Some("http") => false,
        _ => over_tls,
    }
}

fn is_trusted(peer: Peer, proxies: &Proxies) -> bool {
    match peer.0 {
        Some(address) => proxies.trusts(address.ip()),
        None => proxies.trusts_unix(),
    }
}

/// Goes from `direct` back over `hops`, the last of which comes first.
fn walk(
    direct: Option<Remote>,
    hops: impl Iterator<Item = Option<Remote>>,
    proxies: &Proxies,
) -> Option<Remote> {
    let mut found = direct;
    for hop in hops {
        let Some(hop) = hop else { break };
        found = Some(hop);
        if !proxies.trusts(hop.ip) {
            break;
        }
    }
    found
}

/// The hops of `X-Forwarded-For`, the last one first, those that cannot be read as `None`.
fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<Remote>> {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    lines.flat_map(|line| {
        let hops = line.to_str().unwrap_or_default().rsplit(',');
        hops.map(|hop| node(hop.trim()))
    })
}

/// The same of `Forwarded`.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<Remote>> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    lines.flat_map(|line| {
        let hops = line.to_str().map_err(|_| Unreadable).and_then(elements);
        let hops = hops.map(|hops| hops.iter().map(|hop| hop.node).collect());
        let hops: Vec<_> = hops.unwrap_or_else(|_| vec![None]);
        hops.into_iter().rev()
    })
}

/// A line is out of order.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable;

/// What one element of `Forwarded` says; a parameter that stands twice says nothing.
#[derive(Debug, PartialEq, Eq)]
struct Hop<'a> {
    /// The node of `for`, if it can be read.
    node: Option<Remote>,
    /// `proto`.
    proto: Option<&'a str>,
}

/// The hops in one line of `Forwarded`; an error where any part of it is out of order: an open quote of the caller's
/// would swallow the comma before what the proxy has written.
fn elements(line: &str) -> Result<Vec<Hop<'_>>, Unreadable> {
    split(line, ',').into_iter().map(element).collect()
}

fn element(element: &str) -> Result<Hop<'_>, Unreadable> {
    let (mut nodes, mut protos) = (Vec::new(), Vec::new());
    for pair in split(element, ';') {
        if pair.trim().is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=').ok_or(Unreadable)?;
        if name.contains('"') {
            return Err(Unreadable);
        }
        let value = unquoted(value.trim()).ok_or(Unreadable)?;
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => nodes.push(value),
            name if name.eq_ignore_ascii_case("proto") => protos.push(value),
            _ => {}
        }
    }
    Ok(Hop {
        node: single(&nodes).and_then(node),
        proto: single(&protos),
    })
}

fn single<'a>(values: &[&'a str]) -> Option<&'a str> {
    match values {
        [value] => Some(value),
        _ => None,
    }
}

/// What stands in `value`, which is without quotes or one whole quoted string.
fn unquoted(value: &str) -> Option<&str> {
    let Some(quoted) = value.strip_prefix('"') else {
        return (!value.contains('"')).then_some(value);
    };
    let inner = quoted.strip_suffix('"')?;
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return None,
            _ => {}
        }
    }
    (!escaped).then_some(inner)
}

/// `text` at each `separator` outside of quotes (RFC 9110 §5.6.4).
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c: char| {
        let outside = !quoted && c == separator;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        outside
    });
    parts.collect()
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `[2001:db8::1]`, `2001:db8::1`.
fn node(text: &str) -> Option<Remote> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.into());
    }
    let bare = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let ip: IpAddr = bare.parse().ok()?;
    Some(Remote {
        ip: ip.to_canonical(),
        port: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nodes_as_proxies_write_them() {
        for (text, shown) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1:80")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]:80")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("[192.0.2.1", None),
            ("192.0.2.1:99999", None),
            ("", None),
        ] {
            let found = node(text).map(|node| node.to_string());
            assert_eq!(found.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn reads_elements_with_quotes_in_them() {
        let read = elements(
            r#"for="_a,b;\"for=1.1.1.1", By=x;FOR="[2001:db8::1]:9" , proto=http;for=192.0.2.1"#,
        );
        let read = read.unwrap();
        let shown: Vec<_> = read
            .iter()
            .map(|hop| hop.node.map(|node| node.to_string()))
            .collect();
        let expected = [None, Some("[2001:db8::1]:9"), Some("192.0.2.1")];
        assert_eq!(shown, expected.map(|hop| hop.map(str::to_owned)));
        let none = || Hop {
            node: None,
            proto: None,
        };
        assert_eq!(elements("for=1.1.1.1;for=2.2.2.2"), Ok(vec![none()]));
        assert_eq!(elements("proto=http;proto=https"), Ok(vec![none()]));
        assert_eq!(elements(" ,"), Ok(vec![none(), none()]));
        for broken in [
            "for",
            r#"for="1.1.1.1"#,
            r#"for=1.1.1.1;x=", for=2.2.2.2"#,
            r#"for=1.1.1.1;", for=2.2.2.2"#,
            r#"for=1.1.1.1;"=", for=2.2.2.2"#,
            r#"for=1.1.1.1;x="\, for=2.2.2.2"#,
            r#"for=1.1.1.1;x=", for="[2001:db8::1]""#,
            r#"for=1.1.1.1;x=", for="2.2.2.2:80";by="a""#,
            r#"for=1.1.1.1;x="\", for=2.2.2.2"#,
        ] {
            assert_eq!(elements(broken), Err(Unreadable), "{broken}");
        }
    }
}
