//! A plain file server, as a bucket or Pages is one, and a verifier that knows nothing but the issuer.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use remint::jose::{Algorithm, Candidates, GoodSignatures, KeySet, Unverified, Verified};
use serde_json::Value;

use crate::bench::http::{Reply, get};
use crate::bench::process::Finished;

/// Gives the files below a folder, each with the type that was set for its URL; its thread ends with the test process.
pub(crate) struct FileServer {
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
    types: Arc<Mutex<HashMap<String, String>>>,
}

impl FileServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let types = Arc::<Mutex<HashMap<String, String>>>::default();
        let (root, known, origin) = (folder.path().to_owned(), Arc::clone(&types), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, &root, &origin, &known);
            }
        });
        Self { url, folder, types }
    }

    /// Sets the types that `publish` said to set.
    pub(crate) fn take_types(&self, published: &Finished) {
        self.types.lock().unwrap().extend(
            told(published)
                .into_iter()
                .map(|told| (told.url, told.content_type)),
        );
    }

    pub(crate) fn set_type(&self, path: &str, content_type: &str) {
        let mut types = self.types.lock().unwrap();
        types.insert(format!("{}{path}", self.url), content_type.to_owned());
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

fn answer(
    mut stream: &TcpStream,
    root: &Path,
    origin: &str,
    types: &Mutex<HashMap<String, String>>,
) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let kind = types
        .lock()
        .unwrap()
        .get(&format!("{origin}{path}"))
        .cloned();
    let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
    let (status, body) = match std::fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // A client may hang up early.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

/// What `publish` says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) file: PathBuf,
    pub(crate) url: String,
    pub(crate) content_type: String,
}

pub(crate) fn told(published: &Finished) -> Vec<Told> {
    let lines: Vec<_> = published.stdout.lines().collect();
    let of = |three: &[&str]| {
        let content_type = three[2].strip_prefix("    Content-Type: ")?;
        Some(Told {
            file: PathBuf::from(three[0]),
            url: three[1].trim().to_owned(),
            content_type: content_type.to_owned(),
        })
    };
    lines.windows(3).filter_map(of).collect()
}

/// A document by its URL, whatever server has it.
pub(crate) fn fetch(url: &str) -> Reply {
    let authority = url.strip_prefix("http://").unwrap();
    let (host, path) = authority.split_once('/').unwrap();
    let reply = get(&format!("http://{host}"), &format!("/{path}"));
    assert_eq!(reply.status, 200, "{url}: {reply:?}");
    reply
}

/// Verifies `token` by what discovery of `issuer` leads to.
pub(crate) fn verify(issuer: &str, token: &str) -> Verified {
    let metadata: Value = fetch(&format!("{issuer}/.well-known/openid-configuration")).json();
    assert_eq!(metadata["issuer"], issuer);
    let keys = fetch(metadata["jwks_uri"].as_str().unwrap());
    let (keys, skipped) = KeySet::parse(keys.body.as_bytes()).unwrap();
    assert!(skipped.is_empty(), "{skipped:?}");
    let token = Unverified::parse(token).unwrap();
    assert_eq!(token.issuer(), Some(issuer));
    let alg: Algorithm = token.alg().parse().unwrap();
    let algs = metadata["id_token_signing_alg_values_supported"].clone();
    assert!(
        algs.as_array().unwrap().contains(&token.alg().into()),
        "{algs}"
    );
    let Candidates::Fit(candidates) = keys.candidates(token.kid(), alg) else {
        panic!("no key for {:?}", token.kid());
    };
    token
        .verify(alg, &candidates, &GoodSignatures::default())
        .expect("a good signature")
}
