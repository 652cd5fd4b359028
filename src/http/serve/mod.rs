//! Serving HTTP/1.1 on TCP and unix sockets: the accept loop, its limits and how it drains.
//!
//! `listen` and `unix` open sockets, `room` counts connections, `connection` runs one; what that one is
//! doing stands in its `Activity`, which `io` and `body` write and the timers read.

mod activity;
mod body;
mod connection;
mod io;
mod listen;
mod refusal;
mod room;
mod unix;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use hyper::server::conn::http1;
use hyper::service::Service;

pub use body::{BodyTimeout, RequestBody};
pub use listen::{BindError, Listener, bind};
pub use unix::{UnixSocket, bind_unix};

use listen::Acceptor;
use room::Room;

/// Any error, as hyper takes it from services and bodies.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How many idle connections close when the process has run out of descriptors.
const DESCRIPTORS_TO_FREE: usize = 16;

/// hyper panics below this buffer size.
const SMALLEST_BUFFER: usize = 8192;

/// What a client may take up, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte of a request (of the first one: from the accept) to the end of its head.
    pub header_timeout: Duration,
    /// From the end of a request's head to the end of its body.
    pub body_timeout: Duration,
    /// How long a connection may stand idle between requests, or not take a byte of its reply.
    pub idle_timeout: Duration,
    /// How long requests in flight may take to end once the shutdown has begun.
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

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were still unanswered when [`Limits::drain`] was over, and were cut off.
    pub abandoned: usize,
}

/// Serves `service` on `listeners` until `shutdown` resolves, then drains.
///
/// Once `shutdown` resolves the listeners close (files of unix sockets go), idle connections close, and requests in flight
/// have [`Limits::drain`] to end. A warp filter becomes a service by
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
    let http = http1(&limits);
    let mut acceptor = Acceptor::new(listeners);
    let mut room = Room::new(limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = room.reap() => continue,
            accepted = acceptor.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // A new client can only be served, and upstream keys fetched, if idle ones let go of theirs.
            (0..DESCRIPTORS_TO_FREE).for_each(|_| room.stop_longest_idle());
            continue;
        };
        // One connection waits here; behind it the kernel's queue is the bound.
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = room.wait_for_place() => {}
        }
        let (http, service) = (http.clone(), service.clone());
        room.admit(|activity| connection::run(stream, peer, http, service, activity));
    }
    drop(acceptor);
    room.drain().await
}

fn http1(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None) // it runs while a connection is idle, too: `activity` tells the two apart
        .half_close(true) // a client that has sent its request and shut down its side still gets the reply
        .max_header_size(limits.max_head)
        .max_buf_size(limits.max_head.max(SMALLEST_BUFFER));
    http
}
