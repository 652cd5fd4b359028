//! Where a request really comes from: what trusted proxies say of it (RFC 7239, and `X-Forwarded-For`).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;
use warp::http::header::FORWARDED;

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
    let said = match proxies.header() {
        ProxyHeader::XForwardedFor => hops(headers, FORWARDED_PROTO).next().flatten(),
        ProxyHeader::Forwarded => {
            let hop = hops(headers, FORWARDED.as_str()).next().flatten();
            hop.and_then(|hop| element(hop)?.proto)
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
    hops(headers, FORWARDED_FOR).map(|hop| hop.and_then(node))
}

/// The same of `Forwarded`.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Option<Remote>> {
    hops(headers, FORWARDED.as_str()).map(|hop| hop.and_then(element)?.node)
}

/// What the lines of a header hold between commas, the last first; `None` for what is no text.
///
/// Each hop is read by itself: whatever the caller wrote, an odd byte or an open quote, what the proxy has written
/// behind its comma counts. So a comma in quotes divides, too; no address has one.
fn hops<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    let lines = headers.get_all(name).iter().rev();
    let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    hops.map(|hop| std::str::from_utf8(hop).ok().map(str::trim))
}

/// What one element of `Forwarded` says; a parameter that stands twice says nothing.
#[derive(Debug, PartialEq, Eq)]
struct Hop<'a> {
    /// The node of `for`, if it can be read.
    node: Option<Remote>,
    /// `proto`.
    proto: Option<&'a str>,
}

/// Reads one element of `Forwarded`; `None` where any part of it is out of order.
fn element(element: &str) -> Option<Hop<'_>> {
    let (mut nodes, mut protos) = (Vec::new(), Vec::new());
    for pair in split_pairs(element) {
        if pair.trim().is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        if name.contains('"') {
            return None;
        }
        let value = unquoted(value.trim())?;
        match name.trim() {
            name if name.eq_ignore_ascii_case("for") => nodes.push(value),
            name if name.eq_ignore_ascii_case("proto") => protos.push(value),
            _ => {}
        }
    }
    Some(Hop {
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

/// The pairs of an element: its parts between semicolons outside of quotes (RFC 7239 §4).
fn split_pairs(element: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    element.split(move |c: char| {
        let outside = !quoted && c == ';';
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        outside
    })
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
        let address = |text| element(text).and_then(|hop| Some(hop.node?.to_string()));
        for (text, expected) in [
            (r#"By=x;FOR="[2001:db8::1]:9" "#, Some("[2001:db8::1]:9")),
            (
                r#"proto=http;for=192.0.2.1;x="a;for=1.1.1.1""#,
                Some("192.0.2.1"),
            ),
            (r#"for="_hidden""#, None),
            ("for=1.1.1.1;for=2.2.2.2", None),
            ("", None),
            ("for", None),
            (r#"for="1.1.1.1"#, None),
            (r#"for=1.1.1.1;x=""#, None),
            (r#"for=1.1.1.1;"="#, None),
            (r#"for=1.1.1.1;x="\"#, None),
            (r#"for="2.2.2.2:80";by="a"#, None),
        ] {
            assert_eq!(address(text).as_deref(), expected, "{text}");
        }
        assert_eq!(element("proto=http;proto=https").unwrap().proto, None);
    }
}
