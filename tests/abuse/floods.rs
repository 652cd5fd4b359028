//! Many connections, large heads, and junk.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::bench::{Bench, Honest, raise_descriptors};
use crate::support::until;

/// More than `limits.max_connections` lets in.
const IDLE: u64 = 10_500;
/// Descriptors for everything else.
const SPARE: u64 = 500;
/// What idle connections may take at most, in KiB each.
const IDLE_COST: u64 = 24;

/// How many bodies are broken off at once.
const EACH_WAVE: u64 = 100;
/// What a connection with a body may take at most, in KiB.
const BROKEN_COST: u64 = 64 + 32;

/// As many idle connections as this process may have, up to more than the limit.
#[test]
fn ten_thousand_idle_connections_stop_nobody() {
    let most = raise_descriptors().map_or(IDLE, |most| most.saturating_sub(SPARE).min(IDLE));
    let bench = Bench::start();
    let before = bench.memory();
    bench.serves_during(|honest| idle(&bench, honest, most));
    let after = bench.memory();
    // The allocator of the C library keeps holes between what lives on; the next flood goes into them.
    assert!(
        after < before + IDLE_COST * most,
        "{before} KiB, then {after} KiB"
    );
    bench.withstands(IDLE_COST * most, |honest| idle(&bench, honest, most));
}

/// Opens `most` connections, and leaves them when the longest idle ones have had to go.
fn idle(bench: &Bench, honest: &Honest, most: u64) {
    let evicted = bench.closed("limit");
    let idle: Vec<TcpStream> = (0..most).map(|_| used(bench)).collect();
    let open = bench.metric("remint_connections{listener=\"main\"}");
    println!(
        "{most} connections made, {open} open, {} KiB",
        bench.memory()
    );
    assert!(open <= 10_000);
    honest.goes_on();
    if most == IDLE {
        until("the longest idle ones go", || {
            bench.closed("limit") >= evicted + 400
        });
    }
    drop(idle);
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
    bench.withstands(0, |honest| {
        honest.goes_on_beside(500, || {
            let mut stream = bench.connect();
            let _ = stream.write_all(head.as_bytes());
            let mut reply = String::new();
            let _ = stream.read_to_string(&mut reply);
            assert!(reply.starts_with("HTTP/1.1 431 "), "{reply}");
        });
    });
}

#[test]
fn pipelined_junk_gets_its_replies_and_an_end() {
    let bench = Bench::start();
    let requests = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".repeat(300);
    let kinds = [
        "junk\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "POST /token HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ];
    bench.withstands(0, |honest| {
        let mut kinds = kinds.iter().cycle();
        honest.goes_on_beside(150, || {
            let junk = kinds.next().unwrap();
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
        });
    });
}

#[test]
fn bodies_that_are_broken_off_leave_nothing() {
    let bench = Bench::start();
    let head = "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n";
    let half = format!("{head}{}", "x".repeat(50_000));
    bench.withstands(EACH_WAVE * BROKEN_COST, |honest| {
        honest.goes_on_beside(20, || {
            for _ in 0..EACH_WAVE {
                let mut stream = bench.connect();
                stream.write_all(half.as_bytes()).unwrap();
                stream.shutdown(Shutdown::Both).unwrap();
            }
            bench.only_honest();
        });
    });
}
