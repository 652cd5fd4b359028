//! Clients that are slow to send a head, a body or nothing, or to read a reply.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use remint::http::serve::{BodyTimeout, Limits, RequestBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::server::{Client, GET, GET_GATE, SHORT, Server, assert_refused, lax, soon, spawn};

#[tokio::test]
async fn a_first_head_that_does_not_end_is_408() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    let mut client = server.connect().await;
    client.send("GET /hello HTTP/1.1\r\nhost").await;
    assert_refused(&client.rest().await, "408", "head_timeout");
}

#[tokio::test]
async fn a_dripping_head_is_408_all_the_same() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    let (mut from, mut to) = server.connect().await.0.into_split();
    let drip = tokio::spawn(async move {
        let mut tick = tokio::time::interval(SHORT / 10);
        to.write_all(b"GET /hello HTTP/1.1\r\n").await.unwrap();
        while to.write_all(b"x: y\r\n").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut reply = String::new();
    soon(from.read_to_string(&mut reply)).await.unwrap();
    drip.abort();
    assert_refused(&reply, "408", "head_timeout");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    assert_eq!(server.connect().await.rest().await, "");
}

#[tokio::test]
async fn a_later_head_is_timed_from_its_first_byte() {
    let server = Server::start(Limits {
        header_timeout: SHORT,
        ..lax()
    })
    .await;
    let mut client = server.connect().await;
    client.ask(GET).await;
    client.send("G").await;
    assert_refused(&client.rest().await, "408", "head_timeout");
}

#[tokio::test]
async fn idling_is_limited_by_its_own_timer() {
    let limits = Limits {
        header_timeout: SHORT,
        idle_timeout: SHORT * 4,
        ..lax()
    };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.ask(GET).await;
    let idle = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(idle.elapsed() + Duration::from_millis(5) >= SHORT * 4);
    assert!(idle.elapsed() < SHORT * 4 + SHORT * 10);
}

#[tokio::test]
async fn a_slow_handler_is_not_idle() {
    let limits = Limits {
        header_timeout: SHORT,
        body_timeout: SHORT,
        idle_timeout: SHORT,
        ..lax()
    };
    let server = Server::start(limits).await;
    let mut slow = server.connect().await;
    slow.send(GET_GATE).await;
    server.at_the_gate().await;
    // This one comes later and has as much time: once it is closed, the other's would be over.
    assert_eq!(server.connect().await.rest().await, "");
    server.gate.add_permits(1);
    assert!(slow.reply().await.ends_with("through"));
}

#[tokio::test]
async fn a_dripping_body_is_408() {
    let server = Server::start(Limits {
        body_timeout: SHORT,
        ..lax()
    })
    .await;
    let (mut from, mut to) = server.connect().await.0.into_split();
    let drip = tokio::spawn(async move {
        let mut tick = tokio::time::interval(SHORT / 10);
        let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 65536\r\n\r\n";
        to.write_all(head.as_bytes()).await.unwrap();
        while to.write_all(b"x").await.is_ok() {
            tick.tick().await;
        }
    });
    let mut reply = String::new();
    soon(from.read_to_string(&mut reply)).await.unwrap();
    drip.abort();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("connection: close\r\n"), "{reply}");
}

#[tokio::test]
async fn a_body_read_on_another_task_times_out_too() {
    let service = service_fn(|request: Request<RequestBody>| async move {
        let read = tokio::spawn(request.into_body().collect());
        let error = read.await.unwrap().expect_err("no end");
        assert!(BodyTimeout::caused(&*error));
        let mut reply = Response::new(Full::<Bytes>::default());
        *reply.status_mut() = StatusCode::REQUEST_TIMEOUT;
        Ok::<_, Infallible>(reply)
    });
    let limits = Limits {
        body_timeout: SHORT,
        ..lax()
    };
    let mut client = Client::connect(spawn(service, limits).await).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx")
        .await;
    assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let (held, dropped) = oneshot::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let service = service_fn(move |_: Request<RequestBody>| {
        let held = held.lock().unwrap().take();
        let endless = futures_util::stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; 8192])))
        });
        async { Ok::<_, Infallible>(Response::new(StreamBody::new(endless))) }
    });
    let limits = Limits {
        idle_timeout: SHORT,
        ..lax()
    };
    let mut client = Client::connect(spawn(service, limits).await).await;
    client.send(GET).await;
    soon(dropped).await.unwrap_err();
}
