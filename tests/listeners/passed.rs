//! Sockets that another program has opened, and what systemd is told.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use crate::authority::Authority;
use crate::server::{Server, Site, get, text};

/// `serve` with as many of the sockets as there are names, passed as systemd does it.
fn passing(site: &Site, names: &str, sockets: [OwnedFd; 2]) -> Command {
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; \
        LISTEN_PID=$$ exec \"$0\" serve";
    let [first, second] = sockets;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_remint")])
        .env("LISTEN_FDNAMES", names)
        .env("LISTEN_FDS", names.split(':').count().to_string())
        .current_dir(site.path(""))
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second));
    command
}

fn tcp() -> (String, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().to_string(), listener.into())
}

#[test]
fn sockets_that_are_passed_take_the_place_of_the_configured_ones() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]\nadmin_listen = \"127.0.0.1:0\"");
    let path = site.path("passed.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let (address, socket) = tcp();
    let server = Server::of(passing(&site, "admin:main", [socket, unix.into()]));
    assert_eq!(server.on(" admin on "), [format!("http://{address}")]);
    assert_eq!(
        server.on(" listening on "),
        [format!("unix:{}", path.display())]
    );
    assert_eq!(get(&server.admin(), "/metrics").status, 200);
    assert_eq!(get(&server.main(), "/dex/keys").status, 200);
    server.terminate();
    server.until("stopped");
    assert!(path.exists(), "the file is not ours");
}

#[test]
fn sockets_for_tls_get_it() {
    let lines = "listen = [\"127.0.0.1:0\"]\n[server.tls]\ncert_file = \"c\"\nkey_file = \"k\"";
    let site = Site::new(lines);
    let signed = Authority::new("ca").sign();
    fs::write(site.path("c"), signed.chain).unwrap();
    fs::write(site.path("k"), signed.key).unwrap();
    let ((one, first), (two, second)) = (tcp(), tcp());
    let server = Server::of(passing(&site, "tls:tls-metadata", [first, second]));
    assert_eq!(server.on(" metadata on "), [format!("https://{two}")]);
    let main = server.on(" listening on ");
    assert!(main.contains(&format!("https://{one}")), "{main:?}");
    assert_eq!(
        main.len(),
        2,
        "the plain one is opened as configured: {main:?}"
    );
    // Taken for a main one, a socket that was meant for TLS would speak without.
    let run = passing(&site, "remint.socket", [tcp().1, tcp().1]).output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("a socket without a name"));
}

#[test]
fn a_single_socket_needs_no_name() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let (address, socket) = tcp();
    let server = Server::of(passing(&site, "remint.socket", [socket, tcp().1]));
    assert_eq!(server.on(" listening on "), [format!("http://{address}")]);
}

#[test]
fn sockets_that_cannot_be_used_end_the_start() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let datagram = || UnixDatagram::unbound().unwrap().into();
    for (names, second, words) in [
        (
            "main:web",
            tcp().1,
            "set FileDescriptorName= to one of main, metadata",
        ),
        (
            "admin:remint.socket",
            tcp().1,
            "a socket without a name, and it could be for more than one thing",
        ),
        ("main:tls", tcp().1, "there is no [server.tls]"),
        ("main:admin", datagram(), "cannot be used"),
    ] {
        let run = passing(&site, names, [tcp().1, second]).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{names}");
        assert!(text(&run.stderr).contains(words), "{}", text(&run.stderr));
    }
}

#[test]
fn systemd_is_told_of_the_start_of_reloads_and_of_the_stop() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    let socket = UnixDatagram::bind(site.path("notify.sock")).unwrap();
    let told = || {
        let mut message = [0; 100];
        let length = socket.recv(&mut message).unwrap();
        text(&message[..length])
    };
    let mut command = site.remint(&["serve"]);
    command.env("NOTIFY_SOCKET", site.path("notify.sock"));
    let server = Server::of(command);
    assert_eq!(told(), "READY=1\n");
    server.hang_up();
    let reloading = told();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(time.unwrap().trim().parse::<u64>().unwrap() > 0);
    assert_eq!(told(), "READY=1\n");
    server.terminate();
    assert_eq!(told(), "STOPPING=1\n");
}
