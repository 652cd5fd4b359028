//! The end: the main listeners drain first, and the others tell so until that is done.

use std::fs;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use serde_json::json;

use crate::server::{Reply, Server, Site, Stream, connect, get, text, until};

const ALL: &str = r#"
listen = ["127.0.0.1:0", "unix:main.sock"]
metadata_listen = ["127.0.0.1:0"]
admin_listen = "unix:admin.sock"
"#;

/// A request that the server has begun to read, and whose body it waits for.
fn half_a_request(address: &str) -> Box<dyn Stream> {
    let mut stream = connect(address).unwrap();
    let head = "POST /dex/token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(text(&asked), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn the_others_stay_until_the_main_listeners_have_drained() {
    let site = Site::new(ALL);
    let server = Server::start(&site);
    let [tcp, metadata, admin] = [server.main(), server.metadata(), site.unix("admin.sock")];
    let mut busy = half_a_request(&site.unix("main.sock"));
    server.terminate();
    until("no new requests", || connect(&tcp).is_err());
    assert!(!site.path("main.sock").exists());
    for address in [&metadata, &admin] {
        let ready = get(address, "/healthz/ready");
        assert_eq!(ready.status, 503, "{address}");
        assert_eq!(ready.json()["status"], "draining");
        assert_eq!(get(address, "/healthz/live").status, 200);
    }
    assert_eq!(get(&admin, "/healthz").json()["draining"], true);
    assert_eq!(
        get(&metadata, "/healthz").json(),
        json!({ "status": "draining" })
    );
    assert_eq!(get(&metadata, "/dex/keys").status, 200);
    let good = fs::read_to_string(site.path("site.toml")).unwrap();
    for (file, arguments) in [
        (good.clone(), &["health"][..]),
        (format!("{good}\n[[broken"), &["health"]),
        (good.clone(), &["health", "--url", &metadata]),
    ] {
        fs::write(site.path("site.toml"), file).unwrap();
        let asked = site.remint(arguments).output().unwrap();
        assert_eq!(asked.status.code(), Some(1), "{arguments:?}");
        assert_eq!(text(&asked.stdout), "draining\n");
        assert!(text(&asked.stderr).contains("is draining (503)"));
    }

    busy.write_all(b"{}").unwrap();
    let mut reply = String::new();
    busy.read_to_string(&mut reply).unwrap();
    assert_eq!(Reply::parse(&reply).status, 400, "{reply}");
    server.until("stopped");
    assert_eq!(server.wait().code(), Some(0));
    assert!(connect(&metadata).is_err());
    assert!(!site.path("admin.sock").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let server = Server::start(&site);
    let mut busy = half_a_request(&server.main());
    server.terminate();
    server.until("stopping");
    server.terminate();
    server.until("told to stop again");
    assert_eq!(server.wait().code(), Some(1));
    let mut reply = String::new();
    let _ = busy.read_to_string(&mut reply);
    assert_eq!(reply, "");
}

#[test]
fn readiness_says_so_before_the_listeners_close() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    // On a machine that stands still for a second the moment passes unseen.
    let seen = (0..5).any(|_| {
        let server = Server::start(&site);
        let mut stream = connect(&server.main()).unwrap();
        server.terminate();
        server.until("stopping");
        let ready = b"GET /healthz/ready HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut reply = String::new();
        let asked = stream.write_all(ready);
        if asked.is_err() || stream.read_to_string(&mut reply).is_err() || reply.is_empty() {
            return false;
        }
        let reply = Reply::parse(&reply);
        assert_eq!(reply.status, 503, "{}", reply.body);
        assert!(reply.head.contains("connection: close"), "{}", reply.head);
        true
    });
    assert!(seen);
}

/// Asks on new connections, each several times, until none can be made; gives how many replies came.
fn load(address: &str) -> u32 {
    let mut replies = 0;
    while let Ok(mut stream) = connect(address) {
        for last in [false, false, true] {
            let close = if last { "connection: close\r\n" } else { "" };
            let request = format!(
                "POST /dex/token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n{close}\r\n{{}}"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let head = read_reply(&mut stream);
            assert!(
                head.starts_with("http/1.1 400 "),
                "after {replies}: {head:?}"
            );
            replies += 1;
            if head.contains("connection: close") {
                break;
            }
        }
    }
    replies
}

/// The head of one reply, in lower case; the body is read, too.
fn read_reply(stream: &mut Box<dyn Stream>) -> String {
    let mut reply = String::new();
    let mut byte = [0];
    let length = |reply: &str| {
        let (head, body) = reply.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))?;
        (body.len() >= length.parse().unwrap()).then(|| head.to_owned())
    };
    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
        reply.push(char::from(byte[0]).to_ascii_lowercase());
        if let Some(head) = length(&reply) {
            return head;
        }
    }
    reply
}

#[test]
fn under_load_nothing_that_was_accepted_is_lost() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let server = Server::start(&site);
    let address = server.main();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || load(&address))
        })
        .collect();
    assert_eq!(get(&address, "/healthz/ready").status, 200);
    server.terminate();
    let replies = callers.into_iter().map(|caller| caller.join().unwrap());
    assert!(replies.sum::<u32>() > 100);
    let said = server.until("stopped");
    assert!(
        !said.iter().any(|line| line.contains("cut off")),
        "{said:?}"
    );
    assert_eq!(server.wait().code(), Some(0));
}

/// How many connections, and how many requests on each.
const MANY: (usize, usize) = (50, 5);

/// A request over HTTP/2 whose body does not end yet.
async fn open_request(requests: &SendRequest<Bytes>) -> (ResponseFuture, SendStream<Bytes>) {
    let request = http::Request::post("http://a/dex/token")
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let mut requests = requests.clone().ready().await.unwrap();
    requests.send_request(request, false).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_end_late_in_a_shutdown_are_answered() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let server = Server::start(&site);
    let address = server.main();
    let mut open = Vec::new();
    for _ in 0..MANY.0 {
        let place = address.trim_start_matches("http://");
        let stream = tokio::net::TcpStream::connect(place).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..MANY.1 {
            open.push(open_request(&requests).await);
        }
        // Its reply says that those before it have arrived.
        let (reply, mut body) = open_request(&requests).await;
        body.send_data(Bytes::from_static(b"{}"), true).unwrap();
        assert_eq!(reply.await.unwrap().status(), 400);
    }
    server.terminate();
    until("no new requests", || connect(&address).is_err());
    // Behind the time that clients have for a first request.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for (_, body) in &mut open {
        body.send_data(Bytes::from_static(b"{}"), true).unwrap();
    }
    for (reply, _) in open {
        let mut reply = reply.await.unwrap();
        assert_eq!(reply.status(), 400);
        while let Some(part) = reply.body_mut().data().await {
            part.unwrap();
        }
    }
    let said = server.until("stopped");
    assert!(
        !said.iter().any(|line| line.contains("cut off")),
        "{said:?}"
    );
    assert_eq!(server.wait().code(), Some(0));
}
