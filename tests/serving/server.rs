//! A server to test and a client that speaks HTTP by hand.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{Request, Response, StatusCode};
use hyper::body::Body;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use remint::http::serve::{
    BodyTimeout, Counts, Drained, Limits, Peer, RequestBody, bind, serve, serve_counted,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use warp::{Filter, Reply};

pub(crate) const SHORT: Duration = Duration::from_millis(150);
pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const GET: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";
pub(crate) const GET_GATE: &str = "GET /gate HTTP/1.1\r\nhost: a\r\n\r\n";

/// No limit that a test could meet without asking for it.
pub(crate) fn lax() -> Limits {
    Limits {
        header_timeout: LONG,
        body_timeout: LONG,
        idle_timeout: LONG,
        drain: LONG,
        ..Limits::default()
    }
}

/// A running server; `/gate` answers for each permit of `gate`.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) counts: Arc<Counts>,
    entered: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let entered = Arc::new(Semaphore::new(0));
        let routes = routes(Arc::clone(&gate), Arc::clone(&entered));
        let service = TowerToHyperService::new(warp::service(routes));
        let listener = bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::<Counts>::default();
        let (listeners, counted) = (vec![listener.into()], Arc::clone(&counts));
        let ended = tokio::spawn(serve_counted(listeners, service, limits, counted, async {
            let _ = stopped.await;
        }));
        Self {
            addr,
            gate,
            counts,
            entered,
            stop,
            ended,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// Waits until a request stands at the gate.
    pub(crate) async fn at_the_gate(&self) {
        soon(self.entered.acquire()).await.unwrap().forget();
    }

    /// The same, unless `ended` comes first.
    pub(crate) async fn at_the_gate_or<T>(&self, ended: &mut JoinHandle<T>) {
        tokio::select! {
            () = self.at_the_gate() => {}
            _ = ended => {}
        }
    }

    /// Begins the shutdown; gives what waits for its end.
    pub(crate) fn shut_down(self) -> JoinHandle<Drained> {
        self.stop.send(()).unwrap();
        self.ended
    }
}

/// Serves `service` for as long as the test runs.
pub(crate) async fn spawn<S, B>(service: S, limits: Limits) -> SocketAddr
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let listener = bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(serve(vec![listener.into()], service, limits, pending()));
    addr
}

/// Routes with the one answer `hello`, as `serve` takes them.
pub(crate) fn hello()
-> impl Service<Request<RequestBody>, Response = warp::reply::Response, Error = Infallible, Future: Send>
+ Clone
+ Send {
    TowerToHyperService::new(warp::service(warp::any().map(|| "hello")))
}

fn routes(
    gate: Arc<Semaphore>,
    entered: Arc<Semaphore>,
) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone {
    let hello = warp::path("hello").map(|| "hello".into_response());
    let echo = warp::path("echo")
        .and(warp::body::stream())
        .then(|body| async move { length(body).await });
    let ignore = warp::path("ignore").map(|| "ignored".into_response());
    let panics = warp::path("panic").map(|| -> warp::reply::Response { panic!("on purpose") });
    let peer = warp::path("peer").and(warp::ext::get()).map(|peer: Peer| {
        peer.0
            .expect("tcp has addresses")
            .to_string()
            .into_response()
    });
    let gate = warp::path("gate").then(move || {
        let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
        async move {
            entered.add_permits(1);
            gate.acquire().await.unwrap().forget();
            "through".into_response()
        }
    });
    let all = hello.or(echo).unify().or(ignore).unify();
    all.or(panics).unify().or(peer).unify().or(gate).unify()
}

/// As the routes of Remint read a body: 408 if it takes too long.
async fn length<B: warp::Buf>(
    body: impl futures_util::Stream<Item = Result<B, warp::Error>>,
) -> warp::reply::Response {
    let total = body.try_fold(0, |sum, mut part| async move {
        let length = part.remaining();
        part.advance(length);
        Ok(sum + length)
    });
    let (text, status) = match total.await {
        Ok(total) => (total.to_string(), StatusCode::OK),
        Err(error) if BodyTimeout::caused(&error) => {
            (error.to_string(), StatusCode::REQUEST_TIMEOUT)
        }
        Err(error) => (error.to_string(), StatusCode::BAD_REQUEST),
    };
    warp::reply::with_status(text, status).into_response()
}

/// A client that speaks HTTP by hand.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One reply with a `content-length`.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        while !complete(&reply) {
            reply.push(char::from(soon(self.0.read_u8()).await.unwrap()));
        }
        reply
    }

    pub(crate) async fn ask(&mut self, request: &str) -> String {
        self.send(request).await;
        self.reply().await
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        soon(self.0.read_to_string(&mut rest)).await.unwrap();
        rest
    }
}

fn complete(reply: &str) -> bool {
    let Some((head, body)) = reply.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    body.len() >= length.expect("a length").parse().unwrap()
}

/// No wait in here takes this long unless something hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("done in 20 s")
}

pub(crate) fn assert_refused(reply: &str, status: &str, reason: &str) {
    assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let member = |name| body.get(name).and_then(|value| value.as_str()).unwrap();
    assert_eq!(member("error"), "invalid_request");
    assert_eq!(member("reason"), reason);
    assert!(!member("error_description").is_empty());
    let id = format!("\r\nx-request-id: {}", member("request_id"));
    assert!(head.contains(&id), "{head}");
}
