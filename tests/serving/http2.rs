//! HTTP/2 with prior knowledge: the same timeouts and limits, and those of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use remint::http::serve::{Closed, Drained, Limits};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::server::{Client, GET, LONG, SHORT, Server, lax, soon};

/// A connection with HTTP/2, and what resolves when the server has ended it.
struct Two {
    requests: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Two {
    async fn connect(addr: SocketAddr) -> Self {
        Self::with(addr, &Builder::new()).await
    }

    async fn with(addr: SocketAddr, builder: &Builder) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        Self {
            requests,
            ended: tokio::spawn(connection),
        }
    }

    /// Sends a head; `last` if no body follows.
    async fn send(&mut self, path: &str, last: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://a{path}")).body(()).unwrap();
        self.send_request(request, last).await
    }

    async fn send_request(
        &mut self,
        request: Request<()>,
        last: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = soon(self.requests.clone().ready()).await.unwrap();
        requests.send_request(request, last).unwrap()
    }

    async fn ask(&mut self, path: &str) -> (u16, String) {
        let (reply, _) = self.send(path, true).await;
        read(soon(reply).await.unwrap()).await
    }

    /// Waits for the end of the connection.
    async fn end(self) -> Result<(), h2::Error> {
        drop(self.requests);
        soon(self.ended).await.unwrap()
    }
}

async fn read(reply: Response<RecvStream>) -> (u16, String) {
    let status = reply.status().as_u16();
    let mut body = reply.into_body();
    let mut text = Vec::new();
    while let Some(part) = soon(body.data()).await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        text.extend(part);
    }
    (status, String::from_utf8(text).unwrap())
}

/// The reason of the reset that comes instead of a reply.
async fn reset(reply: ResponseFuture) -> Option<Reason> {
    soon(reply).await.unwrap_err().reason()
}

#[tokio::test]
async fn one_listener_speaks_both() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let mut one = server.connect().await;
    assert_eq!(two.ask("/hello").await, (200, "hello".to_owned()));
    assert!(one.ask(GET).await.ends_with("hello"));
    let (reply, mut body) = two.send("/echo", false).await;
    body.send_data(Bytes::from_static(b"12345"), true).unwrap();
    assert_eq!(
        read(soon(reply).await.unwrap()).await,
        (200, "5".to_owned())
    );
    assert_eq!(server.counts.open(), 2);
}

#[tokio::test]
async fn requests_go_side_by_side() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let (slow, _) = two.send("/gate", true).await;
    server.at_the_gate().await;
    assert_eq!(two.ask("/hello").await.1, "hello");
    server.gate.add_permits(1);
    assert_eq!(read(soon(slow).await.unwrap()).await.1, "through");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_408_and_the_connection_ends_behind_the_others() {
    let server = Server::start(Limits {
        body_timeout: SHORT,
        ..lax()
    })
    .await;
    let mut two = Two::connect(server.addr).await;
    let (slow, _) = two.send("/gate", true).await;
    server.at_the_gate().await;
    let (reply, mut body) = two.send("/echo", false).await;
    body.send_data(Bytes::from_static(b"1"), false).unwrap();
    assert_eq!(read(soon(reply).await.unwrap()).await.0, 408);
    server.gate.add_permits(1);
    assert_eq!(read(soon(slow).await.unwrap()).await.1, "through");
    two.end().await.unwrap();
}

#[tokio::test]
async fn a_head_request_gets_no_body() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let request = Request::head("http://a/hello").body(()).unwrap();
    let (reply, _) = two.send_request(request, true).await;
    let reply = soon(reply).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-length"], "5");
    assert!(reply.body().is_end_stream());
    assert_eq!(read(reply).await.1, "");
}

#[tokio::test]
async fn a_head_that_does_not_end_closes_the_connection() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // Empty SETTINGS, then HEADERS of three bytes of which one comes.
    let frames = "\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01x";
    client.send(frames).await;
    let mut rest = Vec::new();
    let _ = soon(client.0.read_to_end(&mut rest)).await;
    assert_eq!(server.counts.closed(Closed::Head), 1);
    // A part of the preface is a part of a head, too.
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn pings_do_not_make_a_connection_less_idle() {
    let server = Server::start(Limits {
        idle_timeout: SHORT * 2,
        ..lax()
    })
    .await;
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut requests, mut connection) =
        Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let ended = tokio::spawn(connection);
    let request = Request::get("http://a/hello").body(()).unwrap();
    let (reply, _) = requests.send_request(request, true).unwrap();
    read(soon(reply).await.unwrap()).await;
    let mut answered = 0;
    while soon(pings.ping(h2::Ping::opaque())).await.is_ok() {
        answered += 1;
    }
    assert!(answered > 0);
    let _ = soon(ended).await.unwrap();
    assert_eq!(server.counts.closed(Closed::Idle), 1);
}

