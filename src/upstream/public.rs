//! Fetching one public document, as a verifier without any configuration of ours would.

use std::sync::Arc;

use http::HeaderMap;
use url::Url;

use super::client::LazyClient;
use super::error::FetchError;
use super::origin::is_loopback;
use super::web;

/// A public document and the type that its server gives it.
#[derive(Debug)]
pub struct PublicDocument {
    /// The `Content-Type`, empty where there is none.
    pub content_type: String,
    /// The body, at most 256 KiB.
    pub body: Vec<u8>,
}

/// Gets `url` with the machine's roots and no credentials.
pub async fn fetch_public(url: &str) -> Result<PublicDocument, FetchError> {
    let url = Url::parse(url).map_err(|error| FetchError::failed(error.to_string()))?;
    let client = Arc::new(LazyClient::with_system_roots(is_loopback(&url)))
        .get()
        .await?;
    let limit = std::time::Duration::from_secs(10);
    let headers = HeaderMap::new();
    let document = tokio::time::timeout(limit, web::get(&client, &url, &headers));
    let document = document
        .await
        .map_err(|_| FetchError::late("no complete answer within 10 s"))??;
    Ok(PublicDocument {
        content_type: document.content_type,
        body: document.body,
    })
}
