//! Reading the body of a token request, within its limit.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use warp::http::HeaderMap;
use warp::http::header::CONTENT_LENGTH;

use super::serve::BodyTimeout;
use crate::oauth::{Reason, Refusal};

/// The largest body of a token request, in bytes.
const LARGEST: usize = 64 * 1024;

/// Reads a body of at most 64 KiB; one that says it is longer is refused unread.
pub(super) async fn read(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Bytes, Refusal> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let mut body = std::pin::pin!(body);
    // Most bodies come in one piece, which is not copied.
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|error| broken_off(&error))?;
        let length = chunk.remaining();
        if first.len() + collected.len() + length > LARGEST {
            return Err(too_large());
        }
        let chunk = chunk.copy_to_bytes(length);
        if first.is_empty() && collected.is_empty() {
            first = chunk;
            continue;
        }
        // With the first piece goes the buffer that the connection read it into.
        collected.extend_from_slice(&mem::take(&mut first));
        collected.extend_from_slice(&chunk);
    }
    Ok(if collected.is_empty() {
        first
    } else {
        collected.freeze()
    })
}

fn too_large() -> Refusal {
    Refusal::new(
        Reason::BodyTooLarge,
        "the body is larger than 64 KiB: a token request is far smaller",
    )
}

fn broken_off(error: &(dyn std::error::Error + 'static)) -> Refusal {
    if BodyTimeout::caused(error) {
        return Refusal::new(
            Reason::BodyTimeout,
            "the body was not complete in time: send it in one piece",
        );
    }
    Refusal::new(
        Reason::ParameterMalformed,
        "the body could not be read to its end",
    )
}
