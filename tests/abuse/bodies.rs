//! Bodies that are half sent, by the thousand: what the process takes for them at its peak.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use h2::client::{ResponseFuture, handshake};
use h2::{RecvStream, SendStream};
use http::{Request, Response};

use crate::bench::{Bench, raise_descriptors};
use crate::support::server::Site;
use crate::support::until;

/// How many bodies are half sent.
const BODIES: usize = 4_000;
/// What there is of each, of 60,000 bytes.
const SENT: usize = 57_000;
/// `max_body_bytes`, in KiB.
const BUDGET: u64 = 16 * 1024;
/// What a connection with a request under way may take besides its body, in KiB: hyper's buffers for its head and for
/// what is read of the body, its task, and holes between these.
const CONNECTION: u64 = 28;
/// The same of a request on an HTTP/2 connection: its head, its state and its task.
const STREAM: u64 = 12;
/// What was sent on one HTTP/2 connection and is not read yet, in KiB.
const WINDOW: u64 = 64;
/// How many requests are open on one connection.
const STREAMS: usize = 100;

const REFUSED: &str = "remint_limited_total{limit=\"max_body_bytes\"}";

fn bench() -> Bench {
    Bench::of(Site::new().env("REMINT__LIMITS__MAX_BODY_BYTES", "16MiB"))
}

/// All of them do not fit by far, so most have had to give way.
fn most_gave_way(bench: &Bench, before: u64) {
    let fit = BUDGET * 1024 / u64::try_from(SENT).unwrap();
    until("most have given way", || {
        bench.metric(REFUSED) > before + 2 * fit
    });
}

#[test]
fn half_sent_bodies_take_no_more_than_their_budget() {
    raise_descriptors();
    let bench = bench();
    let head = "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
    let bytes = [head.as_bytes(), &vec![b'x'; SENT]].concat();
    let connections = u64::try_from(BODIES).unwrap();
    bench.withstands(BUDGET + connections * CONNECTION, |honest| {
        // The second time shows that nothing was kept of the first.
        for _ in 0..2 {
            let before = bench.metric(REFUSED);
            let mut flood: Vec<TcpStream> = Vec::with_capacity(BODIES);
            for _ in 0..BODIES {
                let mut stream = bench.connect();
                // One that has had to give way may be closed before it is done.
                let _ = stream.write_all(&bytes);
                flood.push(stream);
            }
            most_gave_way(&bench, before);
            honest.goes_on();
            assert_gave_way(flood.swap_remove(0));
            drop(flood);
            bench.only_honest();
        }
    });
}

fn assert_gave_way(mut stream: TcpStream) {
    let mut reply = String::new();
    let _ = stream.read_to_string(&mut reply);
    assert!(reply.starts_with("HTTP/1.1 503 "), "{reply}");
    assert!(reply.contains("\"reason\":\"overloaded\""), "{reply}");
    let head = reply.to_ascii_lowercase();
    assert!(head.contains("\r\nretry-after: 1\r\n"), "{reply}");
}

#[test]
fn half_sent_bodies_on_http2_take_no_more_than_their_budget() {
    raise_descriptors();
    let bench = bench();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let streams = u64::try_from(BODIES).unwrap();
    let connections = streams / STREAMS as u64;
    let peak = BUDGET + streams * STREAM + connections * (CONNECTION + WINDOW);
    bench.withstands(peak, |honest| {
        let flood = runtime.block_on(async {
            let mut flood = Vec::new();
            for _ in 0..BODIES / STREAMS {
                flood.push(half_sent(&bench).await);
            }
            flood
        });
        most_gave_way(&bench, 0);
        honest.goes_on();
        runtime.block_on(async {
            let (first, ..) = flood.into_iter().next().unwrap();
            let (reply, _stream) = first.into_iter().next().unwrap();
            let reply: Response<RecvStream> = reply.await.unwrap();
            assert_eq!(reply.status(), 503);
            assert_eq!(reply.headers()["retry-after"], "1");
        });
    });
}

type Half = (ResponseFuture, SendStream<Bytes>);

/// A connection full of requests whose bodies are half sent.
async fn half_sent(bench: &Bench) -> (Vec<Half>, tokio::task::AbortHandle) {
    let stream = tokio::net::TcpStream::connect(bench.server.address)
        .await
        .unwrap();
    let (requests, connection) = handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let mut requests = requests.clone().ready().await.unwrap();
        let request = Request::post("http://a/token")
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let (reply, mut stream) = requests.send_request(request, false).unwrap();
        let _ = stream.send_data(Bytes::from(vec![b'x'; SENT]), false);
        open.push((reply, stream));
    }
    (open, connection.abort_handle())
}
