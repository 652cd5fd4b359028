//! Fetching public documents, as a verifier without any configuration of ours would.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use url::Url;

use super::cause::Trust;
use super::client::{Authorities, LazyClient};
use super::error::{FetchError, SourceError};
use super::origin::is_loopback;
use super::web;

/// How long one document may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A public document and the type that its server gives it.
#[derive(Debug)]
pub struct PublicDocument {
    /// The `Content-Type`, empty where there is none.
    pub content_type: String,
    /// The body, at most 256 KiB.
    pub body: Vec<u8>,
}

/// A client without credentials.
#[derive(Debug)]
pub struct PublicClient {
    loopback: Arc<LazyClient>,
    elsewhere: Arc<LazyClient>,
}

impl PublicClient {
    /// A client for our own public documents, with the machine's roots.
    pub fn new() -> Self {
        Self::with_machine_roots(Trust::Own)
    }

    /// A client for the documents of a connector's issuer, with the machine's roots.
    pub fn of_connectors() -> Self {
        Self::with_machine_roots(Trust::Machine)
    }

    /// The same, with the roots of a connector's `ca_file` only.
    pub fn with_ca_file(ca_file: &Path) -> Result<Self, SourceError> {
        let authorities = Authorities::read(ca_file)?;
        Ok(Self {
            loopback: Arc::new(LazyClient::with_roots(&authorities, true)?),
            elsewhere: Arc::new(LazyClient::with_roots(&authorities, false)?),
        })
    }

    fn with_machine_roots(trust: Trust) -> Self {
        Self {
            loopback: Arc::new(LazyClient::with_machine_roots(true, trust)),
            elsewhere: Arc::new(LazyClient::with_machine_roots(false, trust)),
        }
    }

    /// Gets `url`, within 10 s; anything but a 200 is an error.
    pub async fn get(&self, url: &str) -> Result<PublicDocument, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::failed(error.to_string()))?;
        let client = if is_loopback(&url) {
            &self.loopback
        } else {
            &self.elsewhere
        };
        let client = client.get().await?;
        let headers = HeaderMap::new();
        let document = tokio::time::timeout(LIMIT, web::get(&client, &url, &headers));
        let document = document
            .await
            .map_err(|_| FetchError::late("no complete answer within 10 s"))??;
        Ok(PublicDocument {
            content_type: document.content_type,
            body: document.body,
        })
    }
}

impl Default for PublicClient {
    fn default() -> Self {
        Self::new()
    }
}
