//! Callers that leave while their request is decided on: the decision, its audit event and its count are made.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::client::{ResponseFuture, SendRequest, handshake};
use h2::{Reason, SendStream};
use http::Request;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::bench::{Bench, connect};
use crate::support::issuer::{Answer, Issuer, JWKS};
use crate::support::keys::{OTHER_P256, P256, jwks};
use crate::support::server::Site;
use crate::support::shapes::{gitlab, with};
use crate::support::tokens::token;
use crate::support::until;

/// How many requests wait for one fetch of keys.
const WAIT_FOR_KEYS: usize = 64;

/// A connector whose next fetch of keys ends when the test says so.
struct Upstream {
    issuer: Issuer,
    gate: Arc<AtomicBool>,
}

impl Upstream {
    fn start() -> Self {
        Self {
            issuer: Issuer::start(&[P256.jwk("e1")]),
            gate: Arc::default(),
        }
    }

    fn connect(&self, site: Site, id: &str) -> Site {
        let url = &self.issuer.url;
        site.connector(
            id,
            &format!(
                "issuer = \"{url}\"\njwks_uri = \"{url}{JWKS}\"\nreplay = \"once\"\ntimeout = \"60s\""
            ),
        )
    }

    /// From now on fetches wait until the gate is opened; then they bring a new key.
    fn hold(&self) {
        let keys = jwks(&[P256.jwk("e1"), OTHER_P256.jwk("e2")]);
        self.issuer
            .set(JWKS, Answer::Held(Arc::clone(&self.gate), keys));
    }

    /// A token that can be used once, by the new key.
    fn token(&self, jti: &str) -> String {
        let claims = with(gitlab(&self.issuer.url), json!({ "jti": jti }));
        token(&claims, &OTHER_P256, "ES256", "e2")
    }

    fn fetches(&self) -> usize {
        self.issuer.hits(JWKS)
    }
}

/// An HTTP/2 connection.
struct Two {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Two {
    async fn connect(bench: &Bench) -> Self {
        let stream = TcpStream::connect(bench.server.address).await.unwrap();
        let (requests, connection) = handshake(stream).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a whole request to `/token`.
    async fn post(
        &self,
        id: &str,
        authorization: Option<&str>,
        body: &Value,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        let mut request = Request::post("http://a/token")
            .header("content-type", "application/json")
            .header("x-request-id", id);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(()).unwrap();
        let (reply, mut stream) = requests.send_request(request, false).unwrap();
        stream.send_data(body.to_string().into(), true).unwrap();
        (reply, stream)
    }

    /// Returns when the server has seen everything that was sent before.
    async fn ask(&self) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        let request = Request::get("http://a/healthz/live").body(()).unwrap();
        let (reply, _) = requests.send_request(request, true).unwrap();
        assert_eq!(reply.await.unwrap().status(), 200);
    }

