//! Which upstream URLs may be contacted at all.

use url::{Host, Url};

/// Reads an http or https URL; the error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("is not an https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a user name or password: use `headers` or `bearer_file` instead".to_owned(),
        );
    }
    Ok(url)
}

/// Whether whoever sits on the path could replace what this URL answers: plain http outside loopback.
pub(super) fn is_exposed(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

/// Whether `url` names a host of `hosts`, each `name` or `name:port`.
pub(super) fn is_listed(url: &Url, hosts: &[String]) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    hosts.iter().any(|listed| {
        if listed.eq_ignore_ascii_case(host) {
            return true;
        }
        let port = url.port_or_known_default();
        listed.rsplit_once(':').is_some_and(|(name, listed_port)| {
            name.eq_ignore_ascii_case(host) && listed_port.parse().ok() == port
        })
    })
}

/// The URL as logs and errors show it: without its query, which may hold a secret.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Whether a URL stays on this machine, as far as its host says.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_speak_plain_http() {
        for (url, exposed) in [
            ("https://a.example", false),
            ("http://a.example", true),
            ("http://127.9.9.9:1", false),
            ("http://[::1]/x", false),
            ("http://LOCALHOST:80", false),
            ("http://localhost.evil.example", true),
        ] {
            assert_eq!(is_exposed(&parse(url).unwrap()), exposed, "{url}");
        }
        assert!(parse("ftp://a.example").is_err());
        assert!(parse("https://u:p@a.example").is_err());
    }

    #[test]
    fn a_listed_host_may_fix_its_port() {
        let url = Url::parse("https://Keys.example:8443/k?secret=1").unwrap();
        let listed = |host: &str| is_listed(&url, &[host.to_owned()]);
        assert!(listed("keys.example") && listed("KEYS.example:8443"));
        assert!(!listed("keys.example:443") && !listed("example") && !listed(""));
        assert_eq!(shown(&url), "https://keys.example:8443/k");
    }
}