#[tokio::test]
async fn a_client_that_says_nothing_after_the_preface_is_closed() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    let mut client = server.connect().await;
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let mut rest = Vec::new();
    soon(client.0.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(server.counts.closed(Closed::Idle), 1);
    // It says GOAWAY before it goes.
    let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0];
    assert!(rest.windows(9).any(|part| part == goaway), "{rest:?}");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_reply_is_closed() {
    let server = Server::start(Limits {
        idle_timeout: SHORT,
        ..lax()
    })
    .await;
    for (window, closed) in [(0, 1), (1, 2)] {
        let mut two = Two::with(server.addr, Builder::new().initial_window_size(window)).await;
        let (reply, _) = two.send("/hello", true).await;
        let _held = soon(reply).await.unwrap();
        let _ = soon(two.ended).await.unwrap();
        assert_eq!(server.counts.closed(Closed::Write), closed);
    }
}

#[tokio::test]
async fn whoever_only_takes_back_is_cut_off() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let mut taken_back = 0;
    while !two.ended.is_finished() {
        let Ok(mut requests) = soon(two.requests.clone().ready()).await else {
            break;
        };
        let request = Request::get("http://a/gate").body(()).unwrap();
        let Ok((reply, mut stream)) = requests.send_request(request, true) else {
            break;
        };
        server.at_the_gate_or(&mut two.ended).await;
        stream.send_reset(Reason::CANCEL);
        drop(reply);
        taken_back += 1;
        assert!(taken_back < 10_000, "it goes on for ever");
    }
    assert!(taken_back > 100, "{taken_back}");
    assert_eq!(server.counts.closed(Closed::Resets), 1);
    assert_eq!(Two::connect(server.addr).await.ask("/hello").await.0, 200);
}

/// Once it was read, a request goes on without its client, and still counts against the limit of all connections and
/// for the place of its own.
#[tokio::test]
async fn requests_that_are_taken_back_under_way_still_count() {
    let server = Server::start(Limits {
        max_connections: 3,
        ..lax()
    })
    .await;
    let mut third = Two::connect(server.addr).await;
    for requests in [51, 50] {
        let mut two = Two::connect(server.addr).await;
        for _ in 0..requests {
            let (reply, mut stream) = two.send("/gate", true).await;
            server.at_the_gate().await;
            stream.send_reset(Reason::CANCEL);
            drop(reply);
        }
        // The resets have come when this is answered.
        assert_eq!(two.ask("/hello").await.0, 200);
        two.end().await.unwrap();
    }
    // Beyond the first of each connection, 99 count.
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(third.send("/gate", true).await.0);
        server.at_the_gate().await;
    }
    let (refused, _) = third.send("/hello", true).await;
    assert_eq!(reset(refused).await, Some(Reason::REFUSED_STREAM));
    assert_eq!(server.counts.refused(), 1);
    assert_eq!(server.counts.open(), 3, "their places are taken");
    server.gate.add_permits(51 + 50 + 2);
    for reply in waiting {
        assert_eq!(soon(reply).await.unwrap().status(), 200);
    }
    soon(async {
        while server.counts.open() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(third.ask("/hello").await.0, 200);
}

#[tokio::test]
async fn a_shutdown_waits_for_what_its_client_has_left() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let (reply, mut stream) = two.send("/gate", true).await;
    server.at_the_gate().await;
    stream.send_reset(Reason::CANCEL);
    drop((reply, stream));
    two.end().await.unwrap();
    let gate = Arc::clone(&server.gate);
    let mut ended = server.shut_down();
    // A connection is closed by now, where it has nothing to do.
    assert!(timeout(SHORT, &mut ended).await.is_err());
    gate.add_permits(1);
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 0 });
}

