//! Which issuer a request is for, and what stands under its URL.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use warp::http::HeaderMap;
use warp::http::header::HOST;

use super::documents::{Document, Documents, KEEP, Public};
use super::serve::is_host;
use crate::clock::Clock;
use crate::jose::Timeline;
use crate::oauth::{Reason, Refusal};

/// The longest `Host` that can become an issuer, in bytes.
const LONGEST_HOST: usize = 255;

/// The issuers that one instance answers for.
#[derive(Debug)]
pub enum Issuers {
    /// Configured ones, with everything under them rendered at start.
    Listed(Vec<Listed>),
    /// The scheme and host of each request.
    FromRequest(Box<Timeline<Public>>),
}

/// One configured issuer.
#[derive(Debug)]
pub struct Listed {
    issuer: String,
    /// `host[:port]` in lower case, without the port that the scheme implies.
    host: String,
    /// That port, such as `:443`.
    implied: &'static str,
    documents: Documents,
}

/// A public document of a configured issuer, exactly as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// The issuer whose document it is.
    pub issuer: &'a str,
    /// `host[:port]` of the issuer, without the port that its scheme implies.
    pub host: &'a str,
    /// Where it stands on that host: the path of its URL.
    pub path: &'a str,
    /// Whether it holds the keys; else it is metadata.
    pub is_jwks: bool,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its `Cache-Control`.
    pub cache_control: &'static str,
    /// Its bytes.
    pub body: &'a Bytes,
}

/// What a path is, under the issuer that serves it.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// The token endpoint of this issuer, where the request names one well.
    Token(Result<Cow<'a, str>, Refusal>),
    /// A public document.
    Document(Cow<'a, Document>),
}

impl Issuers {
    /// Renders the documents of each issuer.
    pub fn listed(issuers: &[String], publics: &Timeline<Public>) -> serde_json::Result<Self> {
        let listed = issuers.iter().map(|issuer| Listed::new(issuer, publics));
        listed.collect::<Result<_, _>>().map(Self::Listed)
    }

    /// Every document of every configured issuer as it is at `now`, the keys first; none where issuers come
    /// from requests.
    pub fn documents(&self, now: Duration) -> Vec<Published<'_>> {
        let listed = self.configured().iter();
        let mut documents: Vec<_> = listed.flat_map(|issuer| issuer.published(now)).collect();
        documents.sort_by_key(|document| (!document.is_jwks, document.path));
        documents
    }

    /// When a document of a configured issuer next changes by the clock alone, in seconds since the Unix epoch.
    pub fn next_change(&self, now: Duration) -> Option<u64> {
        // All of them follow the same keys.
        self.configured().first()?.documents.next_change(now)
    }

    fn configured(&self) -> &[Listed] {
        match self {
            Self::Listed(issuers) => issuers,
            Self::FromRequest(_) => &[],
        }
    }

    /// The path of the issuer's URL that a request for `path`, where nothing is, was probably meant for.
    pub(super) fn nearest_base(&self, headers: &HeaderMap, path: &str) -> &str {
        let host = only_host(headers);
        let fit = |issuer: &&Listed| {
            let base = issuer.documents.base();
            let is_here = host.is_some_and(|host| issuer.is_at(host));
            (is_here, path.starts_with(base).then_some(base.len()))
        };
        // Of equals the first: it serves what no other one does.
        let nearest = self.configured().iter().rev().max_by_key(fit);
        nearest.map_or("", |issuer| issuer.documents.base())
    }

    /// What `path` is for a request with these headers; `None` where it is nothing.
    ///
    /// Only `from-request` refuses: a `Host` that is none cannot become an issuer.
    pub(super) fn find(
        &self,
        headers: &HeaderMap,
        is_https: bool,
        path: &str,
        clock: &dyn Clock,
    ) -> Result<Option<Found<'_>>, Refusal> {
        let host = only_host(headers);
        match self {
            Self::Listed(issuers) => Ok(find_listed(issuers, host, path, clock)),
            Self::FromRequest(publics) => {
                let issuer = host.and_then(|host| requested_issuer(host, is_https));
                find_requested(publics, issuer, path, clock.unix())
            }
        }
    }
}

