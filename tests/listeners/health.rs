//! `remint health`: the word, the exit status and the reason.

use std::net::TcpListener;

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

#[test]
fn a_wrong_configuration_is_a_usage_error() {
    let site = Site::new("listen = [\"unix:main.sock\"]\nsocket_mode = \"all\"");
    let (status, out, error) = health(&site, &[]);
    assert_eq!((status, out.as_str()), (Some(64), ""));
    assert!(
        error.starts_with("error: site.toml:5:1: server.socket_mode: "),
        "{error}"
    );
    let missing = site
        .remint(&["health", "--config", "no.toml"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(64));
}
