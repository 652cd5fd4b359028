//! Serving HTTP/1.1 and HTTP/2 on TCP, with and without TLS, and on unix sockets: the accept loop, its limits and
//! how it drains.
//!
//! `listen` and `unix` open sockets, `room` counts connections, `connection` runs one, by `one` or `two` as its HTTP
//! is; what that one is doing stands in its `Activity`, which `io` and `body` write and the timers read.

mod activity;
mod body;
mod certificates;
mod connection;
mod counts;
mod frames;
mod host;
mod in_flight;
mod io;
mod listen;
mod one;
mod refusal;
mod room;
mod shared;
mod streams;
mod tls;
mod to_its_end;
mod two;
mod unix;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::TokioExecutor;
use tokio::time::sleep;

pub use body::{BodyTimeout, RequestBody};
pub use counts::{Closed, Counts};
pub use host::HostProblem;
pub use listen::{BindError, Listener, bind};
pub use tls::{ClientCertificates, Tls};
pub use unix::{UnixSocket, adopt_unix, bind_unix};

use connection::Protocols;
pub(in crate::http) use host::is_host;
use listen::{Accepted, Acceptor};
use room::Room;
pub(in crate::http) use to_its_end::{Progress, ToItsEnd};

/// Any error, as hyper takes it from services and bodies.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How many waiting connections close when the process has run out of descriptors.
const DESCRIPTORS_TO_FREE: usize = 16;

/// hyper panics below this buffer size.
const SMALLEST_BUFFER: usize = 8192;

/// How many requests an HTTP/2 client may have open on one connection (RFC 9113 §6.5.2).
const MOST_STREAMS: u32 = 100;
/// How much of bodies a client may send ahead on one HTTP/2 connection: the default of RFC 9113 §6.9.2.
const WINDOW: u32 = 65_535;
/// How much of replies is held for one HTTP/2 connection.
const SEND_BUFFER: usize = 64 * 1024;
/// How many streams of one connection may be reset before anybody looked at them (CVE-2023-44487).
const MOST_RESETS: usize = 20;
/// How many streams of one connection the server may reset for errors of its client.
const MOST_ERRORS: usize = 100;
/// How many connections are taken from the kernel's queue before the listeners close.
const LAST_ACCEPTED: usize = 1024;

/// What a client may take up, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request (of the first one: from the accept) to the end of its head.
    pub header_timeout: Duration,
    /// From the end of a request's head to the end of its body.
    pub body_timeout: Duration,
    /// How long a connection may stand idle between requests, or not take a byte of its reply.
    pub idle_timeout: Duration,
    /// How long the listeners stay open once the shutdown has begun: each reply asks its client to connect
    /// anew, and a load balancer sees that there is no more to be had here.
    pub notice: Duration,
    /// How long requests in flight may take to end once the listeners are closed.
    pub drain: Duration,
    /// How many connections are open at once, over all listeners of one `serve` together.
    pub max_connections: usize,
    /// The largest request head in bytes, request line included.
    pub max_head: usize,
}

impl Limits {
    /// What suits a public listener.
    pub const DEFAULT: Self = Self {
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        notice: Duration::ZERO,
        drain: Duration::from_secs(10),
        max_connections: 10_000,
        max_head: 32 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The address at the other end of the connection, in the extensions of every request; none where
/// the transport has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<SocketAddr>);

/// Stands in the extensions of every request that came over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;

/// Where the requests of a connection come from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    peer: Peer,
    over_tls: bool,
}

impl Origin {
    /// Says it of `request`, and names its host where routes look for it, or what is wrong with that.
    fn mark<B>(self, request: &mut Request<B>) {
        if let Err(problem) = host::settle(request) {
            request.extensions_mut().insert(problem);
        }
        request.extensions_mut().insert(self.peer);
        if self.over_tls {
            request.extensions_mut().insert(OverTls);
        }
    }
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were still unanswered when [`Limits::drain`] was over, and were cut off.
    pub abandoned: usize,
}

/// Serves `service` on `listeners` until `shutdown` resolves, then drains.
///
/// Once `shutdown` resolves and [`Limits::notice`] is over, the listeners close (files of unix sockets go), idle
/// connections close, and requests in flight have [`Limits::drain`] to end. A warp filter becomes a service by
/// `TowerToHyperService::new(warp::service(filter))`.
pub async fn serve<S, B>(
    listeners: Vec<Listener>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    serve_counted(listeners, service, limits, Arc::default(), shutdown).await
}

/// As [`serve`], and counts its connections in `counts`.
pub async fn serve_counted<S, B>(
    listeners: Vec<Listener>,
    service: S,
    limits: Limits,
    counts: Arc<Counts>,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let protocols = Arc::new(Protocols {
        http1: http1(&limits),
        http2: http2(&limits),
    });
    let mut admit = move |room: &mut Room, accepted: Accepted| {
        let (protocols, service) = (Arc::clone(&protocols), service.clone());
        room.admit(|activity| connection::run(accepted, protocols, service, activity));
    };
    let mut acceptor = Acceptor::new(listeners);
    let mut room = Room::new(limits, counts);
    accept_until(&mut acceptor, &mut room, &mut admit, pin!(shutdown)).await;
    room.leave();
    if !limits.notice.is_zero() {
        let over = pin!(sleep(limits.notice));
        accept_until(&mut acceptor, &mut room, &mut admit, over).await;
    }
    // Whom the kernel has accepted already takes his connection for made.
    for accepted in acceptor.accept_waiting(LAST_ACCEPTED) {
        admit(&mut room, accepted);
    }
    drop(acceptor);
    room.drain().await
}

/// Accepts connections until `over` resolves.
async fn accept_until<F: Future<Output = ()>>(
    acceptor: &mut Acceptor,
    room: &mut Room,
    admit: &mut impl FnMut(&mut Room, Accepted),
    mut over: Pin<&mut F>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut over => return,
            () = room.reap() => continue,
            accepted = acceptor.accept() => accepted,
        };
        let Ok(accepted) = accepted else {
            // A new client can only be served, and upstream keys fetched, if idle ones let go of theirs.
            (0..DESCRIPTORS_TO_FREE).for_each(|_| room.stop_longest_waiting(Closed::Descriptors));
            continue;
        };
        // One connection waits here; behind it the kernel's queue is the bound.
        tokio::select! {
            biased;
            () = &mut over => return admit(room, accepted),
            () = room.wait_for_place() => admit(room, accepted),
        }
    }
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None) // it runs while a connection is idle, too: `activity` tells the two apart
        .writev(false) // a reply is short: to copy it once costs less than to hand over its parts
        .half_close(true) // a client that has sent its request and shut down its side still gets the reply
        .max_header_size(limits.max_head)
        .max_buf_size(limits.max_head.max(SMALLEST_BUFFER));
    http
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_ERRORS);
    http
}
