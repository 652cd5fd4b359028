//! `remint health`: the word, the exit status and the reason.

use std::fs;
use std::net::TcpListener;

use crate::authority::Authority;
use crate::server::{Server, Site, stranger, text};

/// Asks for the health of what `variables` say; gives exit status, output and error output.
fn health(site: &Site, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = site.remint(&["health"]);
    command.envs(variables.iter().copied());
    let asked = command.output().unwrap();
    (
        asked.status.code(),
        text(&asked.stdout),
        text(&asked.stderr),
    )
}

fn assert_ok(site: &Site, variables: &[(&str, &str)]) {
    let expected = (Some(0), "ok\n".to_owned(), String::new());
    assert_eq!(health(site, variables), expected, "{variables:?}");
}

const LISTEN: &str = "REMINT__SERVER__LISTEN";
const ADMIN: &str = "REMINT__SERVER__ADMIN_LISTEN";

#[test]
fn a_server_is_asked_wherever_it_listens() {
    let site =
        Site::new("listen = [\"0.0.0.0:0\", \"unix:main.sock\"]\nadmin_listen = \"127.0.0.1:0\"");
    let server = Server::start(&site);
    let [any, admin] = [server.main(), server.admin()]
        .map(|address| address.strip_prefix("http://").unwrap().to_owned());
    let port = any.rsplit_once(':').unwrap().1;
    let [loopback, local] = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}"));

    let bare = Site::new(&format!("listen = [\"{}\"]", site.unix("main.sock")));
    assert_ok(&bare, &[]);
    for address in [&any, &loopback, &local] {
        assert_ok(&bare, &[(LISTEN, address)]);
    }
    let elsewhere = stranger("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    assert_ok(&bare, &[(LISTEN, &elsewhere), (ADMIN, &admin)]);
    let proxy = format!("http://{elsewhere}");
    assert_ok(
        &bare,
        &[
            (LISTEN, &any),
            ("http_proxy", &proxy),
            ("ALL_PROXY", &proxy),
        ],
    );
}

#[test]
fn a_degraded_server_is_healthy() {
    let lines = r#"listen = ["unix:main.sock"]"#;
    let site = Site::new(lines);
    let dead = stranger("HTTP/1.1 500 Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    site.configure(lines, &format!("jwks_uri = \"http://{dead}/keys\""));
    let _server = Server::start(&site);
    let expected = (Some(0), "degraded\n".to_owned(), String::new());
    assert_eq!(health(&site, &[]), expected);
}

#[test]
fn what_is_not_healthy_says_why() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (silent.local_addr().unwrap().to_string(), silent);
    let web = stranger("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let other = stranger("SSH-2.0-OpenSSH\r\n");
    for (listen, words) in [
        ("unix:main.sock", "main.sock cannot be asked: No such file"),
        (silent.0.as_str(), "did not answer within 3 s"),
        (web.as_str(), "without a health status"),
        (other.as_str(), "cannot be asked"),
    ] {
        let (status, out, error) = health(&site, &[(LISTEN, listen)]);
        assert_eq!(status, Some(1), "{listen}");
        assert_eq!(out, "");
        assert!(
            error.starts_with("error: the server on ") && error.contains(words),
            "{error}"
        );
    }
}

