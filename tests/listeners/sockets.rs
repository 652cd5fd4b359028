//! Unix sockets: who may connect, whose place they take, and what stays behind.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::server::{Server, Site, Starting, ask, get, until};

const FILES: [&str; 3] = ["issuer.json", "jwks.json", "site.toml"];

fn mode(site: &Site, name: &str) -> u32 {
    fs::symlink_metadata(site.path(name)).unwrap().mode() & 0o7777
}

#[test]
fn a_socket_serves_and_goes_at_the_end() {
    let site = Site::new(r#"listen = ["unix:main.sock", "127.0.0.1:0"]"#);
    let server = Server::start(&site);
    let [socket, tcp] = server.on(" listening on ").try_into().unwrap();
    assert!(socket.ends_with("main.sock"), "{socket}");
    let socket = site.unix("main.sock");
    for address in [&socket, &tcp] {
        assert_eq!(get(address, "/healthz/ready").json()["status"], "ok");
        assert_eq!(get(address, "/dex/keys").status, 200);
    }
    assert_eq!(mode(&site, "main.sock"), 0o660);
    assert_eq!(site.names().len(), FILES.len() + 1, "{:?}", site.names());
    server.terminate();
    server.until("stopped");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(site.names(), FILES);
}

#[test]
fn only_callers_with_an_address_have_one_in_the_audit_log() {
    let site = Site::new(r#"listen = ["127.0.0.1:0", "unix:main.sock"]"#);
    let server = Server::start(&site);
    for (address, named) in [(server.main(), true), (site.unix("main.sock"), false)] {
        let request = "POST /dex/token HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: 13\r\n\r\n{\"token\":\"x\"}";
        let mut stream = crate::server::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let line = server.until(" audit: ").pop().unwrap();
        assert_eq!(line.contains("remote=\"127.0.0.1:"), named, "{line}");
        assert_eq!(line.contains("remote="), named, "{line}");
    }
}

#[test]
fn the_mode_is_right_from_the_first_moment() {
    let site = Site::new("listen = [\"unix:main.sock\"]\nsocket_mode = \"0600\"");
    let serve = site.remint(&["serve"]);
    // Without a umask whatever is not closed on purpose is open.
    let mut unmasked = Command::new("sh");
    unmasked.args(["-c", "umask 0; exec \"$0\" \"$@\""]);
    unmasked.arg(serve.get_program()).args(serve.get_args());
    unmasked.current_dir(serve.get_current_dir().unwrap());
    let path = site.path("main.sock");
    let watch = std::thread::spawn(move || {
        until("a socket", || path.symlink_metadata().is_ok());
        path.symlink_metadata().unwrap().mode() & 0o7777
    });
    let _server = Server::of(unmasked);
    assert_eq!(watch.join().unwrap(), 0o600);
    assert_eq!(mode(&site, "main.sock"), 0o600);
}

#[test]
fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    Server::start(&site).kill();
    let stale = site.path("main.sock").symlink_metadata().unwrap();
    let server = Server::start(&site);
    let live = site.path("main.sock").symlink_metadata().unwrap();
    assert_ne!(stale.mtime_nsec(), live.mtime_nsec());
    let socket = site.unix("main.sock");
    assert_eq!(get(&socket, "/healthz").status, 200);

    let error = site.refuses_to_serve();
    assert!(
        error.contains("server.listen: cannot listen on unix:"),
        "{error}"
    );
    assert!(error.contains("another program listens on it"), "{error}");
    assert_eq!(get(&socket, "/healthz").status, 200);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(site.names(), FILES);
}

/// Two processes begin at once, in turns beside nothing and beside the stale socket of a process that was killed.
#[test]
fn of_two_starts_at_once_exactly_one_serves() {
    const ROUNDS: usize = 10;
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let socket = site.unix("main.sock");
    for round in 0..ROUNDS {
        let starts = [(); 2].map(|()| Starting::begin(site.remint(&["serve"])));
        let mut winner = None;
        let mut losers = Vec::new();
        for start in starts {
            match start.outcome() {
                Ok(server) => assert!(winner.replace(server).is_none(), "both serve ({round})"),
                Err(error) => losers.push(error),
            }
        }
        let server = winner.unwrap_or_else(|| panic!("neither serves ({round}): {losers:?}"));
        let [error] = losers.try_into().unwrap();
        assert!(
            error.contains("server.listen: cannot listen on unix:")
                && (error.contains("another program listens on it")
                    || error.contains("another start is opening it")),
            "{error}"
        );
        // The loser has left the socket of the winner alone.
        assert_eq!(get(&socket, "/healthz").status, 200, "round {round}");
        if round % 2 == 0 {
            server.kill();
            assert!(site.path("main.sock").symlink_metadata().is_ok());
        } else {
            server.terminate();
            assert_eq!(server.wait().code(), Some(0));
            assert_eq!(site.names(), FILES);
        }
    }
}

/// Between finding a place free and taking it nobody else may; the lock of a start that died does not count.
#[test]
fn a_start_does_not_come_between_another_one() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let lock = fs::File::create(site.path(".main.sock.lock")).unwrap();
    lock.lock().unwrap();
    let error = site.refuses_to_serve();
    assert!(
        error.contains("server.listen: cannot listen on unix:")
            && error.contains("another start is opening it at this moment"),
        "{error}"
    );
    assert!(!site.path("main.sock").exists());
    drop(lock);
    let server = Server::start(&site);
    assert_eq!(get(&site.unix("main.sock"), "/healthz").status, 200);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(site.names(), FILES);
}

