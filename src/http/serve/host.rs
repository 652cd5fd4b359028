//! Which host a request is for: `Host` and `:authority` (RFC 9112 §3.2, RFC 9113 §8.3.1).

use std::net::Ipv6Addr;

use http::header::HOST;
use http::{HeaderValue, Request, Version};

/// Stands in the extensions of a request that does not say well which host it is for; answer it with 400. The text
/// says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostProblem(pub &'static str);

/// Checks the host of `request`, and puts that of its target into `Host`, where routes look for it: a `Host` beside
/// the target of HTTP/1 does not count (RFC 9112 §3.2.2).
pub(super) fn settle<B>(request: &mut Request<B>) -> Result<(), HostProblem> {
    check(request)?;
    let authority = request.uri().authority();
    let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

fn check<B>(request: &Request<B>) -> Result<(), HostProblem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(HostProblem(
            "the request has more than one Host header: send one",
        ));
    }
    let authority = request.uri().authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let implied: &[u8] = match request.uri().scheme_str() {
        Some("https") => b":443",
        _ => b":80",
    };
    match (request.version(), host, authority) {
        (Version::HTTP_11, None, _) => {
            return Err(HostProblem(
                "the request has no Host header, which HTTP/1.1 requires: send one",
            ));
        }
        (Version::HTTP_2, None, None) => {
            return Err(HostProblem(
                "the request has neither :authority nor a Host header: send :authority",
            ));
        }
        (Version::HTTP_2, Some(host), Some(authority)) if !is_same(host, authority, implied) => {
            return Err(HostProblem(
                "the Host header and :authority differ: send only :authority",
            ));
        }
        _ => {}
    }
    if ![host, authority].into_iter().flatten().all(is_host) {
        return Err(HostProblem(
            "the host of the request is not a name or an address with an optional port",
        ));
    }
    Ok(())
}

/// Whether two hosts are the same, with the port that the scheme implies or without it.
fn is_same(one: &[u8], other: &[u8], implied: &[u8]) -> bool {
    let plain = |host: &[u8]| {
        host.strip_suffix(implied)
            .unwrap_or(host)
            .to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

/// Whether `text` is a host with an optional port, and nothing else (RFC 3986 §3.2.2); nothing at all is one, too.
pub(in crate::http) fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    if let Some(literal) = text.strip_prefix('[') {
        return literal.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    match text.split_once(':') {
        None => is_name(text),
        Some((name, port)) => !name.is_empty() && is_name(name) && is_port(port),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.is_empty() || text.parse::<u16>().is_ok())
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_allowed = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_allowed {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for text in [
            "",
            "a",
            "STS.example.com",
            "sts.example.com:8443",
            "a:",
            "xn--bcher-kva.example",
            "a_b.example",
            "a%2eb",
            "192.0.2.1:80",
            "[2001:db8::1]",
            "[::1]:8080",
        ] {
            assert!(is_host(text.as_bytes()), "{text}");
        }
        for text in [
            ":80",
            "a:b",
            "a:80:80",
            "a:70000",
            "a:+8",
            "a b",
            "a@b",
            "u:p@b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "<a>",
            "a%2",
            "a%zz",
            "b\u{fc}cher",
            "[::1",
            "[::1]80",
            "[a]",
            "[::1%25eth0]",
            "::1",
        ] {
            assert!(!is_host(text.as_bytes()), "{text}");
        }
        assert!(!is_host(b"a\xff"));
    }
}
