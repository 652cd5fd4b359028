//! A running instance on a clock of the test's own: one issuer that is always well, one that the test breaks, and
//! callers who go on with honest exchanges meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use remint::app::{App, Surroundings};
use remint::clock::{Clock, ManualClock};
use remint::config::{self, problems::Problems};
use remint::http::RouteService;
use remint::upstream::{Maintenance, SourceStatus};
use serde_json::{Value, json};
use tower_service::Service;

use crate::support::issuer::Issuer;
use crate::support::keys::{Key, OTHER_P256, P256};
use crate::support::{PATIENCE, now, shapes, tokens, until};

/// One instance, its clock and its two issuers.
pub(crate) struct World {
    pub(crate) well: Issuer,
    pub(crate) sick: Issuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
    app: Arc<App>,
    _maintenance: Maintenance,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    /// Both issuers have the key `e1`, the one to be broken also `e2`; the keys of both were fetched.
    pub(crate) fn start() -> Self {
        let well = Issuer::start(&[P256.jwk("e1")]);
        let sick = Issuer::start(&[P256.jwk("e1"), OTHER_P256.jwk("e2")]);
        let clock = Arc::new(ManualClock::at(Duration::from_secs(now())));
        let surroundings = Surroundings {
            clock: clock.clone(),
            ..Surroundings::machine()
        };
        let mut problems = Problems::new();
        let settings = config::load_toml(&site(&well, &sick), &mut problems).unwrap();
        let keys = std::fs::read("jwks.example.json").unwrap();
        let app = App::build(&settings, Some(&keys), &surroundings, &mut problems);
        let app = app.unwrap_or_else(|| panic!("{:?}", problems.iter().collect::<Vec<_>>()));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (address, maintenance) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            serve(listener, app.service());
            (address, app.start())
        });
        let world = Self {
            well,
            sick,
            clock,
            address,
            app: Arc::new(app),
            _maintenance: maintenance,
            _runtime: runtime,
        };
        for id in ["well", "sick"] {
            until("the keys are there", || world.status(id).succeeded == 1);
        }
        world
    }

    /// How the keys of a connector are doing.
    pub(crate) fn status(&self, id: &str) -> SourceStatus {
        self.app.connectors().by_id(id).unwrap().keys.status()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Moves the clock and uses the keys of the sick issuer; gives its status when they have been asked for once more.
    pub(crate) fn next_fetch(&self, seconds: u64) -> SourceStatus {
        let fetches = |status: &SourceStatus| status.succeeded + status.failed;
        let before = fetches(&self.status("sick"));
        self.advance(seconds);
        self.exchange(&self.job(&self.sick, &P256, "e1"));
        until("the issuer is asked again", || {
            fetches(&self.status("sick")) > before
        });
        self.status("sick")
    }

    /// A job's token from this issuer, two hours long.
    pub(crate) fn job(&self, issuer: &Issuer, key: &Key, kid: &str) -> String {
        job_at(&self.clock, &issuer.url, key, kid, 0)
    }

    /// A job's token from an issuer whose clock is off by so many seconds.
    pub(crate) fn job_off_by(&self, issuer: &Issuer, seconds: i64) -> String {
        job_at(&self.clock, &issuer.url, &P256, "e1", seconds)
    }

    /// What `/token` says to a token: status and reason, the latter empty where it was exchanged.
    pub(crate) fn exchange(&self, token: &str) -> (u16, String) {
        Caller::to(self.address).exchange(token)
    }

    /// The word of `/healthz`, whose status is always 200 here.
    pub(crate) fn health(&self) -> String {
        let (status, body) = Caller::to(self.address).ask("GET", "/healthz", "");
        assert_eq!(status, 200);
        body["status"].as_str().unwrap().to_owned()
    }

    /// Starts one honest caller for each of these issuers.
    pub(crate) fn load(&self, from: &[&Issuer]) -> Load {
        let load = Load {
            done: Arc::default(),
            stop: Arc::default(),
            callers: Vec::new(),
        };
        let callers = from.iter().map(|issuer| {
            let (address, clock) = (self.address, Arc::clone(&self.clock));
            let (done, stop) = (Arc::clone(&load.done), Arc::clone(&load.stop));
            let issuer = issuer.url.clone();
            thread::spawn(move || {
                let mut caller = Caller::to(address);
                while !stop.load(Ordering::Relaxed) {
                    let token = job_at(&clock, &issuer, &P256, "e1", 0);
                    assert_eq!(caller.exchange(&token), (200, String::new()));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let callers = callers.collect();
        Load { callers, ..load }
    }
}

/// Honest exchanges that go on until the end, each of which must succeed.
pub(crate) struct Load {
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Waits until some more exchanges were done.
    pub(crate) fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        until("honest exchanges go on", || {
            let lost = self.callers.iter().any(JoinHandle::is_finished);
            assert!(!lost, "an honest exchange failed");
            self.done.load(Ordering::Relaxed) > before + 2 * self.callers.len()
        });
    }

    /// Ends the callers, none of whom may have met a refusal.
    pub(crate) fn end(self) {
        self.goes_on();
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().expect("each honest exchange succeeds");
        }
    }
}

/// One connection that is kept for many requests.
pub(crate) struct Caller(BufReader<TcpStream>);

impl Caller {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Status and reason of a simple exchange.
    pub(crate) fn exchange(&mut self, token: &str) -> (u16, String) {
        let (status, body) = self.ask("POST", "/token", &json!({ "token": token }).to_string());
        (
            status,
            body["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// Status and JSON body of the reply; `null` where that is not JSON.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("http/1.1 ") {
                status = value.split(' ').next().unwrap().parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn site(well: &Issuer, sick: &Issuer) -> String {
    let connector = |id: &str, issuer: &Issuer| {
        format!(
            r#"
[[connectors]]
id = "{id}"
issuer = "{}"
timeout = "1s"
audiences = ["{}"]
allow = ["true"]
subject_prefix = "{id}:"
"#,
            issuer.url,
            shapes::AUDIENCE
        )
    };
    let connectors = connector("well", well) + &connector("sick", sick);
    format!("issuer = \"https://sts.example.com\"\n{connectors}")
}

/// A job's token that begins now, or as much later as the issuer's clock is off.
fn job_at(clock: &ManualClock, issuer: &str, key: &Key, kid: &str, off_by: i64) -> String {
    let at = clock.unix().as_secs().saturating_add_signed(off_by);
    let times = json!({"iat": at, "nbf": at, "exp": at + 7200});
    let claims = shapes::with(shapes::gitlab(issuer), times);
    let alg = match key {
        Key::Rsa(_) => "RS256",
        _ => "ES256",
    };
    tokens::token(&claims, key, alg, kid)
}

fn serve(listener: tokio::net::TcpListener, service: RouteService) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let service = service.clone();
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                service.clone().call(request)
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
}