    fn close(self) {
        drop(self.requests);
        self.connection.abort();
    }
}

/// Its audit event, of which there is exactly one.
fn event(bench: &Bench, id: &str) -> Value {
    let event = bench
        .server
        .logged(&format!("the audit event of {id}"), |line| {
            (line["target"] == "audit" && line["request_id"] == id).then(|| line.clone())
        });
    assert_eq!(bench.server.audits(id), 1, "{id}");
    event
}

/// How many decisions of the simple exchange were counted.
fn counted(bench: &Bench, connector: &str, outcome: &str, reason: &str) -> u64 {
    let labels = format!(
        "{{grant=\"simple\",connector=\"{connector}\",outcome=\"{outcome}\",reason=\"{reason}\"}}"
    );
    bench
        .sample(&format!("remint_token_requests_total{labels}"))
        .unwrap_or_default()
}

#[derive(Clone, Copy, Debug)]
enum Leaving {
    Reset,
    CloseTwo,
    CloseOne,
    ResetOne,
}

const LEAVING: [(&str, Leaving); 4] = [
    ("reset", Leaving::Reset),
    ("close-two", Leaving::CloseTwo),
    ("close-one", Leaving::CloseOne),
    ("reset-one", Leaving::ResetOne),
];

/// Sends a request whose decision waits for keys, and leaves.
async fn leave(bench: &Bench, id: &str, upstream: &Upstream, how: Leaving) {
    let body = json!({ "token": upstream.token(id) });
    let before = upstream.fetches();
    let under_way = || until("a fetch", || upstream.fetches() == before + 1);
    match how {
        Leaving::Reset | Leaving::CloseTwo => {
            let two = Two::connect(bench).await;
            let (reply, mut stream) = two.post(id, None, &body).await;
            tokio::task::block_in_place(under_way);
            if let Leaving::Reset = how {
                stream.send_reset(Reason::CANCEL);
                drop(reply);
                two.ask().await;
            }
            two.close();
        }
        Leaving::CloseOne | Leaving::ResetOne => {
            let body = body.to_string();
            let head = format!(
                "POST /token HTTP/1.1\r\nhost: a\r\nx-request-id: {id}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let mut stream = connect(bench.server.address);
            stream.write_all((head + &body).as_bytes()).unwrap();
            tokio::task::block_in_place(under_way);
            if let Leaving::ResetOne = how {
                let socket = TcpSocket::from_std_stream(stream);
                socket.set_zero_linger().unwrap();
            }
        }
    }
}

/// A token that can be used once is spent in the log as well as in memory.
#[test]
fn a_request_that_was_read_whole_is_decided_without_its_caller() {
    let upstreams = LEAVING.map(|(id, how)| (id, how, Upstream::start()));
    let site = upstreams
        .iter()
        .fold(Site::new(), |site, (id, _, upstream)| {
            upstream.connect(site, id)
        });
    let bench = Bench::of(site);
    let runtime = Runtime::new().unwrap();
    for (id, how, upstream) in &upstreams {
        until("the first fetch", || upstream.fetches() == 1);
        upstream.hold();
        runtime.block_on(leave(&bench, id, upstream, *how));
        // The server is at work on something else when the keys come.
        assert_eq!(bench.server.get("/healthz").status, 200);
        assert_eq!(bench.server.audits(id), 0);
        upstream.gate.store(true, Relaxed);
        let event = event(&bench, id);
        assert_eq!(event["outcome"], "issued", "{how:?}: {event}");
        assert_eq!(event["connector"], *id, "{how:?}");
        assert_eq!(counted(&bench, id, "issued", ""), 1, "{how:?}");
        let again = bench.server.simple(&json!({ "token": upstream.token(id) }));
        let refused = (403, "access_denied".to_owned(), "replayed".to_owned());
        assert_eq!(again.refusal(), refused, "{how:?}");
    }
    until("the connections are gone", || {
        bench.metric("remint_connections{listener=\"main\"}") == 0
    });
}

/// As many as can wait for keys, over several connections, are cancelled at once.
#[test]
fn many_decisions_that_are_cancelled_under_way_have_each_an_event_and_a_count() {
    const MORE: usize = 16;
    const CONNECTIONS: usize = 4;
    let upstream = Upstream::start();
    let bench = Bench::of(upstream.connect(Site::new(), "held"));
    let runtime = Runtime::new().unwrap();
    until("the first fetch", || upstream.fetches() == 1);
    upstream.hold();
    let cancelled = runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Two::connect(&bench).await);
        }
        let mut replies = FuturesUnordered::new();
        let mut open = std::collections::HashMap::new();
        for number in 0..WAIT_FOR_KEYS + MORE {
            let id = format!("cancelled-{number}");
            let body = json!({ "token": upstream.token(&id) });
            let (reply, stream) = connections[number % CONNECTIONS]
                .post(&id, None, &body)
                .await;
            open.insert(id.clone(), stream);
            replies.push(async move { (id, reply.await.unwrap().status().as_u16()) });
        }
        // When all but 64 have their refusal, because 64 wait, these are under way.
        for _ in 0..MORE {
            let (id, status) = replies.next().await.unwrap();
            assert_eq!(status, 503, "{id}");
            open.remove(&id);
        }
        for stream in open.values_mut() {
            stream.send_reset(Reason::CANCEL);
        }
        for connection in &connections {
            connection.ask().await;
        }
        open.into_keys().collect::<Vec<_>>()
    });
    assert_eq!(cancelled.len(), WAIT_FOR_KEYS);
    upstream.gate.store(true, Relaxed);
    for id in &cancelled {
        let event = event(&bench, id);
        assert_eq!(event["outcome"], "issued", "{event}");
    }
    let issued = u64::try_from(WAIT_FOR_KEYS).unwrap();
    assert_eq!(counted(&bench, "held", "issued", ""), issued);
    let refused = u64::try_from(MORE).unwrap();
    assert_eq!(
        counted(&bench, "held", "error", "keys_unavailable"),
        refused
    );
}

/// A guess is counted and logged although the guesser does not wait for the answer.
#[test]
fn a_guess_at_a_secret_that_is_taken_back_is_in_the_log() {
    // Two are hashed at once, and two of one address wait.
    const UNDER_WAY: usize = 4;
    const GUESSES: usize = 12;
    let slow = Params::new(64 * 1024, 6, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, slow)
        .hash_password(b"right", &salt)
        .unwrap();
    let bench = Bench::of(Site::new().client("app", &format!("secret_hash = '{hash}'")));
    let runtime = Runtime::new().unwrap();
    let guesses = runtime.block_on(async {
        let two = Two::connect(&bench).await;
        let mut replies = FuturesUnordered::new();
        let mut open = std::collections::HashMap::new();
        for number in 0..GUESSES {
            let id = format!("guess-{number}");
            // app:wrong
            let basic = Some("Basic YXBwOndyb25n");
            let (reply, stream) = two.post(&id, basic, &json!({ "token": "x" })).await;
            open.insert(id.clone(), stream);
            replies.push(async move { (id, reply.await.unwrap().status().as_u16()) });
        }
        for _ in UNDER_WAY..GUESSES {
            let (id, status) = replies.next().await.unwrap();
            assert_eq!(status, 503, "{id}");
            open.remove(&id);
        }
        for stream in open.values_mut() {
            stream.send_reset(Reason::CANCEL);
        }
        two.ask().await;
        open.into_keys().collect::<Vec<_>>()
    });
    assert_eq!(guesses.len(), UNDER_WAY);
    for id in &guesses {
        let event = event(&bench, id);
        let found = (&event["outcome"], &event["reason"]);
        assert_eq!(found, (&json!("refused"), &json!("client_invalid")));
    }
    let under_way = u64::try_from(UNDER_WAY).unwrap();
    assert_eq!(counted(&bench, "", "refused", "client_invalid"), under_way);
}
