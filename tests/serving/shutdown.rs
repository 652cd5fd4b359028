//! The end: what is in flight is answered, up to a point.

use std::sync::Arc;

use remint::http::serve::{Drained, Limits};
use tokio::net::TcpStream;

use crate::server::{GET, GET_GATE, SHORT, Server, lax, soon};

#[tokio::test]
async fn a_shutdown_lets_requests_in_flight_end() {
    let server = Server::start(lax()).await;
    let (mut busy, mut idle) = (server.connect().await, server.connect().await);
    let (mut half, mut fresh) = (server.connect().await, server.connect().await);
    let (addr, gate) = (server.addr, Arc::clone(&server.gate));
    idle.ask(GET).await;
    half.send("GET /hel").await;
    busy.send(GET_GATE).await;
    server.at_the_gate().await;
    let ended = server.shut_down();
    assert_eq!(idle.rest().await, "");
    assert_eq!(half.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(!ended.is_finished());
    gate.add_permits(1);
    let reply = busy.rest().await;
    assert!(reply.ends_with("through"), "{reply}");
    assert!(reply.contains("connection: close\r\n"), "{reply}");
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 0 });
}

#[tokio::test]
async fn a_drain_is_cut_off_and_counts_what_it_abandons() {
    let server = Server::start(Limits {
        drain: SHORT,
        ..lax()
    })
    .await;
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    for client in [&mut one, &mut two] {
        client.send(GET_GATE).await;
        server.at_the_gate().await;
    }
    let ended = server.shut_down();
    assert_eq!(one.rest().await, "");
    assert_eq!(two.rest().await, "");
    assert_eq!(soon(ended).await.unwrap(), Drained { abandoned: 2 });
}
