//! An upstream issuer on a real socket, and the tokens that it signs.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "https://sts.example.com";

/// A document as it is served: its content type and its body.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) &'static str, pub(crate) String);

impl Document {
    pub(crate) fn json(value: &Value) -> Self {
        Self("application/json", value.to_string())
    }
}

/// A server of fixed documents; anything else is 404. Its thread ends with the test process.
pub(crate) struct Documents {
    pub(crate) url: String,
    by_path: Arc<Mutex<HashMap<String, Document>>>,
}

impl Documents {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let by_path = Arc::<Mutex<HashMap<String, Document>>>::default();
        let served = Arc::clone(&by_path);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&served);
                std::thread::spawn(move || answer(&stream, &served));
            }
        });
        Self { url, by_path }
    }

    pub(crate) fn set(&self, path: &str, document: Document) {
        let mut by_path = self.by_path.lock().unwrap();
        by_path.insert(path.to_owned(), document);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.by_path.lock().unwrap().remove(path);
    }
}

fn answer(stream: &TcpStream, by_path: &Mutex<HashMap<String, Document>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
            return;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    // A body that is left unread would reset the connection under the reply.
    let _ = reader.read_exact(&mut vec![0; length]);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let found = by_path.lock().unwrap().get(path).cloned();
    let (status, Document(kind, body)) = match found {
        Some(document) => ("200 OK", document),
        None => ("404 Not Found", Document("text/plain", String::new())),
    };
    let mut stream = stream;
    // A client may hang up early.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// An issuer that can be asked for discovery and keys, and that signs any claims.
pub(crate) struct Upstream {
    pub(crate) documents: Documents,
    key: Key,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let public =
            json!({ "kty": "EC", "crv": "P-256", "kid": "up", "x": encode(x), "y": encode(y) });
        Self::with(Key::Ec(pair), &public)
    }

    pub(crate) fn start_rsa() -> Self {
        let size = aws_lc_rs::rsa::KeySize::Rsa2048;
        let pair = RsaKeyPair::generate(size).unwrap();
        let public = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref()).unwrap();
        let (n, e) = (public.n().to_bytes_be(), public.e().to_bytes_be());
        let public = json!({ "kty": "RSA", "kid": "up", "n": encode(n), "e": encode(e) });
        Self::with(Key::Rsa(Box::new(pair)), &public)
    }

    fn with(key: Key, public: &Value) -> Self {
        let documents = Documents::start();
        let url = &documents.url;
        let discovery = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        documents.set(
            "/.well-known/openid-configuration",
            Document::json(&discovery),
        );
        documents.set("/keys", Document::json(&json!({ "keys": [public] })));
        Self { documents, key }
    }

    pub(crate) fn url(&self) -> &str {
        &self.documents.url
    }

    /// The claims of a GitLab job's token that lives for five minutes from `now`.
    pub(crate) fn claims(&self, now: u64) -> Value {
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": "project_path:acme/shop:ref_type:branch:ref:main",
            "namespace_path": "acme", "project_path": "acme/shop", "ref": "main", "ref_type": "branch",
            "ref_protected": "true", "environment": "production", "job_id": "302",
            "jti": format!("job-{now}"), "iat": now, "nbf": now - 5, "exp": now + 300,
        })
    }

    /// A fresh token with some claims replaced.
    pub(crate) fn token(&self, changes: &Value) -> String {
        self.token_at(now(), changes)
    }

    pub(crate) fn token_at(&self, now: u64, changes: &Value) -> String {
        let mut claims = self.claims(now);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.sign(&claims)
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let alg = match self.key {
            Key::Ec(_) => "ES256",
            Key::Rsa(_) => "RS256",
        };
        let header = json!({ "alg": alg, "kid": "up", "typ": "JWT" }).to_string();
        let input = format!("{}.{}", encode(header), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Ec(key) => key
                .sign(&random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{input}.{}", encode(signature))
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One part of a token, as JSON.
pub(crate) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Seconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens for a real process carry the real time"
)]
pub(crate) fn now() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// An origin that nobody listens on, nor will while this process runs.
pub(crate) fn dead_url() -> String {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    // Bound and never listening, it keeps its port from everybody else.
    std::mem::forget(socket);
    url
}

/// An origin that is free to listen on, for a process that must know its port beforehand.
pub(crate) fn free_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
