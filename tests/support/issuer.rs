//! An upstream issuer on a real socket: it can go wrong in every way that a server can.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::authority::Signed;
use super::keys::jwks;

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Document(String),
    Page(&'static str, String),
    /// A document that is given once this is true.
    Held(Arc<AtomicBool>, String),
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
    /// The header lines of each request, by path.
    heads: HashMap<String, Vec<String>>,
    /// With what TLS is spoken, where it is.
    tls: Option<Arc<ServerConfig>>,
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
        Self::listen(keys, None)
    }

    /// One that is reached at `https://localhost:PORT` and has this certificate.
    pub(crate) fn start_tls(keys: &[Value], certificate: &Signed) -> Self {
        Self::listen(keys, Some(tls(certificate)))
    }

    fn listen(keys: &[Value], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = match tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let shared = Arc::new(Mutex::new(Shared {
            tls,
            ..Shared::default()
        }));
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                thread::spawn(move || {
                    let tls = served.lock().unwrap().tls.clone();
                    match tls {
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            serve(StreamOwned::new(connection, stream), &served);
                        }
                        None => serve(stream, &served),
                    }
                });
            }
        });
        let issuer = Self { url, shared };
        let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}{JWKS}", issuer.url)});
        issuer.set(DISCOVERY, Answer::Document(document.to_string()));
        issuer.publish(keys);
        issuer
    }

    /// From now on it has this certificate.
    pub(crate) fn certify(&self, certificate: &Signed) {
        self.shared.lock().unwrap().tls = Some(tls(certificate));
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
        self.heads(path).len()
    }

    /// The header lines of each request for `path`.
    pub(crate) fn heads(&self, path: &str) -> Vec<String> {
        let shared = self.shared.lock().unwrap();
        shared.heads.get(path).cloned().unwrap_or_default()
    }
}

/// The URL of an issuer that is not there: its port is taken but refuses connections, until the tests end.
pub(crate) fn nobody() -> String {
    let socket = Box::leak(Box::new(TcpSocket::new_v4().unwrap()));
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    format!("http://{}", socket.local_addr().unwrap())
}

fn tls(certificate: &Signed) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

fn serve(mut stream: impl Read + Write, shared: &Mutex<Shared>) {
    let mut lines = BufReader::new(&mut stream).lines();
    let Some(Ok(first)) = lines.next() else {
        return;
    };
    let mut head = String::new();
    while let Some(Ok(line)) = lines.next()
        && !line.is_empty()
    {
        head.push_str(&line);
        head.push('\n');
    }
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let answer = {
        let mut shared = shared.lock().unwrap();
        shared.heads.entry(path.clone()).or_default().push(head);
        shared.answers.get(&path).cloned()
    };
    let (status, kind, body) = match answer.unwrap_or(Answer::Status(404)) {
        Answer::Document(body) => (200, "application/json", body),
        Answer::Page(kind, body) => (200, kind, body),
        Answer::Held(is_open, body) => {
            while !is_open.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            (200, "application/json", body)
        }
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
