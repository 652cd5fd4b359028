//! Which issuer a request is for, and what stands under its URL.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;
use warp::http::HeaderMap;
use warp::http::header::HOST;

use super::documents::{Document, Documents, KEEP};
use crate::oauth::metadata::Metadata;
use crate::oauth::{Reason, Refusal};

/// The issuers that one instance answers for.
#[derive(Debug)]
pub enum Issuers {
    /// Configured ones, with everything under them rendered at start.
    Listed(Vec<Listed>),
    /// The scheme and host of each request.
    FromRequest {
        /// The metadata, but for what the request decides.
        template: Box<Metadata>,
        /// The public JWKS.
        jwks: Value,
    },
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
    pub fn listed(
        issuers: &[String],
        template: &Metadata,
        jwks: &Value,
    ) -> serde_json::Result<Self> {
        let listed = issuers
            .iter()
            .map(|issuer| Listed::new(issuer, template, jwks));
        listed.collect::<Result<_, _>>().map(Self::Listed)
    }

    /// Every document of every configured issuer, the keys first; none where issuers come from requests.
    pub fn documents(&self) -> Vec<Published<'_>> {
        let listed = match self {
            Self::Listed(issuers) => issuers.as_slice(),
            Self::FromRequest { .. } => &[],
        };
        let mut documents: Vec<_> = listed.iter().flat_map(Listed::published).collect();
        documents.sort_by_key(|document| (!document.is_jwks, document.path));
        documents
    }

    /// What `path` is for a request with these headers; `None` where it is nothing.
    ///
    /// Only `from-request` refuses: a `Host` that is none cannot become an issuer.
    pub(super) fn find(
        &self,
        headers: &HeaderMap,
        is_https: bool,
        path: &str,
    ) -> Result<Option<Found<'_>>, Refusal> {
        // Two of them are none: what stands before Remint may have read the other one.
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none());
        let host = host.and_then(|host| host.to_str().ok());
        match self {
            Self::Listed(issuers) => Ok(find_listed(issuers, host, path)),
            Self::FromRequest { template, jwks } => {
                let issuer = host.and_then(|host| requested_issuer(host, is_https));
                find_requested(template, jwks, issuer, path)
            }
        }
    }
}

impl Listed {
    fn new(issuer: &str, template: &Metadata, jwks: &Value) -> serde_json::Result<Self> {
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
            documents: Documents::new(
                &base.unwrap_or_default(),
                &template.for_issuer(issuer),
                jwks,
            )?,
        })
    }

    fn published(&self) -> impl Iterator<Item = Published<'_>> {
        self.documents.iter().map(|(path, document)| Published {
            issuer: &self.issuer,
            host: &self.host,
            path,
            is_jwks: document.is_jwks(),
            content_type: document.content_type,
            cache_control: KEEP,
            body: &document.body,
        })
    }

    fn find(&self, path: &str) -> Option<Found<'_>> {
        if self.documents.is_token_endpoint(path) {
            return Some(Found::Token(Ok(Cow::Borrowed(&self.issuer))));
        }
        let document = self.documents.find(path)?;
        Some(Found::Document(Cow::Borrowed(document)))
    }
}

/// The issuer of the request's host under which `path` is something, else the first issuer's.
fn find_listed<'a>(issuers: &'a [Listed], host: Option<&str>, path: &str) -> Option<Found<'a>> {
    // Paths are whole ones, so that at most one issuer of a host knows a path.
    if let [_, _, ..] = issuers
        && let Some(host) = host
        && let Some(found) = issuers
            .iter()
            .filter(|issuer| issuer.host == plain_host(host, issuer.implied))
            .find_map(|issuer| issuer.find(path))
    {
        return Some(found);
    }
    issuers.first()?.find(path)
}

/// A `Host` in lower case, without the port that the scheme implies.
fn plain_host(host: &str, implied: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(implied).unwrap_or(&host).to_owned()
}

fn find_requested<'a>(
    template: &Metadata,
    jwks: &Value,
    issuer: Option<String>,
    path: &str,
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
    let documents = Documents::new("", &template.for_issuer(&issuer), jwks).map_err(defect)?;
    let document = documents.find(path).cloned().map(|document| Document {
        // Another Host would get another document, so nothing between may keep this one.
        cacheable: document.is_jwks(),
        ..document
    });
    Ok(document.map(|document| Found::Document(Cow::Owned(document))))
}

/// The issuer that a `Host` names; only one that a verifier reads as the same host and port.
fn requested_issuer(host: &str, is_https: bool) -> Option<String> {
    let (scheme, implied) = if is_https {
        ("https", ":443")
    } else {
        ("http", ":80")
    };
    let issuer = format!("{scheme}://{}", plain_host(host, implied));
    let url = url::Url::parse(&issuer).ok()?;
    let is_same = url.as_str().strip_suffix('/') == Some(issuer.as_str());
    (host.len() <= 255 && url.username().is_empty() && is_same).then_some(issuer)
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
