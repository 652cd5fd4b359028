//! The program with every kind of listener, honest callers, and what the program says of itself.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::support::authority::Authority;
use crate::support::http;
use crate::support::keys::P256;
use crate::support::server::{Server, Site};
use crate::support::shapes::gitlab;
use crate::support::tokens::token;
use crate::support::{PATIENCE, until};

/// How much more memory than before may be in use when all is over, in KiB: the allocator keeps some.
const KEPT: u64 = 64 * 1024;

/// A running program with its listeners.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) tls: SocketAddr,
    admin: SocketAddr,
    token: String,
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::of(Site::new())
    }

    /// A program with so many places for connections.
    pub(crate) fn with_places(places: usize) -> Self {
        let places = places.to_string();
        Self::of(Site::new().env("REMINT__LIMITS__MAX_CONNECTIONS", &places))
    }

    /// A program with further connectors or clients.
    pub(crate) fn of(site: Site) -> Self {
        let signed = Authority::new("ca").sign();
        let server = site
            .connector("gitlab", "")
            .tables("[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert_file = \"c\"\nkey_file = \"k\"")
            .file("c", &signed.chain)
            .file("k", &signed.key)
            .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
            .start();
        let place = |words: &str| {
            server.logged(words, |line| {
                line["message"].as_str()?.strip_prefix(words)?.parse().ok()
            })
        };
        let (tls, admin) = (place("listening on https://"), place("admin on http://"));
        let claims = gitlab("https://gitlab.example");
        Self {
            tls,
            admin,
            token: token(&claims, &P256, "ES256", "e1"),
            server,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.server.address)
    }

    /// Runs `attack` while honest callers exchange tokens, all of them with success; then memory must come back.
    pub(crate) fn withstands<T>(&self, attack: impl FnOnce() -> T) -> T {
        self.exchange();
        let before = self.memory();
        let done = self.serves_during(attack);
        until("memory comes back", || {
            self.exchange();
            self.memory() < before + KEPT
        });
        done
    }

    /// Runs `attack` while honest callers exchange tokens, and waits until its connections are gone.
    pub(crate) fn serves_during<T>(&self, attack: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        let done = thread::scope(|scope| {
            let callers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut served = 0;
                        while !over.load(Relaxed) {
                            self.exchange();
                            served += 1;
                        }
                        served
                    })
                })
                .collect();
            let over = Over(&over);
            let done = attack();
            drop(over);
            for caller in callers {
                let served = caller.join().unwrap();
                assert!(served > 3, "{served}");
            }
            done
        });
        until("the connections are gone", || {
            self.metric("remint_connections{listener=\"main\"}") == 0
        });
        done
    }

    fn exchange(&self) {
        let reply = self.server.exchange(&self.token, &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// The value of one sample.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.sample(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// The value of a sample that may not be there yet.
    pub(crate) fn sample(&self, name: &str) -> Option<u64> {
        let text = http::send(self.admin, "GET", "/metrics", &[], b"");
        let mut lines = text.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().parse().unwrap())
    }

    /// How many connections were closed for `reason`.
    pub(crate) fn closed(&self, reason: &str) -> u64 {
        self.metric(&format!(
            "remint_connections_closed_total{{listener=\"main\",reason=\"{reason}\"}}"
        ))
    }

    /// The resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
}

/// Ends the honest callers, also where the attack panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    stream
}
