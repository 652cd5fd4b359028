//! Requests that are well: keep-alive, pipelines, bodies, several listeners.

use std::future::pending;

use remint::http::serve::{bind, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{Client, GET, GET_GATE, Server, hello, lax, soon};

#[tokio::test]
async fn a_request_knows_its_peer() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    let reply = client.ask("GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(reply.ends_with(&client.0.local_addr().unwrap().to_string()));
}

#[tokio::test]
async fn http_1_1_keeps_alive_and_http_1_0_closes() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    assert!(client.ask(GET).await.ends_with("hello"));
    assert!(client.ask(GET).await.ends_with("hello"));
    client.send("GET /hello HTTP/1.0\r\n\r\n").await;
    let reply = client.rest().await;
    assert!(reply.starts_with("HTTP/1.0 200 "), "{reply}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client.send(&format!("{GET}{GET}")).await;
    assert!(client.reply().await.ends_with("hello"));
    assert!(client.reply().await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_shut_down_its_side_gets_its_reply() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client.send(GET_GATE).await;
    server.at_the_gate().await;
    client.0.shutdown().await.unwrap();
    // After a round trip the server has seen that the client sends no more.
    server.connect().await.ask(GET).await;
    server.gate.add_permits(1);
    assert!(client.rest().await.ends_with("through"));
}

#[tokio::test]
async fn expect_100_continue() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client
        .send("POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    let mut head = [0; 25];
    soon(client.0.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(client.ask("body").await.ends_with("\r\n\r\n4"));
}

#[tokio::test]
async fn an_unread_body_delays_no_reply() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    let head = "POST /ignore HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n";
    assert!(client.ask(head).await.ends_with("ignored"));
}

#[tokio::test]
async fn a_client_still_sending_a_refused_body_is_not_reset() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    let head = "POST /ignore HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n";
    client.ask(head).await;
    for _ in 0..3 {
        client.send(&"x".repeat(20_000)).await;
        // A round trip gives the server time to object.
        server.connect().await.ask(GET).await;
    }
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_panic_ends_only_its_own_connection() {
    let server = Server::start(lax()).await;
    let (mut doomed, mut other) = (server.connect().await, server.connect().await);
    other.ask(GET).await;
    doomed.send("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(doomed.rest().await, "");
    assert!(other.ask(GET).await.ends_with("hello"));
    assert!(server.connect().await.ask(GET).await.ends_with("hello"));
}

#[tokio::test]
async fn several_listeners_are_served() {
    let listeners = [
        bind("127.0.0.1:0").await.unwrap(),
        bind("127.0.0.1:0").await.unwrap(),
    ];
    let addrs = listeners.each_ref().map(|l| l.local_addr().unwrap());
    tokio::spawn(serve(
        listeners.map(Into::into).into(),
        hello(),
        lax(),
        pending(),
    ));
    for addr in addrs.into_iter().cycle().take(6) {
        let reply = Client::connect(addr).await.ask(GET).await;
        assert!(reply.ends_with("hello"), "{reply}");
    }
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let taken = bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let error = bind(&addr).await.expect_err("taken").to_string();
    assert_eq!(
        error,
        format!(
            "cannot listen on {addr}: address already in use (another program has the port; stop it or choose another port)"
        )
    );
    assert!(bind("nonsense").await.is_err());
}
