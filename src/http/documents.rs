//! The public documents, rendered once at start.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;

use crate::jose::etag;

/// For how long verifiers may keep the documents: the value of `Cache-Control`.
pub(super) const KEEP: &str = "public, max-age=300";

/// The media type of a JWKS (RFC 7517 §8.5.2).
const JWKS: &str = "application/jwk-set+json";

/// Every path that is served, under the path of the issuer.
#[derive(Debug)]
pub(super) struct Documents {
    by_path: HashMap<String, Document>,
    token_path: String,
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
        metadata: &impl Serialize,
        jwks: &impl Serialize,
    ) -> serde_json::Result<Self> {
        let metadata = Document::render("application/json", metadata)?;
        let jwks = Document::render(JWKS, jwks)?;
        let mut by_path = HashMap::new();
        let authorization_server = "/.well-known/oauth-authorization-server";
        for (path, document) in [
            (
                format!("{base}/.well-known/openid-configuration"),
                &metadata,
            ),
            (format!("{base}{authorization_server}"), &metadata),
            // RFC 8414 §3.1 puts the well-known part before the path of the issuer.
            (format!("{authorization_server}{base}"), &metadata),
            (format!("{base}/.well-known/jwks.json"), &jwks),
            (format!("{base}/keys"), &jwks),
        ] {
            by_path.insert(path, document.clone());
        }
        Ok(Self {
            by_path,
            token_path: format!("{base}/token"),
        })
    }

    /// Whether anything stands at `path` under an issuer without a path.
    pub(super) fn names(path: &str) -> bool {
        path == "/token" || path == "/keys" || path.starts_with("/.well-known/")
    }

    pub(super) fn find(&self, path: &str) -> Option<&Document> {
        self.by_path.get(path)
    }

    /// Every document with its path, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Document)> {
        let by_path = self.by_path.iter();
        by_path.map(|(path, document)| (path.as_str(), document))
    }

    pub(super) fn is_token_endpoint(&self, path: &str) -> bool {
        path == self.token_path
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
