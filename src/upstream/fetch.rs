//! One fetch of one source's keys: from a file, from a JWKS URL, or by discovery.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use url::Url;

use crate::config::explain_unreadable;
use crate::jose::{KeySet, Skipped};

use super::client::LazyClient;
use super::discovery::Discovery;
use super::error::{FetchError, SourceError};
use super::origin;
use super::spec::{Location, SourceSpec};
use super::web::{self, Document, LARGEST_DOCUMENT};

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
    client: Arc<LazyClient>,
    headers: HeaderMap,
    bearer_file: Option<PathBuf>,
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
            client,
            headers: headers(&spec.headers)?,
            bearer_file: spec.bearer_file.clone(),
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
        let client = self.client.get().await?;
        let headers = self.request_headers().await?;
        match &self.target {
            Target::JwksUri(url) => web::get(&client, url, &headers).await,
            Target::Discovery(discovery) => {
                let document = web::get(&client, discovery.document(), &headers).await?;
                let jwks_uri = discovery.jwks_uri(&document.body).map_err(|problem| {
                    FetchError::failed(format!(
                        "{}: {problem}",
                        origin::shown(discovery.document())
                    ))
                })?;
                web::get(&client, &jwks_uri, &headers).await
            }
        }
    }

    async fn request_headers(&self) -> Result<HeaderMap, FetchError> {
        let mut headers = self.headers.clone();
        if let Some(path) = &self.bearer_file {
            let value = bearer(&read_file(path).await?).ok_or_else(|| {
                FetchError::failed(format!(
                    "bearer_file {} is empty or holds what no header can carry",
                    path.display()
                ))
            })?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

fn bearer(file: &[u8]) -> Option<HeaderValue> {
    let token = file.trim_ascii();
    if token.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn headers(configured: &[(String, String)]) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| SourceError::new("headers", format!("{name:?} is not a header name")))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            SourceError::new(
                "headers",
                format!("the value of {name:?} holds what no header can carry"),
            )
        })?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// Reads a file of at most 256 KiB without blocking the runtime.
async fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let name = path.display();
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        std::fs::File::open(owned)?
            .take(LARGEST_DOCUMENT as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    });
    match read.await {
        Ok(Ok(bytes)) if bytes.len() <= LARGEST_DOCUMENT => Ok(bytes),
        Ok(Ok(_)) => Err(FetchError::failed(format!(
            "{name} holds more than {} KiB",
            LARGEST_DOCUMENT / 1024
        ))),
        Ok(Err(error)) => Err(FetchError::failed(format!(
            "{name} cannot be read: {}",
            explain_unreadable(path, &error)
        ))),
        Err(_) => Err(FetchError::failed(format!("{name} could not be read"))),
    }
}
