//! HTTP/2 on one connection: requests side by side, each on a task of its own.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::ready;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::activity::{Activity, Overdue};
use super::body::{ReplyBody, Replying, RequestBody};
use super::connection::{End, poll_overdue};
use super::in_flight::InFlight;
use super::io::Watched;
use super::to_its_end::ToItsEnd;
use super::{BoxError, Origin};

/// Serves the requests on `io`, whose preface is still to be read; says how that ended.
pub(super) async fn run<I, S, B>(
    io: Watched<I>,
    origin: Origin,
    http: &http2::Builder<TokioExecutor>,
    service: S,
    activity: &Arc<Activity>,
    mut timer: Pin<&mut Sleep>,
) -> End
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let service = reporting(service, origin, Arc::clone(activity));
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    let mut told = false;
    let end = poll_fn(|cx| {
        // Replies end on tasks of their own. What they gave to hyper while it was looking elsewhere is not sent yet.
        let before = activity.stillness();
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended_by_http(ended));
        }
        let evicted = activity.poll_evicted(cx.waker());
        if activity.is_abused() && !activity.is_stopping() {
            activity.drain();
        }
        if (activity.is_stopping() || activity.is_leaving()) && !told {
            told = true;
            // GOAWAY; what the client has sent before it hears of it is still served.
            connection.as_mut().graceful_shutdown();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended_by_http(ended));
            }
        }
        let now = activity.stillness();
        let is_still = now.is_some() && now == before;
        if evicted && is_still {
            return Poll::Ready(End::Evicted);
        }
        match poll_overdue(timer.as_mut(), activity, cx) {
            Poll::Ready(End::Stopped) if !is_still => {}
            Poll::Pending if evicted && now.is_some() => {}
            end => return end,
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    if !matches!(end, End::Http(_) | End::Overdue(Overdue::Write)) {
        // hyper takes its leave, and the client learns that nothing is missing.
        activity.hang_up();
        if !told {
            connection.as_mut().graceful_shutdown();
        }
        let _ = connection.as_mut().now_or_never();
    }
    if activity.is_abused() {
        return End::Abused;
    }
    end
}

/// hyper has its own limits of resets: of those that nobody has looked at yet.
fn ended_by_http(ended: hyper::Result<()>) -> End {
    let Err(error) = &ended else {
        return End::Http(ended);
    };
    tracing::debug!(%error, "connection failed");
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>());
    match cause.and_then(h2::Error::reason) {
        Some(h2::Reason::ENHANCE_YOUR_CALM) => End::Abused,
        _ => End::Http(ended),
    }
}

/// `service` for hyper: it counts requests, keeps the time of their bodies and names where they come from.
fn reporting<S, B>(
    service: S,
    origin: Origin,
    activity: Arc<Activity>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ReplyBody<B>>,
    Error = BoxError,
    Future = Replying<B>,
>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let Some(stream) = InFlight::begin(&activity, !request.body().is_end_stream()) else {
            // It was not looked at, so the client may send it again (RFC 9113 §8.7).
            let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
            return ready(Err(refused.into())).boxed();
        };
        let deadline = activity.body_deadline();
        let is_head = request.method() == Method::HEAD;
        let mut request = request.map(|body| RequestBody::until(body, deadline, &stream));
        origin.mark(&mut request);
        let reply = service.call(request);
        let reply = async move { reply.await.map_err(Into::into) };
        let reply = ToItsEnd::new(reply, stream);
        async move {
            let (reply, stream) = reply.await;
            let mut reply: Response<B> = reply?;
            if let (true, Some(length)) = (is_head, reply.body().size_hint().exact()) {
                // hyper says it only where the body follows.
                let headers = reply.headers_mut();
                headers.entry(CONTENT_LENGTH).or_insert(length.into());
            }
            Ok(reply.map(|body| ReplyBody::of(body, stream, is_head)))
        }
        .boxed()
    })
}
