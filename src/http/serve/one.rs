//! HTTP/1.1 on one connection: one request after the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::activity::Activity;
use super::body::{ReplyBody, RequestBody};
use super::connection::{End, guard, poll_overdue};
use super::io::Watched;
use super::{BoxError, Origin};

/// Serves the requests on `io`; gives it back with how that ended.
pub(super) async fn run<I, S, B>(
    io: Watched<I>,
    origin: Origin,
    http: &http1::Builder,
    service: S,
    activity: &Arc<Activity>,
    mut timer: Pin<&mut Sleep>,
) -> (Watched<I>, End)
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (mut io, mut service) = (io, reporting(service, origin, Arc::clone(activity)));
    loop {
        let mut connection = http.serve_connection(TokioIo::new(io), service);
        let end = poll_fn(|cx| poll_http(&mut connection, activity, timer.as_mut(), cx)).await;
        let parts = connection.into_parts();
        io = parts.io.into_inner();
        if !matches!(end, End::Rest) {
            return (io, end);
        }
        // An idle connection costs no more than its socket: hyper's buffers are made anew for its next request.
        service = parts.service;
        io.give_back(parts.read_buf);
        activity.rest();
        let next = guard(poll_fn(|cx| io.poll_next(cx)), activity, timer.as_mut()).await;
        match next {
            Ok(true) => {}
            Ok(false) => return (io, End::Failed),
            Err(end) => return (io, end),
        }
    }
}

/// Serves requests until the connection ends or rests.
fn poll_http<I, S, B>(
    connection: &mut http1::Connection<TokioIo<Watched<I>>, S>,
    activity: &Activity,
    timer: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<End>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = BoxError>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    // hyper comes first: a request that has just arrived is served, whatever the timer says.
    if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
        return Poll::Ready(End::Http(ended));
    }
    if activity.poll_evicted(cx.waker()) && activity.waits_since().is_some() {
        return Poll::Ready(End::Evicted);
    }
    if activity.is_stopping() && activity.in_flight() > 0 && activity.tell_once() {
        Pin::new(connection).graceful_shutdown();
        cx.waker().wake_by_ref();
    }
    poll_overdue(timer, activity, cx)
}

/// `service` for hyper: it reports requests and replies to `activity` and names where they come from.
fn reporting<S, B>(
    service: S,
    origin: Origin,
    activity: Arc<Activity>,
) -> impl Service<Request<Incoming>, Response = Response<ReplyBody<B>>, Error = BoxError, Future: Send>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let activity = Arc::clone(&activity);
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&activity)));
        origin.mark(&mut request);
        let reply = service.call(request);
        async move {
            let mut reply = reply.await.map_err(Into::into)?;
            if activity.body_expired() || activity.is_leaving() {
                let close = HeaderValue::from_static("close");
                reply.headers_mut().insert(CONNECTION, close);
            }
            Ok(reply.map(|body| ReplyBody::new(body, activity)))
        }
    })
}
