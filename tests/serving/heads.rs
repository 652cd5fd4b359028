//! Heads that are too large or not HTTP.

use crate::server::{GET, Server, assert_refused, lax};

#[tokio::test]
async fn a_head_at_the_limit_passes_and_one_byte_more_is_431() {
    let server = Server::start(lax()).await;
    let head = |size: usize| {
        let frame = "GET /hello HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        format!(
            "GET /hello HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "y".repeat(size - frame)
        )
    };
    let mut client = server.connect().await;
    assert!(client.ask(&head(32 * 1024)).await.ends_with("hello"));
    client.send(&head(32 * 1024 + 1)).await;
    assert_refused(&client.rest().await, "431", "head_too_large");
}

#[tokio::test]
async fn an_endless_head_is_431_at_the_limit() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client.send("GET /").await;
    client.send(&"y".repeat(100_000)).await;
    assert_refused(&client.rest().await, "431", "head_too_large");
}

#[tokio::test]
async fn too_many_header_lines_are_431() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client
        .send(&format!(
            "GET /hello HTTP/1.1\r\n{}\r\n",
            "x: y\r\n".repeat(101)
        ))
        .await;
    assert_refused(&client.rest().await, "431", "head_too_large");
}

#[tokio::test]
async fn junk_is_400() {
    let server = Server::start(lax()).await;
    for junk in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n",
        "hello\r\n\r\n",
        "GET / HTTP/3.7\r\n\r\n",
        "GET /hello HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /echo HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(junk).await;
        let reply = client.rest().await;
        assert!(!reply.is_empty(), "{junk:?}");
        assert_refused(&reply, "400", "head_malformed");
    }
}

#[tokio::test]
async fn junk_behind_a_request_is_400_behind_its_reply() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    client.send(&format!("{GET}junk\r\n\r\n")).await;
    assert!(client.reply().await.ends_with("hello"));
    assert_refused(&client.rest().await, "400", "head_malformed");
}

#[tokio::test]
async fn a_request_with_both_lengths_closes_the_connection() {
    let server = Server::start(lax()).await;
    let mut client = server.connect().await;
    let smuggle = format!("5\r\nhello\r\n0\r\n\r\n{GET}");
    client
        .send(&format!(
            "POST /echo HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n{smuggle}"
        ))
        .await;
    let replies = client.rest().await;
    assert!(replies.ends_with("\r\n\r\n5"), "{replies}");
    assert_eq!(replies.matches("HTTP/1.1").count(), 1);
}
