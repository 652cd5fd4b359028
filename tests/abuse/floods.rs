//! Many connections, large heads, and junk.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bench::Bench;
use crate::support::until;

/// More than `limits.max_connections` lets in.
const IDLE: u64 = 10_500;
/// Descriptors for everything else.
const SPARE: u64 = 500;
/// What idle connections may take at most, in KiB each.
const IDLE_COST: u64 = 24;

/// As many idle connections as this process may have, up to more than the limit.
#[test]
fn ten_thousand_idle_connections_stop_nobody() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let bench = Bench::start();
    let most = limit
        .maximum
        .map_or(IDLE, |most| most.saturating_sub(SPARE).min(IDLE));
    let before = bench.memory();
    idle(&bench, most);
    let after = bench.memory();
    // The allocator of the C library keeps holes between what lives on; the next flood goes into them.
    assert!(
        after < before + IDLE_COST * most,
        "{before} KiB, then {after} KiB"
    );
    bench.withstands(|| idle(&bench, most));
}

/// Opens `most` connections, and leaves them when the longest idle ones have had to go.
fn idle(bench: &Bench, most: u64) {
    let evicted = bench.closed("limit");
    let before = bench.memory();
    bench.serves_during(|| {
        let idle: Vec<TcpStream> = (0..most).map(|_| used(bench)).collect();
        let open = bench.metric("remint_connections{listener=\"main\"}");
        let full = bench.memory();
        println!("{most} connections made, {open} open, {before} KiB before, {full} KiB then");
        assert!(
            full < before + IDLE_COST * most,
            "{before} KiB, then {full} KiB"
        );
        assert!(open <= 10_000);
        if most == IDLE {
            until("the longest idle ones go", || {
                bench.closed("limit") >= evicted + 400
            });
        }
        drop(idle);
    });
    println!("{} KiB after", bench.memory());
}

/// A connection that has had a reply: it may stay idle for a minute.
fn used(bench: &Bench) -> TcpStream {
    let mut stream = bench.connect();
    let head = b"GET /healthz/live HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(head).unwrap();
    assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    stream
}

#[test]
fn large_heads_are_refused_and_leave_nothing() {
    let bench = Bench::start();
    let mut head = "GET /healthz HTTP/1.1\r\nhost: a\r\n".to_owned();
    for line in 0..80 {
        write!(head, "x-{line}: {}\r\n", "y".repeat(500)).unwrap();
    }
    bench.withstands(|| {
        for _ in 0..500 {
            let mut stream = bench.connect();
            let _ = stream.write_all(head.as_bytes());
            let mut reply = String::new();
            let _ = stream.read_to_string(&mut reply);
            assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
        }
    });
}

#[test]
fn pipelined_junk_gets_its_replies_and_an_end() {
    let bench = Bench::start();
    let requests = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".repeat(300);
    bench.withstands(|| {
        for junk in [
            "junk\r\n\r\n",
            "GET /\0 HTTP/1.1\r\n\r\n",
            "POST /token HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        ] {
            for _ in 0..50 {
                let mut stream = bench.connect();
                let mut other = stream.try_clone().unwrap();
                let bytes = format!("{requests}{junk}{requests}");
                let writer = std::thread::spawn(move || {
                    let _ = other.write_all(bytes.as_bytes());
                });
                let mut replies = String::new();
                let _ = stream.read_to_string(&mut replies);
                writer.join().unwrap();
                assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 300, "{junk:?}");
                assert_eq!(replies.matches("HTTP/1.1 400 ").count(), 1, "{junk:?}");
            }
        }
    });
}

#[test]
fn bodies_that_are_broken_off_leave_nothing() {
    let bench = Bench::start();
    let head = "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
    let half = format!("{head}{}", "x".repeat(50_000));
    bench.withstands(|| {
        // In waves, so that the attack lasts long enough for honest exchanges beside it.
        for _ in 0..20 {
            for _ in 0..100 {
                let mut stream = bench.connect();
                stream.write_all(half.as_bytes()).unwrap();
                stream.shutdown(Shutdown::Both).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
}
