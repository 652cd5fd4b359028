//! The bodies of a request and its reply, which tell the connection's `Activity` when they end.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::BoxError;
use super::activity::Activity;

/// The error of a request body that has not ended [`Limits::body_timeout`](super::Limits) after its
/// head. Answer it with 408; the connection closes behind the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error`, or anything in its chain of sources, is a body timeout.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl fmt::Display for BodyTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request body was not complete in time")
    }
}

impl Error for BodyTimeout {}

/// The body of a request; its error is a [`BodyTimeout`] or hyper's.
pub struct RequestBody {
    incoming: Incoming,
    activity: Arc<Activity>,
    open: bool,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>) -> Self {
        let open = !incoming.is_end_stream();
        activity.request_began(open);
        Self {
            incoming,
            activity,
            open,
        }
    }

    fn end(&mut self) {
        if self.open {
            self.open = false;
            self.activity.body_ended();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.open {
            return Poll::Ready(None);
        }
        self.activity.wake_on_expiry(cx.waker());
        if self.activity.body_expired() {
            return Poll::Ready(Some(Err(BodyTimeout.into())));
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.incoming.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        !self.open
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.open {
            self.activity.body_dropped();
        }
    }
}

/// The body of a reply; hyper drops it once it has taken its last byte.
pub(super) struct ReplyBody<B> {
    body: B,
    activity: Arc<Activity>,
}

impl<B> ReplyBody<B> {
    pub(super) fn new(body: B, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl<B: Body + Unpin> Body for ReplyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for ReplyBody<B> {
    fn drop(&mut self) {
        self.activity.reply_ended();
    }
}
