//! With what a connector's upstream is asked: a client, headers, and a bearer token.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use url::Url;

use crate::config::explain_unreadable;

use super::client::LazyClient;
use super::error::{FetchError, SourceError};
use super::spec::SourceSpec;
use super::web::{self, Document, LARGEST_DOCUMENT};

/// The means to ask one upstream.
#[derive(Debug)]
pub(super) struct Access {
    client: Arc<LazyClient>,
    headers: HeaderMap,
    bearer_file: Option<PathBuf>,
}

impl Access {
    /// What `spec` sends along, through `client`.
    pub(super) fn new(spec: &SourceSpec, client: Arc<LazyClient>) -> Result<Self, SourceError> {
        Ok(Self {
            client,
            headers: headers(&spec.headers)?,
            bearer_file: spec.bearer_file.clone(),
        })
    }

    /// Gets a document with the connector's own bearer token, where it has one.
    pub(super) async fn get(&self, url: &Url) -> Result<Document, FetchError> {
        let asker = self.client.get().await?;
        let mut headers = self.headers.clone();
        if let Some(path) = &self.bearer_file {
            let value = bearer(read_file(path).await?.trim_ascii()).ok_or_else(|| {
                FetchError::failed(format!(
                    "bearer_file {} is empty or holds what no header can carry",
                    path.display()
                ))
            })?;
            headers.insert(AUTHORIZATION, value);
        }
        web::get(&asker, url, &headers).await
    }

    /// Gets a JSON document with a caller's token, or with none.
    pub(super) async fn get_as(
        &self,
        url: &Url,
        token: Option<HeaderValue>,
    ) -> Result<Document, FetchError> {
        let asker = self.client.get().await?;
        let mut headers = self.headers.clone();
        headers.remove(AUTHORIZATION);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token);
        }
        web::get(&asker, url, &headers).await
    }
}

/// The header that carries `token`, where a header can (RFC 6750 §2.1); it is never shown.
pub(super) fn bearer(token: &[u8]) -> Option<HeaderValue> {
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
pub(super) async fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
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
