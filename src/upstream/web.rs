//! One bounded GET: capped body, redirects only on the same origin, a plain cause when it fails.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use url::Url;

use super::cause::{self, Trust};
use super::client::{Asker, CONNECT_TIMEOUT, chain};
use super::error::FetchError;
use super::origin::shown;

/// The largest document that is read, in bytes.
pub(super) const LARGEST_DOCUMENT: usize = 256 * 1024;

const MOST_REDIRECTS: usize = 3;

/// A document and how long its server lets it be kept.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it was read, for an error line.
    pub(super) origin: String,
    pub(super) body: Vec<u8>,
    pub(super) max_age: Option<Duration>,
    /// The `Content-Type`, empty where there is none.
    pub(super) content_type: String,
}

/// Gets `url` with `headers`; anything but a 200 of at most 256 KiB is an error.
pub(super) async fn get(
    asker: &Asker,
    url: &Url,
    headers: &HeaderMap,
) -> Result<Document, FetchError> {
    let mut here = url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let request = asker.client.get(here.clone()).headers(headers.clone());
        let response = request.send().await;
        let response = response.map_err(|error| broken(&here, error, asker.trust))?;
        match redirect(&here, &response)? {
            Some(next) => here = next,
            None => return read(&here, response, asker.trust).await,
        }
    }
    Err(FetchError::failed(format!(
        "{} redirects more than {MOST_REDIRECTS} times",
        shown(url)
    )))
}

fn redirect(here: &Url, response: &Response) -> Result<Option<Url>, FetchError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let next = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| here.join(location).ok())
        .ok_or_else(|| {
            FetchError::failed(format!(
                "{} answered {status} without a usable Location",
                shown(here)
            ))
        })?;
    if next.origin() != here.origin() {
        return Err(FetchError::failed(format!(
            "{} redirects to {}, which is not the same scheme, host and port; if that is the right place, configure it directly",
            shown(here),
            shown(&next)
        )));
    }
    Ok(Some(next))
}

async fn read(here: &Url, mut response: Response, trust: Trust) -> Result<Document, FetchError> {
    if response.status() != StatusCode::OK {
        let status = response.status();
        let text = format!("{} answered {status}", shown(here));
        return Err(FetchError::answered(status.as_u16(), text));
    }
    let too_large = || {
        FetchError::failed(format!(
            "{} answered more than {} KiB",
            shown(here),
            LARGEST_DOCUMENT / 1024
        ))
    };
    let largest = LARGEST_DOCUMENT as u64;
    if response
        .content_length()
        .is_some_and(|length| length > largest)
    {
        return Err(too_large());
    }
    let max_age = max_age(response.headers());
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default();
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| broken(here, error, trust))?
    {
        if body.len() + chunk.len() > LARGEST_DOCUMENT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Document {
        origin: shown(here),
        body,
        max_age,
        content_type,
    })
}

fn broken(here: &Url, error: reqwest::Error, trust: Trust) -> FetchError {
    let (timed_out, connecting) = (error.is_timeout(), error.is_connect());
    let error = error.without_url();
    let host = here.host_str().unwrap_or_default();
    let words = match cause::explain(&error, host, trust) {
        Some(words) => words,
        None if timed_out && connecting => format!(
            "no connection could be made within {} s: a firewall may drop it, or the host is down",
            CONNECT_TIMEOUT.as_secs()
        ),
        None => chain(&error),
    };
    let text = format!("{}: {words}", shown(here));
    if timed_out {
        FetchError::late(text)
    } else {
        FetchError::failed(text)
    }
}

/// The `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1), the first where there are several.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, seconds) = directive.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("max-age") {
                return None;
            }
            let seconds = seconds.trim().trim_matches('"').parse().ok()?;
            Some(Duration::from_secs(seconds))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(read(&["public, Max-Age=120, must-revalidate"]), Some(120));
        assert_eq!(read(&["no-transform", "max-age=\"7\""]), Some(7));
        assert_eq!(read(&["s-maxage=5"]), None);
        assert_eq!(read(&["max-age=-1"]), None);
        assert_eq!(read(&[]), None);
    }
}