impl Listed {
    fn new(issuer: &str, publics: &Timeline<Public>) -> serde_json::Result<Self> {
        let url = url::Url::parse(issuer).ok();
        let host = url.as_ref().and_then(|url| {
            let port = url
                .port()
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            Some(format!("{}{port}", url.host_str()?))
        });
        let base = url.map(|url| url.path().trim_end_matches('/').to_owned());
        Ok(Self {
            issuer: issuer.to_owned(),
            host: host.unwrap_or_default(),
            implied: if issuer.starts_with("https:") {
                ":443"
            } else {
                ":80"
            },
            documents: Documents::new(&base.unwrap_or_default(), issuer, publics)?,
        })
    }

    fn published(&self, now: Duration) -> impl Iterator<Item = Published<'_>> {
        self.documents.iter(now).map(|(path, document)| Published {
            issuer: &self.issuer,
            host: &self.host,
            path,
            is_jwks: document.is_jwks(),
            content_type: document.content_type,
            cache_control: KEEP,
            body: &document.body,
        })
    }

    fn is_at(&self, host: &str) -> bool {
        self.host == plain_host(host, self.implied)
    }

    fn find(&self, path: &str, clock: &dyn Clock) -> Option<Found<'_>> {
        if self.documents.is_token_endpoint(path) {
            return Some(Found::Token(Ok(Cow::Borrowed(&self.issuer))));
        }
        let document = self.documents.find(path, || clock.unix())?;
        Some(Found::Document(Cow::Borrowed(document)))
    }
}

/// The issuer of the request's host under which `path` is something, else the first issuer's.
fn find_listed<'a>(
    issuers: &'a [Listed],
    host: Option<&str>,
    path: &str,
    clock: &dyn Clock,
) -> Option<Found<'a>> {
    // Paths are whole ones, so that at most one issuer of a host knows a path.
    if let [_, _, ..] = issuers
        && let Some(host) = host
        && let Some(found) = issuers
            .iter()
            .filter(|issuer| issuer.is_at(host))
            .find_map(|issuer| issuer.find(path, clock))
    {
        return Some(found);
    }
    issuers.first()?.find(path, clock)
}

/// The `Host`; two of them are none: what stands before Remint may have read the other one.
fn only_host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none());
    host.and_then(|host| host.to_str().ok())
}

/// A `Host` in lower case, without the port that the scheme implies.
fn plain_host(host: &str, implied: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(implied).unwrap_or(&host).to_owned()
}

fn find_requested<'a>(
    publics: &Timeline<Public>,
    issuer: Option<String>,
    path: &str,
    now: Duration,
) -> Result<Option<Found<'a>>, Refusal> {
    if !Documents::names(path) {
        return Ok(None);
    }
    let issuer = issuer.ok_or_else(|| {
        Refusal::new(
            Reason::ParameterMalformed,
            "the request has no usable Host header, which becomes the issuer here",
        )
    });
    if path == "/token" {
        return Ok(Some(Found::Token(issuer.map(Cow::Owned))));
    }
    let issuer = issuer?;
    let defect = |_| Refusal::new(Reason::Internal, "the metadata cannot be rendered");
    let document = Documents::requested(path, &issuer, publics.at(now)).map_err(defect)?;
    let document = document.map(|document| Document {
        // Another Host would get another document, so nothing between may keep this one.
        cacheable: document.is_jwks(),
        ..document
    });
    Ok(document.map(|document| Found::Document(Cow::Owned(document))))
}

/// The issuer that a `Host` names; only one that a verifier reads as the same host and port, and as nothing else.
fn requested_issuer(host: &str, is_https: bool) -> Option<String> {
    if !is_host(host.as_bytes()) || host.contains('%') || host.len() > LONGEST_HOST {
        return None;
    }
    let (scheme, implied) = if is_https {
        ("https", ":443")
    } else {
        ("http", ":80")
    };
    let issuer = format!("{scheme}://{}", plain_host(host, implied));
    let url = url::Url::parse(&issuer).ok()?;
    let is_same = url.as_str().strip_suffix('/') == Some(issuer.as_str());
    is_same.then_some(issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_compare_without_case_and_implied_ports() {
        assert_eq!(plain_host("STS.example.com:443", ":443"), "sts.example.com");
        assert_eq!(plain_host("h:443", ":80"), "h:443");
    }
}
