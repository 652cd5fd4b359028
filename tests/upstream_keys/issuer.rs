//! An upstream issuer that a test starts, changes and breaks: raw HTTP over a real socket.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a path answers.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("")
        }
    }

    pub(crate) fn redirect(location: impl Into<String>) -> Self {
        Self::status(302).with("Location", location)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Default)]
struct Shared {
    replies: HashMap<String, Reply>,
    heads: Vec<String>,
}

/// A running issuer; it dies with the test's runtime.
pub(crate) struct Issuer {
    pub(crate) url: String,
    shared: Arc<Mutex<Shared>>,
    open: watch::Sender<bool>,
}

impl Issuer {
    /// An issuer whose `/keys` answers a JWKS of these kids.
    pub(crate) async fn with_keys(kids: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Shared>>::default();
        let (open, gate) = watch::channel(true);
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served), gate.clone()));
            }
        });
        let issuer = Self { url, shared, open };
        issuer.set_keys(kids);
        issuer
    }

    pub(crate) fn set_keys(&self, kids: &[&str]) {
        self.set("/keys", Reply::ok(jwks(kids)));
    }

    pub(crate) fn set(&self, path: &str, reply: Reply) {
        let mut shared = self.shared.lock().unwrap();
        shared.replies.insert(path.to_owned(), reply);
    }

    pub(crate) fn keys_url(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// Requests are read but not answered until `release`.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    /// How many requests have come for `path`.
    pub(crate) fn hits(&self, path: &str) -> usize {
        let line = format!("GET {path} ");
        let heads = self.heads();
        heads.iter().filter(|head| head.starts_with(&line)).count()
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.lock().unwrap().heads.clone()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Mutex<Shared>>, mut gate: watch::Receiver<bool>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.heads.push(head);
        let reply = shared.replies.get(&path).cloned();
        reply.unwrap_or_else(|| Reply::status(404))
    };
    if gate.wait_for(|open| *open).await.is_err() {
        return;
    }
    let length = reply.body.len();
    let mut text = format!(
        "HTTP/1.1 {} x\r\nConnection: close\r\nContent-Length: {length}\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    // A client may hang up early: that is part of what is tested.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.write_all(&reply.body).await;
}

/// A JWKS with a new P-256 key for each kid.
pub(crate) fn jwks(kids: &[&str]) -> String {
    let keys: Vec<_> = kids.iter().map(|kid| jwk(Some(kid))).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// A new P-256 key.
pub(crate) fn jwk(kid: Option<&str>) -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let kid = kid.map_or_else(String::new, |kid| format!(r#","kid":"{kid}""#));
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"{kid}}}"#)
}
