//! One fetch of one source's keys: from a file, from a JWKS URL, or by discovery.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::jose::{KeySet, Skipped};

use super::access::{Access, read_file};
use super::client::LazyClient;
use super::discovery::Discovery;
use super::error::{FetchError, SourceError};
use super::origin;
use super::spec::{Location, SourceSpec};
use super::web::Document;

/// What a good fetch gives.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) skipped: Vec<Skipped>,
    pub(super) max_age: Option<Duration>,
    /// The document as it came.
    pub(super) document: Vec<u8>,
}

/// Fetches the keys of one source.
#[derive(Debug)]
pub(super) enum Fetcher {
    File(PathBuf),
    Web(Box<Web>),
}

/// Keys behind HTTP, and with what they are asked for.
#[derive(Debug)]
pub(super) struct Web {
    target: Target,
    access: Access,
}

#[derive(Debug)]
enum Target {
    Discovery(Discovery),
    JwksUri(Url),
}

impl Fetcher {
    /// The fetcher of a spec; `client` is asked for only where the keys are behind HTTP, and told whether on loopback.
    pub(super) fn new(
        spec: &SourceSpec,
        client: impl FnOnce(bool) -> Result<Arc<LazyClient>, SourceError>,
    ) -> Result<Self, SourceError> {
        let target = match &spec.location {
            Location::JwksFile(path) => return Ok(Self::File(path.clone())),
            Location::JwksUri(text) => Target::JwksUri(
                origin::parse(text).map_err(|problem| SourceError::new("jwks_uri", problem))?,
            ),
            Location::Discovery => Target::Discovery(
                Discovery::new(&spec.issuer, &spec.jwks_hosts, spec.insecure_http)
                    .map_err(|problem| SourceError::new("issuer", problem))?,
            ),
        };
        if origin::is_exposed(target.first()) && !spec.insecure_http {
            let problem = "uses plain http, where whoever sits on the path could replace the keys: use https, or set `insecure_http = true`";
            return Err(SourceError::new(target.key(), problem));
        }
        let client = client(origin::is_loopback(target.first()))?;
        Ok(Self::Web(Box::new(Web {
            target,
            access: Access::new(spec, client)?,
        })))
    }

    /// Whether looking again costs nobody anything.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Where the keys come from, for a log line.
    pub(super) fn location(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Web(web) => origin::shown(web.target.first()),
        }
    }

    /// Fetches once, within `limit` in all.
    pub(super) async fn fetch(&self, limit: Duration) -> Result<Fetched, FetchError> {
        let document = async {
            match self {
                Self::File(path) => Ok(Document {
                    origin: self.location(),
                    body: read_file(path).await?,
                    content_type: String::new(),
                    max_age: None,
                }),
                Self::Web(web) => web.fetch().await,
            }
        };
        let document = tokio::time::timeout(limit, document).await.map_err(|_| {
            FetchError::late(format!(
                "{} gave no complete answer within {limit:?}",
                self.location()
            ))
        })??;
        let (keys, skipped) = KeySet::parse(&document.body)
            .map_err(|error| FetchError::failed(format!("{}: {error}", document.origin)))?;
        Ok(Fetched {
            keys,
            skipped,
            max_age: document.max_age,
            document: document.body,
        })
    }
}

impl Target {
    /// The URL that is asked first.
    fn first(&self) -> &Url {
        match self {
            Self::Discovery(discovery) => discovery.document(),
            Self::JwksUri(url) => url,
        }
    }

    /// The configuration key that the URL comes from.
    fn key(&self) -> &'static str {
        match self {
            Self::Discovery(_) => "issuer",
            Self::JwksUri(_) => "jwks_uri",
        }
    }
}

impl Web {
    async fn fetch(&self) -> Result<Document, FetchError> {
        match &self.target {
            Target::JwksUri(url) => self.access.get(url).await,
            Target::Discovery(discovery) => {
                let document = self.access.get(discovery.document()).await?;
                let jwks_uri = discovery.read("jwks_uri", &document)?;
                self.access.get(&jwks_uri).await
            }
        }
    }
}