#[test]
fn a_link_in_place_of_the_lock_is_refused_and_not_followed() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    symlink(site.path("elsewhere"), site.path(".main.sock.lock")).unwrap();
    let error = site.refuses_to_serve();
    assert!(
        error.contains(".main.sock.lock is no plain file (remove it)"),
        "{error}"
    );
    assert!(!site.path("elsewhere").exists());
}

#[test]
fn what_is_no_socket_stays() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let path = site.path("main.sock");
    let other = UnixListener::bind(site.path("other.sock")).unwrap();
    drop(other);
    let makers: [(&str, &dyn Fn()); 3] = [
        ("a file", &|| fs::write(&path, "precious").unwrap()),
        ("a folder", &|| fs::create_dir(&path).unwrap()),
        ("a link to a stale socket", &|| {
            symlink(site.path("other.sock"), &path).unwrap();
        }),
    ];
    for (what, make) in makers {
        make();
        let before = path.symlink_metadata().unwrap();
        let error = site.refuses_to_serve();
        assert!(error.contains("is not a socket"), "{what}: {error}");
        let after = path.symlink_metadata().unwrap();
        assert_eq!(
            (before.ino(), before.len()),
            (after.ino(), after.len()),
            "{what}"
        );
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
}

#[test]
fn a_place_where_no_socket_can_be_says_why() {
    let site = Site::new("");
    let long = format!("{}.sock", "x".repeat(120));
    for (socket, words) in [
        ("nowhere/main.sock", "nowhere does not exist: create it"),
        (long.as_str(), "too long"),
        ("jwks.json/main.sock", "jwks.json is a file, not a folder"),
    ] {
        site.configure(
            &format!("listen = [\"unix:{socket}\"]"),
            "jwks_file = \"issuer.json\"",
        );
        let error = site.refuses_to_serve();
        assert!(
            error.contains("server.listen: cannot listen on unix:"),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
        assert_eq!(site.names(), FILES);
    }
}

#[test]
fn the_socket_of_a_successor_is_left_to_it() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let server = Server::start(&site);
    let path = site.path("main.sock");
    fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    assert!(path.symlink_metadata().is_ok());
}

#[test]
fn a_port_that_is_taken_leaves_nothing_behind() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    for (key, lines) in [
        ("listen", format!("listen = [\"unix:a.sock\", \"{taken}\"]")),
        (
            "metadata_listen",
            format!("listen = [\"unix:a.sock\"]\nmetadata_listen = [\"unix:b.sock\", \"{taken}\"]"),
        ),
        (
            "admin_listen",
            format!(
                "listen = [\"unix:a.sock\"]\nmetadata_listen = [\"unix:b.sock\"]\nadmin_listen = \"{taken}\""
            ),
        ),
    ] {
        let site = Site::new(&lines);
        let error = site.refuses_to_serve();
        let expected =
            format!("error: server.{key}: cannot listen on {taken}: address already in use");
        assert!(error.contains(&expected), "{error}");
        assert!(!error.contains(" on unix:"), "{error}");
        assert_eq!(site.names(), FILES);
    }
}

#[test]
fn every_method_and_path_is_answered_alike_on_both_transports() {
    let site = Site::new(r#"listen = ["127.0.0.1:0", "unix:main.sock"]"#);
    let server = Server::start(&site);
    let [tcp, socket] = [server.main(), site.unix("main.sock")];
    for (method, path) in [("POST", "/dex/token"), ("PUT", "/dex/keys"), ("GET", "/x")] {
        let [one, other] = [&tcp, &socket].map(|address| ask(address, method, path));
        assert_eq!(one.status, other.status, "{path}");
        assert_eq!(one.json(), other.json(), "{path}");
    }
}
