//! Checks of issuers, key addresses and hosts.

use url::{Host, Url};

use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};
use crate::config::value::shorten;

const WHY_NOT_HTTP: &str = "whoever sits on the path could answer in the issuer's place and mint tokens; \
     write https://, or set insecure_http = true on this connector to accept that";

/// Checks where the tokens of a connector come from, and how its keys are reached.
pub(super) fn check_upstream(connector: &Connector, problems: &mut Problems) {
    check_upstream_issuer(connector, problems);
    if let Some(jwks_uri) = &connector.jwks_uri {
        let path = child_path(&connector.path, "jwks_uri");
        match parse_web(jwks_uri) {
            Ok(url) => refuse_plain_http(&url, connector, &path, problems),
            Err(what) => problems.error(
                path,
                format!("found {}, which {what}; expected the address of a JWKS, such as \"https://gitlab.example.com/oauth/discovery/keys\"", shown(jwks_uri)),
            ),
        }
    }
    check_hosts(connector, problems);
}

/// Checks the address of the userinfo endpoint.
pub(super) fn check_userinfo(connector: &Connector, problems: &mut Problems) {
    let Some(uri) = &connector.userinfo_uri else {
        return;
    };
    let path = child_path(&connector.path, "userinfo_uri");
    match parse_web(uri) {
        Ok(url) => refuse_plain_http(&url, connector, &path, problems),
        Err(what) => problems.error(
            path,
            format!("found {}, which {what}; expected the address of the userinfo endpoint, such as \"https://gitlab.example.com/oauth/userinfo\"", shown(uri)),
        ),
    }
}

fn check_hosts(connector: &Connector, problems: &mut Problems) {
    for (index, host) in connector.jwks_hosts.iter().enumerate() {
        if !host.is_empty() && !is_host(host) {
            problems.error(
                format!("{}.jwks_hosts[{index}]", connector.path),
                format!("found {}, expected a host or host:port without scheme or path, such as \"keys.example.com\"", shown(host)),
            );
        }
    }
}

fn check_upstream_issuer(connector: &Connector, problems: &mut Problems) {
    let issuer = connector.issuer.as_str();
    if issuer.is_empty() {
        return;
    }
    let path = child_path(&connector.path, "issuer");
    if issuer.contains(|c: char| c.is_whitespace() || c.is_control()) {
        problems.error(
            path,
            format!(
                "found {}, which contains whitespace; expected the exact `iss` of the tokens",
                shown(issuer)
            ),
        );
        return;
    }
    let lower = issuer.to_ascii_lowercase();
    let looks_like_web = lower.starts_with("http:") || lower.starts_with("https:");
    if looks_like_web {
        match parse_issuer(issuer) {
            Ok(url) => refuse_plain_http(&url, connector, &path, problems),
            Err(what) => problems.error(path, format!("found {}, which {what}; expected the exact `iss` of the tokens, such as \"https://gitlab.example.com\"", shown(issuer))),
        }
    } else if connector.jwks_uri.is_none() && connector.jwks_file.is_none() {
        problems.error(
            path,
            format!("found {}, which is not an https:// URL, so its keys cannot be discovered; write the URL, or say where its keys are with jwks_uri or jwks_file", shown(issuer)),
        );
    } else if looks_like_host(issuer) && issuer != GOOGLE {
        problems.warning(
            path,
            format!("{0} has no scheme, but is compared byte for byte with `iss` of the tokens, which mostly begins with https://: write {1}, unless the tokens really say {0}", shown(issuer), shown(&format!("https://{issuer}"))),
        );
    }
}

/// What Google wrote as `iss` before it had a scheme; some of its tokens still have it.
const GOOGLE: &str = "accounts.google.com";

/// Whether a text begins with what names a host: a dot or a port in its first part.
fn looks_like_host(issuer: &str) -> bool {
    let first = issuer.split('/').next().unwrap_or_default();
    let (name, port) = first.split_once(':').unwrap_or((first, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let has_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    !name.is_empty()
        && name.chars().all(is_name)
        && (has_port || port.is_empty() && name.trim_matches('.').contains('.'))
}

fn refuse_plain_http(url: &Url, connector: &Connector, path: &str, problems: &mut Problems) {
    if url.scheme() == "http" && !is_loopback(url) && !connector.insecure_http {
        problems.error(path, format!("plain http: {WHY_NOT_HTTP}"));
    }
}

/// Whether keys are fetched over plain http from another machine.
pub(super) fn fetches_over_plain_http(connector: &Connector) -> bool {
    let from = connector.jwks_uri.as_ref().unwrap_or(&connector.issuer);
    connector.jwks_file.is_none()
        && parse_web(from).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

/// A value for a message; what names a user may hold a password too, and is not shown.
pub(super) fn shown(text: &str) -> String {
    if text.contains('@') {
        return "an address".to_owned();
    }
    format!("{:?}", shorten(text))
}

/// As [`parse_web`], and without a query (RFC 8414 §2).
pub(super) fn parse_issuer(text: &str) -> Result<Url, &'static str> {
    let url = parse_web(text)?;
    match url.query() {
        Some(_) => Err("has a query (`?`)"),
        None => Ok(url),
    }
}

/// An absolute http or https URL without user, fragment, or anything that a parser would silently repair.
fn parse_web(text: &str) -> Result<Url, &'static str> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("contains whitespace");
    }
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"))
    else {
        return Err("does not begin with https:// or http://");
    };
    if rest.contains('\\') {
        return Err("contains a backslash");
    }
    if rest.contains('#') {
        return Err("has a fragment (`#`)");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("names a user (`@`)");
    }
    if authority.is_empty() {
        return Err("has no host");
    }
    Url::parse(text).map_err(|_| "is not a URL")
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_host(text: &str) -> bool {
    !text.contains(['/', '?', '*']) && parse_web(&format!("https://{text}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_plain_web_addresses() {
        for good in [
            "https://h",
            "http://h:8080/a/",
            "https://[::1]:1/x?y=z",
            "HTTPS://h",
        ] {
            assert!(parse_web(good).is_ok(), "{good}");
        }
        let bad = [
            "h",
            "ftp://h",
            "https:h",
            "https:\\\\h",
            "https://",
            "https:///x",
            "https://a b",
            "https://h#f",
            "https://u@h",
            "https://:@h/",
            "https://h:99999",
            "https://h\\@x",
            "\thttps://h",
        ];
        for bad in bad {
            assert!(parse_web(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_loopback() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for yes in [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.9.9.9",
            "http://[::1]/",
        ] {
            assert!(loopback(yes), "{yes}");
        }
        for no in [
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
        ] {
            assert!(!loopback(no), "{no}");
        }
    }

    #[test]
    fn an_issuer_that_looks_like_a_host_is_one() {
        for yes in ["gitlab.internal", "gitlab:8443", "gitlab.internal:8443/x"] {
            assert!(looks_like_host(yes), "{yes}");
        }
        for no in [
            "kubernetes/serviceaccount",
            "urn:a.b",
            "gitlab",
            "spiffe://a.b",
            "a b.c",
            "",
        ] {
            assert!(!looks_like_host(no), "{no}");
        }
    }

    #[test]
    fn knows_hosts() {
        for yes in [
            "keys.example.com",
            "keys.example.com:8443",
            "[::1]:80",
            "10.0.0.1",
        ] {
            assert!(is_host(yes), "{yes}");
        }
        for no in [
            "https://keys.example.com",
            "h/",
            "h/x",
            "u@h",
            "*.example.com",
            "h:port",
            "h x",
        ] {
            assert!(!is_host(no), "{no}");
        }
    }
}
