//! An upstream issuer on a real socket: it can go wrong in every way that a server can.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::keys::jwks;

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Document(String),
    Page(&'static str, String),
    Status(u16),
    /// Nothing, for as long as the caller waits.
    Hang,
    /// The end of the connection.
    Close,
    /// These bytes, head and all.
    Raw(Vec<u8>),
    /// The same, one byte a second.
    Trickle(Vec<u8>),
}

#[derive(Default)]
struct Shared {
    answers: HashMap<String, Answer>,
    hits: HashMap<String, usize>,
}

/// A running issuer with discovery and keys; its threads end with the test process.
pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
}

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(crate) const JWKS: &str = "/jwks";

impl Issuer {
    /// An issuer that publishes these JWKs.
    pub(crate) fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                thread::spawn(move || serve(stream, &served));
            }
        });
        let issuer = Self { url, shared };
        let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}{JWKS}", issuer.url)});
        issuer.set(DISCOVERY, Answer::Document(document.to_string()));
        issuer.publish(keys);
        issuer
    }

    /// Replaces the published keys.
    pub(crate) fn publish(&self, keys: &[Value]) {
        self.set(JWKS, Answer::Document(jwks(keys)));
    }

    pub(crate) fn set(&self, path: &str, answer: Answer) {
        let mut shared = self.shared.lock().unwrap();
        shared.answers.insert(path.to_owned(), answer);
    }

    /// How many requests have come for `path`.
    pub(crate) fn hits(&self, path: &str) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.hits.get(path).copied().unwrap_or_default()
    }
}

/// The URL of an issuer that is not there: its port is taken but refuses connections, until the tests end.
pub(crate) fn nobody() -> String {
    let socket = Box::leak(Box::new(TcpSocket::new_v4().unwrap()));
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    format!("http://{}", socket.local_addr().unwrap())
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    while matches!(lines.next(), Some(Ok(line)) if !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut shared = shared.lock().unwrap();
        *shared.hits.entry(path.clone()).or_default() += 1;
        shared.answers.get(&path).cloned()
    };
    let (status, kind, body) = match answer.unwrap_or(Answer::Status(404)) {
        Answer::Document(body) => (200, "application/json", body),
        Answer::Page(kind, body) => (200, kind, body),
        Answer::Status(status) => (status, "text/plain", String::new()),
        Answer::Close => return,
        Answer::Raw(bytes) => {
            // The caller may have read enough.
            let _ = stream.write_all(&bytes);
            return;
        }
        Answer::Trickle(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_secs(1));
            }
            return;
        }
        Answer::Hang => {
            // The caller gives up by closing.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    let _ = stream.write_all((head + &body).as_bytes());
}
