//! More connections than the limit, or than the process has descriptors.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use remint::http::serve::{Limits, bind, serve};
use tokio::time::Instant;

use crate::server::{Client, GET, GET_GATE, LONG, Server, hello, lax};

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_goes() {
    let server = Server::start(Limits {
        max_connections: 2,
        ..lax()
    })
    .await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    second.ask(GET).await;
    first.ask(GET).await;
    // Idle times are whole milliseconds; this one must be the shorter.
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(5) {
        first.ask(GET).await;
    }
    let mut third = server.connect().await;
    assert!(third.ask(GET).await.ends_with("hello"));
    assert_eq!(second.rest().await, "");
    assert!(first.ask(GET).await.ends_with("hello"));
}

#[tokio::test]
async fn at_the_limit_whoever_waits_for_its_client_goes() {
    let server = Server::start(Limits {
        max_connections: 3,
        ..lax()
    })
    .await;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // HEADERS without END_STREAM: POST http://a/echo, each field with the name of HPACK's table.
    let head = "\0\0\x16\x01\x04\0\0\0\x01\x02\x04POST\x06\x04http\x01\x01a\x04\x05/echo";
    let h2_body = format!("{preface}{head}");
    let h1_body = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1";
    for slow in ["", "G", "PRI", preface, h1_body, &h2_body] {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = server.connect().await;
            client.send(slow).await;
            clients.push(client);
        }
        let mut honest = server.connect().await;
        assert!(honest.ask(GET).await.ends_with("hello"), "{slow:?}");
    }
}

#[tokio::test]
async fn at_the_limit_a_new_client_has_its_time() {
    let server = Server::start(Limits {
        max_connections: 2,
        ..lax()
    })
    .await;
    let mut slow = server.connect().await;
    slow.send("G").await;
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(5) {
        tokio::task::yield_now().await;
    }
    let mut new = server.connect().await;
    let mut third = server.connect().await;
    assert!(third.ask(GET).await.ends_with("hello"));
    assert_eq!(slow.rest().await, "");
    assert!(new.ask(GET).await.ends_with("hello"));
}

#[tokio::test]
async fn at_the_limit_with_none_idle_the_new_connection_waits() {
    let server = Server::start(Limits {
        max_connections: 1,
        ..lax()
    })
    .await;
    let mut first = server.connect().await;
    first.send(GET_GATE).await;
    server.at_the_gate().await;
    let mut second = server.connect().await;
    second.send(GET_GATE).await;
    server.gate.add_permits(2);
    assert!(first.reply().await.ends_with("through"));
    // Its place was needed: it was closed as soon as it was idle, and not before.
    assert_eq!(first.rest().await, "");
    assert!(second.reply().await.ends_with("through"));
}

/// The server of the next test, in a process of its own that may open few files.
#[tokio::test]
#[ignore = "started by `out_of_descriptors_it_still_serves`"]
async fn serve_with_few_descriptors() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    writeln!(std::io::stdout(), "serving {addr}").unwrap();
    serve(
        vec![listener.into()],
        hello(),
        lax(),
        tokio::time::sleep(LONG),
    )
    .await;
}

#[tokio::test]
async fn out_of_descriptors_it_still_serves() {
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["serve_with_few_descriptors", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn();
    let mut child = Killed(child.unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let addr = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("serving ")?.parse().ok())
        .expect("the child serves");
    let mut first = Client::connect(addr).await;
    first.ask(GET).await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(Client::connect(addr).await);
    }
    let mut last = Client::connect(addr).await;
    assert!(last.ask(GET).await.ends_with("hello"));
    assert_eq!(first.rest().await, "");
}

/// A child process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
