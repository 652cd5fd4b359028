//! A small HTTP/1.1 client that costs little beside the server it drives.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep_until;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Requests run for this long before they count.
const WARM_UP: Duration = Duration::from_millis(50);

/// Where requests go, and the bytes of each; whoever sends takes the next.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<[Vec<u8>]>,
    /// How many were taken.
    pub(crate) taken: Arc<AtomicUsize>,
    /// Whether the client has a core to itself.
    pub(crate) apart: bool,
    pub(crate) connect: Connect,
    /// Whether each is refused, instead of answered with 200.
    pub(crate) refused: bool,
}

/// How requests share connections.
#[derive(Clone)]
pub(crate) enum Connect {
    /// A connection is kept for the next request.
    Kept,
    /// Each request has a new TCP connection.
    New,
    /// Each has a new TLS connection, with a whole handshake.
    Tls(TlsConnector),
}

impl Target {
    fn next(&self) -> &[u8] {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        &self.requests[taken % self.requests.len()]
    }

    async fn open(&self) -> Connection {
        let connection = Connection::open(self.address, &self.connect).await;
        connection.expect("a connection")
    }
}

/// How requests follow each other on a connection.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// The next as soon as the reply is there.
    Flat,
    /// At fixed times, so many a second over all connections, whether replies are late or not.
    Rate(f64),
}

/// What came of it.
pub(crate) struct Load {
    latencies: Vec<Duration>,
    pub(crate) seconds: f64,
}

impl Load {
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn rate(&self) -> f64 {
        as_f64(self.count()) / self.seconds
    }

    /// The latency in milliseconds that this share of the requests kept to.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index within the list"
        )]
        let index = (as_f64(self.count()) * share) as usize;
        let latency = self
            .latencies
            .get(index.min(self.count().saturating_sub(1)));
        latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An HTTP/1.1 connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, connect: &Connect) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if !matches!(connect, Connect::Kept) {
            // One address has too few ports for connections that end by the ten thousand.
            static LAST: AtomicU8 = AtomicU8::new(0);
            let last = LAST.fetch_add(1, Ordering::Relaxed);
            let own = Ipv4Addr::new(127, 0, 1, last);
            socket.bind((own, 0).into())?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match connect {
            Connect::Kept | Connect::New => Box::new(stream),
            Connect::Tls(connector) => {
                let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
                Box::new(connector.connect(name, stream).await?)
            }
        };
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8192),
        })
    }

    /// Sends a request and reads the whole reply; gives its head and body.
    pub(crate) async fn send(&mut self, request: &[u8]) -> std::io::Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        while !is_whole(&self.buffer) {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.buffer)
    }

    /// Sends the next request, which must be answered as expected.
    async fn ask(&mut self, target: &Target) {
        let reply = self.send(target.next()).await.expect("a reply");
        let is_expected = is_ok(reply) != target.refused;
        assert!(is_expected, "{}", String::from_utf8_lossy(reply));
    }

    /// Ends it as curl does.
    async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

pub(crate) fn is_ok(reply: &[u8]) -> bool {
    reply.starts_with(b"HTTP/1.1 200")
}

fn is_whole(reply: &[u8]) -> bool {
    let Some(head) = find(reply, b"\r\n\r\n") else {
        return false;
    };
    let length = find(&reply[..head], b"content-length: ").map_or(0, |at| {
        let digits = reply[at + 16..head]
            .iter()
            .take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    });
    reply.len() >= head + 4 + length
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Drives `target` over this many connections, and calls `edge` when counting begins and ends.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    pace: Pace,
    length: Duration,
    mut edge: impl FnMut(),
) -> Load {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(match target.connect {
            Connect::Kept => Some(target.open().await),
            Connect::New | Connect::Tls(_) => None,
        });
    }
    // A sleeping client is woken by the core that sends to it, which in a virtual machine costs the server
    // as much as an ES256 signature; no client beyond a network does that to it.
    let apart = target.apart;
    let awake = tokio::spawn(async move { while yield_if(apart).await {} });
    let began = Instant::now();
    let from = began + WARM_UP;
    let end = from + length;
    let mut tasks = JoinSet::new();
    for (number, connection) in open.into_iter().enumerate() {
        let target = target.clone();
        tasks.spawn(async move {
            let beats = Beats {
                number,
                connections,
                pace,
                from: began,
                end,
            };
            requests(connection, target, beats, from).await
        });
    }
    sleep_until(from.into()).await;
    edge();
    let mut latencies = Vec::new();
    sleep_until(end.into()).await;
    edge();
    awake.abort();
    while let Some(own) = tasks.join_next().await {
        latencies.extend(own.expect("no panic"));
    }
    latencies.sort_unstable();
    Load {
        latencies,
        seconds: length.as_secs_f64(),
    }
}

async fn yield_if(apart: bool) -> bool {
    yield_now().await;
    apart
}

/// When one of several connections sends.
struct Beats {
    number: usize,
    connections: usize,
    pace: Pace,
    from: Instant,
    end: Instant,
}

impl Beats {
    /// When the request is due that follows `sent` others; at once without a fixed pace.
    async fn next(&self, sent: usize) -> Instant {
        let Pace::Rate(rate) = self.pace else {
            return Instant::now();
        };
        let place = as_f64(self.number + sent * self.connections);
        let due = self.from + Duration::from_secs_f64(place / rate);
        sleep_until(due.into()).await;
        due
    }
}

/// The latencies of what was asked and answered within the time that counts.
async fn requests(
    mut kept: Option<Connection>,
    target: Target,
    beats: Beats,
    counted_from: Instant,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for sent in 0.. {
        let began = beats.next(sent).await;
        if began >= beats.end {
            break;
        }
        let mut connection = match kept.take() {
            Some(kept) => kept,
            None => target.open().await,
        };
        connection.ask(&target).await;
        let replied = Instant::now();
        // A request asked before the end of a saturated run is answered after it.
        let counts = matches!(beats.pace, Pace::Rate(_)) || replied < beats.end;
        if replied >= counted_from && counts {
            latencies.push(replied - began);
        }
        match target.connect {
            Connect::Kept => kept = Some(connection),
            Connect::New | Connect::Tls(_) => connection.close().await,
        }
    }
    latencies
}
