//! The bodies of a request and its reply, which tell the connection's `Activity` when they end.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::BoxError;
use super::activity::Activity;
use super::in_flight::{InFlight, Reading};

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
    watch: Watch,
    open: bool,
}

/// Who keeps the time of a request body.
enum Watch {
    /// HTTP/1: the connection, which has no other body at that time.
    Connection(Arc<Activity>),
    /// HTTP/2: a timer that is made when the body has to be waited for.
    Own(Instant, Option<Pin<Box<Sleep>>>, Reading),
    /// It has ended.
    Over,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, activity: Arc<Activity>) -> Self {
        let open = !incoming.is_end_stream();
        activity.request_began(open);
        Self {
            incoming,
            watch: Watch::Connection(activity),
            open,
        }
    }

    /// The body of an HTTP/2 request, which must have ended at `deadline`.
    pub(super) fn until(incoming: Incoming, deadline: Instant, stream: &InFlight) -> Self {
        let open = !incoming.is_end_stream();
        let watch = if open {
            Watch::Own(deadline, None, stream.reading())
        } else {
            Watch::Over
        };
        Self {
            incoming,
            watch,
            open,
        }
    }

    fn end(&mut self) {
        if self.open {
            self.open = false;
            if let Watch::Connection(activity) = std::mem::replace(&mut self.watch, Watch::Over) {
                activity.body_ended();
            }
        }
    }

    /// Whether its time is over; wakes the reader when it is.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.watch {
            Watch::Connection(activity) => {
                activity.wake_on_expiry(cx.waker());
                activity.body_expired()
            }
            Watch::Own(deadline, timer, reading) => {
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(*deadline)));
                let is_over = timer.as_mut().poll(cx).is_ready();
                if is_over {
                    reading.expired();
                }
                is_over
            }
            Watch::Over => false,
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
        // Bytes that are here need no timer, unless the connection keeps it anyway.
        let early = match self.watch {
            Watch::Connection(_) | Watch::Over => Poll::Pending,
            Watch::Own(..) => Pin::new(&mut self.incoming).poll_frame(cx),
        };
        let frame = match early {
            Poll::Ready(frame) => frame,
            Poll::Pending if self.poll_expired(cx) => {
                return Poll::Ready(Some(Err(BodyTimeout.into())));
            }
            Poll::Pending => ready!(Pin::new(&mut self.incoming).poll_frame(cx)),
        };
        let shares_buffer = matches!(self.watch, Watch::Own(..));
        if !matches!(frame, Some(Ok(_))) || self.incoming.is_end_stream() {
            self.end();
        }
        let mut frame = frame.map(|frame| frame.map_err(Into::into));
        if let (true, Some(Ok(part))) = (shares_buffer, &mut frame)
            && let Some(data) = part.data_mut()
        {
            // As it is, a short one would hold a buffer with all that came beside it on the connection.
            *data = Bytes::copy_from_slice(data);
        }
        Poll::Ready(frame)
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
        if let (true, Watch::Connection(activity)) = (self.open, &self.watch) {
            activity.body_dropped();
        }
    }
}

/// The body of a reply; hyper drops it once it has taken its last byte.
pub(super) struct ReplyBody<B> {
    body: B,
    end: End,
    /// The last byte of a part. HTTP/2 takes a part whole as soon as its client has room for one byte of it, and
    /// this one when there was room for all before it: so the end of a reply is the end of its wait, too.
    last: Option<Bytes>,
    /// Whether it is only asked how long it is.
    is_head: bool,
}

/// A reply in the making.
pub(super) type Replying<B> = BoxFuture<'static, Result<Response<ReplyBody<B>>, BoxError>>;

/// What hears of the end of a reply.
enum End {
    Connection { _at: LastByte },
    Stream { _at: InFlight },
}

/// Tells an HTTP/1 connection that its reply has ended.
struct LastByte(Arc<Activity>);

impl Drop for LastByte {
    fn drop(&mut self) {
        self.0.reply_ended();
    }
}

impl<B> ReplyBody<B> {
    pub(super) fn new(body: B, activity: Arc<Activity>) -> Self {
        Self {
            body,
            end: End::Connection {
                _at: LastByte(activity),
            },
            last: None,
            is_head: false,
        }
    }

    /// The reply to an HTTP/2 request; `is_head` where it is one for the head alone.
    pub(super) fn of(body: B, stream: InFlight, is_head: bool) -> Self {
        stream.reply();
        Self {
            body,
            end: End::Stream { _at: stream },
            last: None,
            is_head,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(last) = self.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let (Some(Ok(part)), End::Stream { .. }) = (&mut frame, &self.end)
            && let Some(data) = part.data_mut()
            && data.len() > 1
        {
            self.last = Some(data.split_off(data.len() - 1));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_head || (self.last.is_none() && self.body.is_end_stream())
    }

    /// hyper asks before the first part.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
