//! Reading the body of a token request, within its limit and that of all bodies together.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use warp::http::HeaderMap;
use warp::http::header::CONTENT_LENGTH;

use super::serve::BodyTimeout;
use crate::config::LARGEST_BODY;
use crate::limits::{Body, Receiving};
use crate::oauth::{Reason, Refusal};

/// Reads a body of at most 64 KiB into `receiving`; one that says it is longer is refused unread.
pub(super) async fn read<'a>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    mut receiving: Receiving<'a>,
) -> Result<Body<'a>, Refusal> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(too_large());
    }
    let mut body = pin!(body);
    // Most bodies come in one piece, which is not copied.
    let mut last = Bytes::new();
    let mut total = 0;
    loop {
        let next = poll_fn(|cx| match body.as_mut().poll_next(cx) {
            Poll::Ready(next) => Poll::Ready(Ok(next)),
            Poll::Pending => {
                // While it is waited for, it must not hold the buffer that the connection read it into.
                let piece = std::mem::take(&mut last);
                if !piece.is_empty()
                    && let Err(refusal) = receiving.keep(&piece)
                {
                    return Poll::Ready(Err(refusal));
                }
                receiving.poll_refused(cx).map(Err)
            }
        });
        let Some(piece) = next.await? else {
            return receiving.whole(last);
        };
        let mut piece = piece.map_err(|error| broken_off(&error))?;
        let length = piece.remaining();
        total += length;
        if total > LARGEST_BODY {
            return Err(too_large());
        }
        if !last.is_empty() {
            receiving.keep(&last)?;
        }
        last = piece.copy_to_bytes(length);
    }
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