/// What may happen to a file after the start: its name, and the text that becomes of a good one.
type Break = (&'static str, fn(&str) -> String);

const BROKEN: [Break; 9] = [
    ("the end is cut", |toml| format!("{toml}\n[[connectors")),
    ("no quote is closed", |toml| {
        toml.replacen("issuer = \"", "issuer = ", 1)
    }),
    ("an unknown key", |toml| format!("isuer = 1\n{toml}")),
    ("an unknown key of the server", |toml| {
        toml.replace("[server]", "[server]\nlisten_on = 1")
    }),
    ("a wrong value of the server", |toml| {
        toml.replace("[server]", "[server]\nsocket_mode = \"all\"")
    }),
    ("a broken value of the server", |toml| {
        toml.replace("[server]", "[server]\nmetadata_listen = [\"a:1\"")
    }),
    ("an invalid connector", |toml| {
        toml.replace("allow = [\"true\"]", "allow = [\"tru\"]")
    }),
    ("a secret that cannot be read", |toml| {
        format!("{toml}\n[[clients]]\nid = \"a\"\nsecret_file = \"nowhere\"\n")
    }),
    ("a key file that is not there", |toml| {
        format!("{toml}\n[keys]\nfile = \"nowhere\"\n")
    }),
];

#[test]
fn a_file_that_was_broken_after_the_start_does_not_matter() {
    let site = Site::new(r#"listen = ["unix:main.sock"]"#);
    let server = Server::start(&site);
    let good = fs::read_to_string(site.path("site.toml")).unwrap();
    let ask = |what: &str| {
        let (status, out, error) = health(&site, &[]);
        // The server notices by itself that it could not reload.
        let is_healthy = out == "ok\n" || out == "degraded\n";
        assert!(
            status == Some(0) && is_healthy,
            "{what}: {status:?} {out} {error}"
        );
        error
    };
    for (what, broken) in BROKEN {
        let broken = broken(&good);
        assert_ne!(broken, good, "{what}");
        fs::write(site.path("site.toml"), broken).unwrap();
        assert!(
            !site.remint(&["check"]).output().unwrap().status.success(),
            "{what}"
        );
        ask(what);
    }
    fs::write(site.path("site.toml"), format!("{good}\n[[connectors")).unwrap();
    let note = ask("a syntax error");
    assert!(
        note.contains("site.toml cannot be parsed, `remint check` says why"),
        "{note}"
    );
    let sock = site.unix("main.sock");
    fs::remove_file(site.path("site.toml")).unwrap();
    let (status, _, note) = health(&site, &[(LISTEN, &sock)]);
    assert_eq!(status, Some(0), "{note}");
    assert!(note.contains("site.toml cannot be read"), "{note}");
    // A broken file makes no server.
    server.kill();
    fs::write(site.path("site.toml"), format!("{good}\n[[connectors")).unwrap();
    let (status, out, error) = health(&site, &[(LISTEN, &sock)]);
    assert_eq!((status, out.as_str()), (Some(1), ""), "{error}");
    assert!(error.contains("main.sock cannot be asked"), "{error}");
}

#[test]
fn a_url_needs_no_file() {
    let authority = Authority::new("ca");
    let site = Site::new(
        "listen = [\"127.0.0.1:0\", \"unix:main.sock\"]\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\n\
         cert_file = \"tls.pem\"\nkey_file = \"tls-key.pem\"",
    );
    let signed = authority.sign();
    fs::write(site.path("tls.pem"), &signed.chain).unwrap();
    fs::write(site.path("tls-key.pem"), &signed.key).unwrap();
    let server = Server::start(&site);
    let plain = server.main();
    let all = server.on(" listening on ");
    let tls = all
        .iter()
        .find(|found| found.starts_with("https://"))
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let ask = |url: &str| {
        let mut command = site.remint(&["health", "--url", url]);
        command.current_dir(elsewhere.path());
        command
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR");
        let asked = command.output().unwrap();
        (
            asked.status.code(),
            text(&asked.stdout),
            text(&asked.stderr),
        )
    };
    let unix = site.unix("main.sock");
    let named = plain.replace("127.0.0.1", "localhost");
    let at_path = format!("{plain}/healthz");
    let slash = format!("{plain}/");
    for url in [&plain, &named, &slash, &at_path, tls, &unix] {
        assert_eq!(
            ask(url),
            (Some(0), "ok\n".to_owned(), String::new()),
            "{url}"
        );
    }
    // Anywhere else a certificate must be good: so is this address seen, though it leads here.
    let other = tls.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for (url, words) in [
        (&format!("{plain}/dex/keys"), "without a health status"),
        (&format!("{plain}/nowhere"), "answered 404"),
        (&site.unix("other.sock"), "cannot be asked: No such file"),
        (&other, "set the environment variable SSL_CERT_FILE to it"),
    ] {
        let (status, _, error) = ask(url);
        assert_eq!(status, Some(1), "{url}: {error}");
        assert!(
            error.starts_with(&format!("error: the server on {url} ")),
            "{error}"
        );
        assert!(error.contains(words), "{error}");
    }
    for url in [
        "",
        "127.0.0.1:8080",
        "ftp://h:1",
        "http://",
        "http://u:p@h/",
        "unix:",
    ] {
        let (status, out, error) = ask(url);
        assert_eq!((status, out.as_str()), (Some(64), ""), "{url}");
        assert!(error.contains("--url"), "{url}: {error}");
    }
}

#[test]
fn without_any_listener_nothing_can_be_asked() {
    let site = Site::new("listen = []");
    let (status, out, error) = health(&site, &[]);
    assert_eq!((status, out.as_str()), (Some(64), ""));
    assert!(error.contains("ask with --url"), "{error}");
}
