//! The program with every kind of listener, honest callers, and what the program says of itself.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use remint::clock::{Clock as _, SystemClock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::authority::Authority;
use crate::support::http;
use crate::support::keys::P256;
use crate::support::server::{Server, Site};
use crate::support::shapes::gitlab;
use crate::support::tokens::token;
use crate::support::{PATIENCE, until};

/// How much more memory than before may be in use when a small attack is over, in KiB: the allocator keeps some.
const KEPT: u64 = 64 * 1024;
/// What honest callers and the allocator may take beside an attack, in KiB.
const BESIDE: u64 = 12 * 1024;
/// How many honest exchanges must succeed beside an attack.
const ENOUGH: u64 = 20;

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

    /// As [`Bench::serves_during`]; at its peak the attack may take `most` KiB of memory, which must come back, but for
    /// the holes that the allocator of the C library keeps: the next flood goes into them.
    pub(crate) fn withstands<T>(&self, most: u64, attack: impl FnOnce(&Honest) -> T) -> T {
        self.exchange();
        let before = self.memory();
        self.forget_peak();
        let done = self.serves_during(attack);
        let peak = self.peak();
        println!("{before} KiB before, {peak} KiB at the peak");
        let limit = before + most + BESIDE;
        assert!(
            peak <= limit,
            "{peak} KiB at the peak, {before} before, limit {limit}"
        );
        until("memory comes back", || {
            self.exchange();
            self.memory() < before + most.max(KEPT)
        });
        done
    }

    /// Waits until there are no connections but the two of honest callers.
    pub(crate) fn only_honest(&self) {
        until("the attack is over", || {
            self.metric("remint_connections{listener=\"main\"}") <= 2
        });
    }

    /// Runs `attack` beside honest callers, whose every exchange must succeed, and waits until its connections are gone.
    pub(crate) fn serves_during<T>(&self, attack: impl FnOnce(&Honest) -> T) -> T {
        let honest = Honest::default();
        let done = thread::scope(|scope| {
            let over = Over(&honest);
            for _ in 0..2 {
                scope.spawn(|| {
                    while !honest.over.load(Relaxed) {
                        self.exchange();
                        honest.served.fetch_add(1, Relaxed);
                    }
                });
            }
            let done = attack(&honest);
            drop(over);
            done
        });
        let shown = honest.shown.into_inner();
        assert!(shown, "nobody looked whether honest exchanges go on");
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
        self.status("VmRSS:")
    }

    /// The most resident memory in KiB since the last call of `forget_peak`.
    fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn forget_peak(&self) {
        // proc_pid_clear_refs(5)
        fs::write(format!("/proc/{}/clear_refs", self.server.id()), "5").unwrap();
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap().trim().trim_end_matches(" kB");
        value.parse().unwrap()
    }
}

/// Callers who exchange tokens beside an attack.
#[derive(Default)]
pub(crate) struct Honest {
    served: AtomicU64,
    over: AtomicBool,
    shown: AtomicBool,
}

impl Honest {
    /// Waits until they have had enough tokens from now on. What the attack holds stands meanwhile.
    pub(crate) fn goes_on(&self) {
        let before = self.served.load(Relaxed);
        until("honest exchanges go on", || self.enough_since(before));
    }

    /// Attacks in waves: at least so many, and until they have had enough tokens beside them.
    pub(crate) fn goes_on_beside(&self, waves: usize, mut wave: impl FnMut()) {
        let clock = SystemClock::new();
        let end = clock.monotonic() + PATIENCE * 3;
        let before = self.served.load(Relaxed);
        let mut made = 0;
        while made < waves || !self.enough_since(before) {
            assert!(clock.monotonic() < end, "never: honest exchanges go on");
            wave();
            made += 1;
        }
    }

    fn enough_since(&self, before: u64) -> bool {
        let is_enough = self.served.load(Relaxed) >= before + ENOUGH;
        self.shown.fetch_or(is_enough, Relaxed);
        is_enough
    }
}

/// Ends the honest callers, also where the attack panics.
struct Over<'a>(&'a Honest);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
    }
}

/// Lets this process have as many connections as it may.
pub(crate) fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    limit.maximum
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    stream
}
