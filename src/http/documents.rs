//! The public documents, rendered once at start for each phase of our keys.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::jose::{Timeline, etag};
use crate::oauth::metadata::Metadata;

/// For how long verifiers may keep the documents.
pub const MAX_AGE: Duration = Duration::from_secs(300);

/// The same as the value of `Cache-Control`.
pub(super) const KEEP: &str = "public, max-age=300";

/// The media type of a JWKS (RFC 7517 §8.5.2).
const JWKS: &str = "application/jwk-set+json";

/// What the documents of every issuer say during one phase of our keys.
#[derive(Debug)]
pub struct Public {
    /// The metadata, but for what carries the URL of an issuer.
    pub template: Metadata,
    /// The public JWKS.
    pub jwks: Value,
}

/// Every path that is served, under the path of the issuer.
#[derive(Debug)]
pub(super) struct Documents {
    by_path: HashMap<String, Kind>,
    pairs: Timeline<Pair>,
    base: String,
    token_path: String,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Metadata,
    Jwks,
}

/// The documents of one phase.
#[derive(Debug)]
struct Pair {
    metadata: Document,
    jwks: Document,
}

/// A document as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    pub(super) etag: String,
    /// Whether it may be kept at all.
    pub(super) cacheable: bool,
}

impl Documents {
    /// Renders the documents of `issuer`; `base` is the path of its URL without a slash at the end.
    pub(super) fn new(
        base: &str,
        issuer: &str,
        publics: &Timeline<Public>,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            by_path: paths(base).into(),
            pairs: publics.try_map(|public| Pair::new(issuer, public))?,
            base: base.to_owned(),
            token_path: format!("{base}/token"),
        })
    }

    /// The document at `path` of an issuer that a request named, which has no path.
    pub(super) fn requested(
        path: &str,
        issuer: &str,
        public: &Public,
    ) -> serde_json::Result<Option<Document>> {
        let found = paths("").into_iter().find(|(known, _)| known == path);
        found
            .map(|(_, kind)| Ok(Pair::new(issuer, public)?.get(kind).clone()))
            .transpose()
    }

    /// Whether anything stands at `path` under an issuer without a path.
    pub(super) fn names(path: &str) -> bool {
        path == "/token" || path == "/keys" || path.starts_with("/.well-known/")
    }

    /// The document at `path`, as it is at `now`.
    pub(super) fn find(&self, path: &str, now: impl FnOnce() -> Duration) -> Option<&Document> {
        let kind = self.by_path.get(path)?;
        Some(self.pairs.at(now()).get(*kind))
    }

    /// Every document with its path, as it is at `now`, in no order.
    pub(super) fn iter(&self, now: Duration) -> impl Iterator<Item = (&str, &Document)> {
        let pair = self.pairs.at(now);
        let by_path = self.by_path.iter();
        by_path.map(|(path, kind)| (path.as_str(), pair.get(*kind)))
    }

    /// When a document next changes by the clock alone, in seconds since the Unix epoch.
    pub(super) fn next_change(&self, now: Duration) -> Option<u64> {
        let tags = |pair: &Pair| (pair.metadata.etag.clone(), pair.jwks.etag.clone());
        let current = tags(self.pairs.at(now));
        let mut later = self.pairs.after(now);
        later
            .find(|(_, pair)| tags(pair) != current)
            .map(|(from, _)| from)
    }

    /// The path of the issuer's URL, without a slash at the end.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn is_token_endpoint(&self, path: &str) -> bool {
        path == self.token_path
    }
}

/// What stands where under an issuer whose URL has the path `base`.
fn paths(base: &str) -> [(String, Kind); 5] {
    let authorization_server = "/.well-known/oauth-authorization-server";
    [
        (
            format!("{base}/.well-known/openid-configuration"),
            Kind::Metadata,
        ),
        (format!("{base}{authorization_server}"), Kind::Metadata),
        // RFC 8414 §3.1 puts the well-known part before the path of the issuer.
        (format!("{authorization_server}{base}"), Kind::Metadata),
        (format!("{base}/.well-known/jwks.json"), Kind::Jwks),
        (format!("{base}/keys"), Kind::Jwks),
    ]
}

impl Pair {
    fn new(issuer: &str, public: &Public) -> serde_json::Result<Self> {
        let metadata = public.template.for_issuer(issuer);
        Ok(Self {
            metadata: Document::render("application/json", &metadata)?,
            jwks: Document::render(JWKS, &public.jwks)?,
        })
    }

    fn get(&self, kind: Kind) -> &Document {
        match kind {
            Kind::Metadata => &self.metadata,
            Kind::Jwks => &self.jwks,
        }
    }
}

impl Document {
    /// Whether it holds the keys, which are the same for every issuer.
    pub(super) fn is_jwks(&self) -> bool {
        self.content_type == JWKS
    }

    fn render(content_type: &'static str, value: &impl Serialize) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(value)?;
        Ok(Self {
            content_type,
            etag: etag(&body),
            cacheable: true,
            body: body.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_the_same_as_the_number() {
        assert!(KEEP.ends_with(&format!("max-age={}", MAX_AGE.as_secs())));
    }
}
