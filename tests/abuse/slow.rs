//! Clients that begin and do not go on.

use std::io::{Read as _, Write as _};

use crate::bench::{Bench, connect};

/// What one of them may take at most, in KiB: a TLS handshake has buffers of its own.
const COST: u64 = 48;

/// How many clients of each kind.
const EACH: usize = 200;

/// How many connections there may be where they are all taken.
const PLACES: usize = 50;

const HEAD: &str = "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn slow_heads_bodies_and_handshakes_stop_nobody() {
    let bench = Bench::start();
    // A TLS record that announces a ClientHello of 512 bytes, and 2 of them.
    let hello = b"\x16\x03\x01\x02\x00\x01\x00".to_vec();
    let half_body = format!("{HEAD}content-length: 60000\r\n\r\n{{\"token\": \"");
    let h2_head = [PREFACE, b"\0\0\x20\x01\x05\0\0\0\x01x"].concat();
    let plain = bench.server.address;
    let kinds = [
        (plain, HEAD.as_bytes().to_vec(), "HTTP/1.1 408 "),
        (plain, half_body.into_bytes(), "HTTP/1.1 408 "),
        (plain, h2_head, ""),
        (plain, PREFACE.to_vec(), ""),
        (bench.tls, hello, ""),
        (bench.tls, Vec::new(), ""),
    ];
    let each = u64::try_from(EACH * kinds.len()).unwrap();
    bench.withstands(each * COST, |honest| {
        let mut clients = Vec::new();
        for (address, bytes, end) in &kinds {
            for _ in 0..EACH {
                let mut stream = connect(*address);
                stream.write_all(bytes).unwrap();
                clients.push((stream, end));
            }
        }
        honest.goes_on();
        // Every byte more could put a timer back.
        for (stream, _) in &mut clients {
            let _ = stream.write_all(b"x");
        }
        for (mut stream, end) in clients {
            let mut reply = Vec::new();
            let _ = stream.read_to_end(&mut reply);
            let reply = String::from_utf8_lossy(&reply);
            assert!(reply.starts_with(end), "{reply:?} for {end:?}");
        }
    });
    assert!(bench.closed("handshake") >= 2 * EACH as u64);
    assert!(bench.closed("head_timeout") >= 2 * EACH as u64);
}

/// The head of an HTTP/2 request whose body follows; each field has its name from HPACK's table.
fn open_post(stream: u8) -> Vec<u8> {
    let fields = b"\x02\x04POST\x06\x04http\x01\x01a\x04\x06/token\x0f\x10\x10application/json";
    let length = u8::try_from(fields.len()).unwrap();
    [&[0, 0, length, 1, 4, 0, 0, 0, stream], &fields[..]].concat()
}

/// More slow clients than there are places, which begin new requests all the time and come back when they are closed.
#[test]
fn slow_clients_on_every_place_stop_nobody() {
    let bench = Bench::with_places(PLACES);
    bench.serves_during(|honest| {
        let h2_body = [PREFACE, &open_post(1)].concat();
        let begin = |client: usize| {
            let mut stream = bench.connect();
            let bytes = if client.is_multiple_of(2) {
                &h2_body[..]
            } else {
                HEAD.as_bytes()
            };
            stream.write_all(bytes).unwrap();
            stream
        };
        let mut clients: Vec<_> = (0..2 * PLACES).map(begin).collect();
        for round in 1..6 {
            honest.goes_on();
            for (client, stream) in clients.iter_mut().enumerate() {
                let more = if client.is_multiple_of(2) {
                    open_post(2 * round + 1)
                } else {
                    b"x: y\r\n".to_vec()
                };
                if stream.write_all(&more).is_err() {
                    *stream = begin(client);
                }
            }
        }
    });
    assert!(bench.closed("limit") >= PLACES as u64);
}

#[test]
fn a_tls_port_survives_whatever_is_sent_to_it() {
    let bench = Bench::start();
    let kinds = [
        HEAD.as_bytes(),
        PREFACE,
        b"\x16\x03\x03\x40\x00",
        &[0xff; 16_000],
    ];
    bench.withstands(0, |honest| {
        let mut kinds = kinds.iter().cycle();
        honest.goes_on_beside(200, || {
            let mut stream = connect(bench.tls);
            let _ = stream.write_all(kinds.next().unwrap());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
    });
    assert!(bench.closed("handshake") >= 200);
}
