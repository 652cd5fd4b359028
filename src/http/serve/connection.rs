//! One connection, from the accept to its close.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::activity::{Activity, Overdue};
use super::body::{ReplyBody, RequestBody};
use super::io::Watched;
use super::refusal::Refusal;
use super::{BoxError, Peer};

/// How long a client that is still sending may take to read the last reply.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it is still sending is read and thrown away.
const LINGER_BYTES: u64 = 256 * 1024;

/// How a connection ended.
enum End {
    /// hyper ended it: the client left, the last reply said so, or something failed.
    Http(hyper::Result<()>),
    /// A deadline passed.
    Overdue(Overdue),
    /// It was asked to end while nothing was in flight.
    Stopped,
}

/// Serves the requests on `io` until the client, a deadline or the server ends it.
pub(super) async fn run<I, S, B>(
    io: I,
    peer: Peer,
    http: http1::Builder,
    service: S,
    activity: Arc<Activity>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let io = TokioIo::new(Watched::new(io, Arc::clone(&activity)));
    let service = reporting(service, peer, Arc::clone(&activity));
    let mut connection = http.serve_connection(io, service);
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut told = false;
    let end = poll_fn(|cx| {
        // hyper comes first: a request that has just arrived is served, whatever the timer says.
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(End::Http(ended));
        }
        if activity.poll_stopping(cx.waker()) {
            if !activity.in_flight() {
                return Poll::Ready(End::Stopped);
            }
            if !told {
                told = true;
                Pin::new(&mut connection).graceful_shutdown();
                cx.waker().wake_by_ref();
            }
        }
        poll_overdue(timer.as_mut(), &activity, cx).map(End::Overdue)
    })
    .await;
    let (io, refused) = connection.into_parts().io.into_inner().into_parts();
    close(io, end, refused, &activity).await;
}

/// `service` for hyper: it reports requests and replies to `activity` and names the peer.
fn reporting<S, B>(
    service: S,
    peer: Peer,
    activity: Arc<Activity>,
) -> impl Service<Request<Incoming>, Response = Response<ReplyBody<B>>, Error = S::Error, Future: Send>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Unpin,
{
    service_fn(move |request: Request<Incoming>| {
        let activity = Arc::clone(&activity);
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(&activity)));
        request.extensions_mut().insert(peer);
        let reply = service.call(request);
        async move {
            let mut reply = reply.await?;
            if activity.body_expired() {
                let close = HeaderValue::from_static("close");
                reply.headers_mut().insert(CONNECTION, close);
            }
            Ok(reply.map(|body| ReplyBody::new(body, activity)))
        }
    })
}

/// Resolves when a deadline of `activity` has passed that ends the connection.
///
/// A deadline that moves away leaves the timer as it is, to be set anew when it fires: requests that
/// come and go in time never touch it.
fn poll_overdue(
    mut timer: Pin<&mut Sleep>,
    activity: &Activity,
    cx: &mut Context<'_>,
) -> Poll<Overdue> {
    while let Some((deadline, overdue)) = activity.deadline() {
        if deadline < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        match overdue {
            _ if Instant::now() < deadline => {}
            // The routes answer that one; the connection closes behind their reply.
            Overdue::Body => activity.expire_body(),
            Overdue::Idle | Overdue::Head | Overdue::Write => return Poll::Ready(overdue),
        }
    }
    Poll::Pending
}

/// Sends the last words that `end` calls for and closes the connection.
async fn close(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    end: End,
    refused: bool,
    activity: &Activity,
) {
    let refusal = match end {
        End::Overdue(Overdue::Write) => return,
        End::Overdue(Overdue::Head) => Some(Refusal::Late),
        End::Http(Err(error)) => {
            tracing::debug!(%error, "connection failed");
            // To HTTP/2 hyper says nothing at all.
            (refused || error.is_parse_version_h2()).then(|| Refusal::of(&error))
        }
        End::Http(Ok(())) | End::Overdue(_) | End::Stopped => None,
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
