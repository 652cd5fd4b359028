//! The least that an HTTP server in Rust could do: hyper reads the body, the signatures of an exchange are made, and
//! 1 KB goes back. What Remint does beyond that is the rest of its cost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::load::{Connect, Target};
use super::operations::{self, Operation};
use super::process::Process;
use super::{certificate, site};

/// The switch with which this program serves; the folder of the certificate follows.
pub(crate) const SWITCH: &str = "--bare";

/// As long as a reply with a token is.
static REPLY: [u8; 1024] = [b'r'; 1024];

/// The running server.
pub(crate) struct Bare {
    pub(crate) process: Process,
    plain: SocketAddr,
    tls: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Bare {
    /// Starts this program again, by a command that puts it where the server runs.
    pub(crate) fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certificate::write(folder.path());
        command
            .arg(SWITCH)
            .arg(folder.path())
            .stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let mut lines = BufReader::new(process.0.stdout.take().expect("its output")).lines();
        let mut address = || {
            let line = lines.next().expect("a line").expect("a line");
            line.parse().expect("an address")
        };
        Self {
            plain: address(),
            tls: address(),
            process,
            _folder: folder,
        }
    }

    /// Requests as long as those of `target`, for which these operations are done.
    pub(crate) fn target(&self, target: &Target, operations: &[String]) -> Target {
        let head = format!("POST /{} ", operations.join("/"));
        let requests = target.requests.iter().map(|request| {
            let rest = request.strip_prefix(site::POST).expect("a token request");
            [head.as_bytes(), rest].concat()
        });
        Target {
            address: match target.connect {
                Connect::Tls(_) => self.tls,
                Connect::Kept | Connect::New => self.plain,
            },
            requests: requests.collect(),
            // Else tokens would come to the other server again before it has seen all of them.
            taken: Arc::default(),
            ..target.clone()
        }
    }
}

/// What the process started by [`Bare::start`] does.
pub(crate) fn serve(folder: &Path) {
    // As `remint serve` has it on one core.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .event_interval(8)
        .build()
        .expect("a runtime");
    let tls = TlsAcceptor::from(Arc::new(certificate::server(folder)));
    let operations: &'static Operations = Box::leak(Box::new(Operations::new()));
    runtime.block_on(async move {
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        for listener in [&plain, &secure] {
            println!("{}", listener.local_addr().expect("its address"));
        }
        // As in Remint the connections are tasks, and so is what accepts them.
        let accepting = tokio::spawn(async move {
            loop {
                let stream = accept(&secure).await;
                let accepted = tls.accept(stream);
                tokio::spawn(async move {
                    if let Ok(stream) = accepted.await {
                        answer(stream, operations).await;
                    }
                });
            }
        });
        tokio::spawn(async move {
            loop {
                tokio::spawn(answer(accept(&plain).await, operations));
            }
        });
        accepting.await.expect("it does not end");
    });
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.expect("a connection");
    stream.set_nodelay(true).expect("set");
    stream
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    operations: &'static Operations,
) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        assert!(!body.is_empty(), "each request has a body");
        operations.run(head.uri.path());
        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(&REPLY))))
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The operations, and which a path asks for.
struct Operations(BTreeMap<&'static str, Mutex<Operation>>);

impl Operations {
    fn new() -> Self {
        let all = operations::all().into_iter();
        Self(
            all.map(|(name, operation)| (name, Mutex::new(operation)))
                .collect(),
        )
    }

    fn run(&self, path: &str) {
        for name in path.split('/').skip(1) {
            let mut operation = self.0[name].lock().expect("no panic");
            (*operation)();
        }
    }
}