#[tokio::test]
async fn all_connections_together_have_a_limit_of_requests() {
    let server = Server::start(Limits {
        max_connections: 3,
        ..lax()
    })
    .await;
    let (mut first, mut second) = (
        Two::connect(server.addr).await,
        Two::connect(server.addr).await,
    );
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(first.send("/gate", true).await.0);
        server.at_the_gate().await;
    }
    // What takes the last place of all is a reply that its client does not take.
    let mut third = Two::with(server.addr, Builder::new().initial_window_size(1)).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let (reply, _) = third.send("/hello", true).await;
        held.push(soon(reply).await.unwrap());
    }
    // One at a time everybody may ask.
    assert_eq!(second.ask("/hello").await.0, 200);
    waiting.push(second.send("/gate", true).await.0);
    server.at_the_gate().await;
    let (refused, _) = second.send("/hello", true).await;
    assert_eq!(reset(refused).await, Some(Reason::REFUSED_STREAM));
    assert_eq!(server.counts.refused(), 1);
    drop((third, held));
    // HTTP/1.1 has its own limit, the one of connections.
    assert!(server.connect().await.ask(GET).await.ends_with("hello"));
    server.gate.add_permits(101);
    for reply in waiting {
        assert_eq!(soon(reply).await.unwrap().status(), 200);
    }
    assert_eq!(second.ask("/hello").await.0, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = Server::start(lax()).await;
    let mut two = Two::connect(server.addr).await;
    let request = Request::get("http://a/hello")
        .header("x", "y".repeat(40_000))
        .body(())
        .unwrap();
    let (reply, _) = two.requests.send_request(request, true).unwrap();
    assert_eq!(soon(reply).await.unwrap().status(), 431);
    assert_eq!(two.ask("/hello").await.0, 200);
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_goes_whatever_it_speaks() {
    let server = Server::start(Limits {
        max_connections: 1,
        ..lax()
    })
    .await;
    let mut two = Two::connect(server.addr).await;
    two.ask("/hello").await;
    let mut one = server.connect().await;
    assert!(one.ask(GET).await.ends_with("hello"));
    let _ = two.end().await;
    assert_eq!(server.counts.closed(Closed::Limit), 1);
    let mut two = Two::connect(server.addr).await;
    assert_eq!(two.ask("/hello").await.0, 200);
    assert_eq!(one.rest().await, "");
}

#[tokio::test]
async fn a_shutdown_says_goaway_and_lets_requests_end() {
    let server = Server::start(Limits {
        notice: SHORT,
        ..lax()
    })
    .await;
    let mut busy = Two::connect(server.addr).await;
    let mut idle = Two::connect(server.addr).await;
    idle.ask("/hello").await;
    let (reply, _) = busy.send("/gate", true).await;
    server.at_the_gate().await;
    let (gate, ended) = (Arc::clone(&server.gate), server.shut_down());
    idle.end().await.unwrap();
    gate.add_permits(1);
    assert_eq!(read(soon(reply).await.unwrap()).await.1, "through");
    busy.end().await.unwrap();
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 0 });
}

#[tokio::test]
async fn a_shutdown_waits_until_the_client_has_taken_its_reply() {
    let server = Server::start(lax()).await;
    let mut two = Two::with(server.addr, Builder::new().initial_window_size(1)).await;
    let (reply, _) = two.send("/gate", true).await;
    server.at_the_gate().await;
    let (gate, ended) = (Arc::clone(&server.gate), server.shut_down());
    // Behind the time that a first request has.
    tokio::time::sleep(SHORT * 8).await;
    gate.add_permits(1);
    assert_eq!(read(soon(reply).await.unwrap()).await.1, "through");
    two.end().await.unwrap();
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 0 });
}

#[tokio::test]
async fn a_drain_that_is_cut_off_counts_each_request() {
    let server = Server::start(Limits {
        drain: SHORT,
        ..lax()
    })
    .await;
    let mut two = Two::connect(server.addr).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(two.send("/gate", true).await);
        server.at_the_gate().await;
    }
    let ended = server.shut_down();
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 3 });
}

#[tokio::test]
async fn during_the_notice_every_reply_is_the_last_one() {
    let server = Server::start(Limits {
        notice: LONG,
        ..lax()
    })
    .await;
    let mut idle = server.connect().await;
    idle.ask(GET).await;
    let addr = server.addr;
    let ended = server.shut_down();
    // It begins at some moment from now on; until then connections stay open.
    let mut asked = idle.ask(GET).await;
    while !asked.contains("connection: close") {
        asked = idle.ask(GET).await;
    }
    assert_eq!(idle.rest().await, "");
    let reply = Client::connect(addr).await.ask(GET).await;
    assert!(reply.contains("connection: close"), "{reply}");
    ended.abort();
}
