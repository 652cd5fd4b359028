//! What a CI job talks to besides Remint.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Whatever else a CI job talks to: answers everything with one body, and keeps what it was sent.
pub(super) struct World {
    pub(super) origin: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(super) fn answering(body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let request = Self::read(&stream);
                kept.lock().unwrap().push(request);
                let length = body.len();
                let reply = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                (&stream).write_all(reply.as_bytes()).unwrap();
            }
        });
        Self { origin, requests }
    }

    fn read(stream: &TcpStream) -> String {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        let mut length = 0;
        while reader.read_line(&mut request).unwrap() > 2 && !request.ends_with("\r\n\r\n") {
            let last = request.lines().last().unwrap().to_ascii_lowercase();
            if let Some(value) = last.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request + &String::from_utf8(body).unwrap()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The body that a server of this process answers a GET with.
pub(super) fn get(origin: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(origin.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: practice\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{reply}");
    body.to_owned()
}
