//! One connection, from the accept to its close: the TLS handshake, which HTTP it is, and how it ends.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::body::Body;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{Activity, Overdue, REST};
use super::body::RequestBody;
use super::counts::Closed;
use super::io::Watched;
use super::listen::Accepted;
use super::refusal::Refusal;
use super::{BoxError, Origin, one, two};

/// How long a client that is still sending may take to read the last reply.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it is still sending is read and thrown away.
const LINGER_BYTES: u64 = 256 * 1024;

/// How both versions of HTTP are spoken.
#[derive(Debug)]
pub(super) struct Protocols {
    pub(super) http1: http1::Builder,
    pub(super) http2: http2::Builder<TokioExecutor>,
}

/// How a connection ended.
pub(super) enum End {
    /// hyper ended it: the client left, the last reply said so, or something failed.
    Http(hyper::Result<()>),
    /// The socket failed before there was any HTTP.
    Failed,
    /// A deadline passed.
    Overdue(Overdue),
    /// It was asked to end while nothing was in flight.
    Stopped,
    /// Its place was needed, and it waited for its client.
    Evicted,
    /// Its client asks only to take back.
    Abused,
    /// It has not: it is idle, and only its buffers go.
    Rest,
}

/// Serves the requests on a connection until the client, a deadline or the server ends it.
pub(super) async fn run<S, B>(
    accepted: Accepted,
    protocols: Arc<Protocols>,
    service: S,
    activity: Arc<Activity>,
) where
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Accepted {
        stream,
        origin,
        tls,
    } = accepted;
    let Some(config) = tls else {
        return serve(stream, origin, &protocols, service, activity).await;
    };
    // Boxed, so that connections without TLS do not carry the room for it.
    Box::pin(async move {
        let handshake = TlsAcceptor::from(config).accept(stream);
        let mut timer = pin!(timer());
        match guard(handshake, &activity, timer.as_mut()).await {
            Ok(Ok(stream)) => {
                serve(Box::new(stream), origin, &protocols, service, activity).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the TLS handshake failed");
                activity.shared().counts.count(Closed::Handshake);
            }
            Err(End::Stopped | End::Evicted) => {}
            Err(_) => activity.shared().counts.count(Closed::Handshake),
        }
    })
    .await;
}

/// Serves what comes through `io`, HTTP/1 or HTTP/2: its first bytes tell (RFC 9113 §3.3).
async fn serve<I, S, B>(
    io: I,
    origin: Origin,
    protocols: &Protocols,
    service: S,
    activity: Arc<Activity>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let mut io = Watched::new(io, Arc::clone(&activity));
    let mut timer = pin!(timer());
    let first = guard(
        poll_fn(|cx| io.poll_is_http2(cx)),
        &activity,
        timer.as_mut(),
    )
    .await;
    let (io, end) = match first {
        Ok(Ok(false)) => {
            let http = &protocols.http1;
            one::run(io, origin, http, service, &activity, timer).await
        }
        Ok(Ok(true)) => {
            let http = &protocols.http2;
            let served = Box::pin(two::run(io, origin, http, service, &activity, timer));
            count(&served.await, &activity);
            // What goes on without its client keeps its place.
            return requests_end(&activity).await;
        }
        Ok(Err(_)) => (io, End::Failed),
        Err(end) => (io, end),
    };
    count(&end, &activity);
    let (io, refused) = io.into_parts();
    close(io, end, refused, &activity).await;
}

/// Waits until no request is with the service any more.
async fn requests_end(activity: &Activity) {
    poll_fn(|cx| {
        activity.poll_evicted(cx.waker());
        if activity.in_flight() == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// A connection's timer. It first fires when a connection may rest: an earlier deadline sets it anew, and one that is
/// used once and closed never does.
fn timer() -> Sleep {
    sleep_until(Instant::now() + Duration::from_millis(REST))
}

/// The output of `work`, unless the connection has to end before.
pub(super) async fn guard<T>(
    work: impl Future<Output = T>,
    activity: &Activity,
    mut timer: Pin<&mut Sleep>,
) -> Result<T, End> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if activity.poll_evicted(cx.waker()) {
            return Poll::Ready(Err(End::Evicted));
        }
        poll_overdue(timer.as_mut(), activity, cx).map(Err)
    })
    .await
}

/// Resolves when a deadline of `activity` has passed that ends the connection.
///
/// A deadline that moves away leaves the timer as it is, to be set anew when it fires: requests that
/// come and go in time never touch it.
pub(super) fn poll_overdue(
    mut timer: Pin<&mut Sleep>,
    activity: &Activity,
    cx: &mut Context<'_>,
) -> Poll<End> {
    while let Some((deadline, overdue)) = activity.deadline() {
        if deadline < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        match overdue {
            _ if Instant::now() < deadline => {}
            // The routes answer that one; the connection closes behind their reply.
            Overdue::Body => activity.expire_body(),
            Overdue::Stopped => return Poll::Ready(End::Stopped),
            Overdue::Rest => return Poll::Ready(End::Rest),
            Overdue::Idle | Overdue::Head | Overdue::Write => {
                return Poll::Ready(End::Overdue(overdue));
            }
        }
    }
    Poll::Pending
}

/// Counts a connection that the server ended.
fn count(end: &End, activity: &Activity) {
    let why = match end {
        End::Overdue(Overdue::Head) => Closed::Head,
        End::Overdue(Overdue::Idle) => Closed::Idle,
        End::Overdue(Overdue::Write) => Closed::Write,
        End::Abused => Closed::Resets,
        _ => return,
    };
    activity.shared().counts.count(why);
}

/// Sends the last words that `end` calls for and closes an HTTP/1 connection.
async fn close(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    end: End,
    refused: bool,
    activity: &Activity,
) {
    let refusal = match end {
        End::Overdue(Overdue::Write) => return,
        End::Evicted => {
            // Somebody waits for the place.
            let _ = io.shutdown().now_or_never();
            return;
        }
        End::Overdue(Overdue::Head) => Some(Refusal::Late),
        End::Http(Err(error)) => {
            tracing::debug!(%error, "connection failed");
            // To HTTP/2 after HTTP/1 hyper says nothing at all.
            (refused || error.is_parse_version_h2()).then(|| Refusal::of(&error))
        }
        _ => None,
    };
    let still_sending = refusal.is_some() || activity.is_unread();
    let closing = async {
        if let Some(refusal) = refusal {
            io.write_all(refusal.reply().as_bytes()).await?;
        }
        io.shutdown().await?;
        if still_sending {
            // Closing on unread bytes resets the connection, which can destroy the reply on its way.
            tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
        }
        std::io::Result::Ok(())
    };
    let _ = timeout(LINGER, closing).await;
}
