//! The end: the main listeners drain first, and the others tell so until that is done.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::server::{Reply, Server, Site, Stream, connect, get, text, until};

const ALL: &str = r#"
listen = ["127.0.0.1:0", "unix:main.sock"]
metadata_listen = ["127.0.0.1:0"]
admin_listen = "unix:admin.sock"
"#;

/// A request that the server has begun to read, and whose body it waits for.
fn half_a_request(address: &str) -> Box<dyn Stream> {
    let mut stream = connect(address).unwrap();
    let head = "POST /dex/token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(text(&asked), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn the_others_stay_until_the_main_listeners_have_drained() {
    let site = Site::new(ALL);
    let server = Server::start(&site);
    let [tcp, metadata, admin] = [server.main(), server.metadata(), site.unix("admin.sock")];
    let mut busy = half_a_request(&site.unix("main.sock"));
    server.terminate();
    until("no new requests", || connect(&tcp).is_err());
    assert!(!site.path("main.sock").exists());
    for address in [&metadata, &admin] {
        let ready = get(address, "/healthz/ready");
        assert_eq!(ready.status, 503, "{address}");
        assert_eq!(ready.json()["status"], "draining");
        assert_eq!(get(address, "/healthz/live").status, 200);
    }
    assert_eq!(get(&admin, "/healthz").json()["draining"], true);
    assert_eq!(
        get(&metadata, "/healthz").json(),
        json!({ "status": "draining" })
    );
    assert_eq!(get(&metadata, "/dex/keys").status, 200);
    let asked = site.remint(&["health"]).output().unwrap();
    assert_eq!(asked.status.code(), Some(1));
    assert_eq!(text(&asked.stdout), "draining\n");
    assert!(text(&asked.stderr).contains("is draining (503)"));

    busy.write_all(b"{}").unwrap();
    let mut reply = String::new();
    busy.read_to_string(&mut reply).unwrap();
    assert_eq!(Reply::parse(&reply).status, 400, "{reply}");
    server.until("stopped");
    assert_eq!(server.wait().code(), Some(0));
    assert!(connect(&metadata).is_err());
    assert!(!site.path("admin.sock").exists());
}
