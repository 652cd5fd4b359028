//! Issuers behind TLS: keys that were fetched under another CA, and certificates that are not accepted.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::restarts::kept;
use super::support::authority::{Authority, Signed};
use super::support::issuer::{Answer, Issuer, JWKS, nobody};
use super::support::keys::P256;
use super::support::server::{Server, Site};
use super::support::{shapes, tokens, until};

/// The program with one connector for `issuer`, which trusts `ca` and keeps keys in `state`.
fn start(issuer: &Issuer, ca: &Path, state: &Path) -> Server {
    let lines = format!(
        "issuer = \"{}\"\njwks_uri = \"{}{JWKS}\"\nca_file = {ca:?}",
        issuer.url, issuer.url
    );
    Site::new()
        .connector("ci", &lines)
        .env("REMINT__SERVER__STATE_DIR", state.to_str().unwrap())
        .start()
}

fn job(issuer: &Issuer) -> String {
    tokens::token(&shapes::gitlab(&issuer.url), &P256, "ES256", "e1")
}

fn refused(server: &Server, issuer: &Issuer) {
    let refusal = server.exchange(&job(issuer), &[]).refusal();
    let expected = (503, "temporarily_unavailable", "keys_unavailable");
    assert_eq!((refusal.0, &*refusal.1, &*refusal.2), expected);
}

#[test]
fn keys_that_were_fetched_under_another_ca_are_not_restored() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let issuer = Issuer::start_tls(&[P256.jwk("e1")], &old.sign());
    let folder = tempfile::tempdir().unwrap();
    let (ca, state) = (folder.path().join("ca.pem"), folder.path().join("state"));
    fs::create_dir(&state).unwrap();
    fs::write(&ca, old.pem()).unwrap();
    let server = start(&issuer, &ca, &state);
    assert_eq!(server.exchange(&job(&issuer), &[]).status, 200);
    until("the keys are kept", || kept(&state) == 1);
    drop(server);
    issuer.set(JWKS, Answer::Close);
    // Under the same CA they are.
    let server = start(&issuer, &ca, &state);
    assert_eq!(server.exchange(&job(&issuer), &[]).status, 200);
    drop(server);
    fs::write(&ca, new.pem()).unwrap();
    let server = start(&issuer, &ca, &state);
    refused(&server, &issuer);
    drop(server);
    // Its new certificate is enough, once it answers again.
    issuer.certify(&new.sign());
    issuer.publish(&[P256.jwk("e1")]);
    let server = start(&issuer, &ca, &state);
    assert_eq!(server.exchange(&job(&issuer), &[]).status, 200);
}

/// The certificate that an issuer has, the CA that its connector trusts, and what the log says.
type Row = (
    &'static str,
    fn(&Authority) -> Signed,
    fn(&Authority) -> Option<String>,
    &'static str,
);

const ROWS: [Row; 5] = [
    (
        "a private CA",
        Authority::sign,
        |_| None,
        "signed by a CA that is not trusted here (invalid peer certificate: UnknownIssuer): write the CA's certificate into a PEM file and set `ca_file` on this connector to it",
    ),
    (
        "another CA",
        Authority::sign,
        |_| Some(Authority::new("another").pem()),
        "UnknownIssuer): `ca_file` of this connector does not have that CA: add it there",
    ),
    (
        "an old certificate",
        |ca| ca.sign_until(2001),
        |ca| Some(ca.pem()),
        "the certificate has expired",
    ),
    (
        "a certificate of the future",
        |ca| ca.sign_between(2090, 2100),
        |ca| Some(ca.pem()),
        "the certificate is not valid yet",
    ),
    (
        "a certificate for another host",
        |ca| ca.sign_for("other.example"),
        |ca| Some(ca.pem()),
        "the certificate is for another name than localhost",
    ),
];

#[test]
fn a_certificate_that_is_not_accepted_is_explained() {
    for (what, sign, trusted, words) in ROWS {
        let ca = Authority::new("private");
        let issuer = Issuer::start_tls(&[P256.jwk("e1")], &sign(&ca));
        let mut lines = format!("issuer = \"{0}\"\njwks_uri = \"{0}{JWKS}\"", issuer.url);
        let mut site = Site::new();
        if let Some(pem) = trusted(&ca) {
            lines.push_str("\nca_file = \"ca.pem\"");
            site = site.file("ca.pem", &pem);
        }
        let server = site.connector("ci", &lines).start();
        let cause = failure(&server);
        assert!(cause.contains(words), "{what}: {cause}");
        assert!(
            cause.starts_with(&format!("{}{JWKS}: ", issuer.url)),
            "{cause}"
        );
    }
}

#[test]
fn an_issuer_that_is_not_reached_is_explained() {
    let ca = Authority::new("private");
    let closes = Issuer::start_tls(&[], &ca.sign());
    closes.set(JWKS, Answer::Close);
    for (url, words) in [
        (nobody(), "nothing listens there"),
        (
            "https://issuer.invalid".to_owned(),
            "the name issuer.invalid cannot be resolved by DNS",
        ),
        (without_tls(), "does not speak TLS"),
        (
            closes.url,
            "it closed the connection before it had answered",
        ),
    ] {
        let lines = format!("issuer = \"{url}\"\njwks_uri = \"{url}{JWKS}\"\nca_file = \"ca.pem\"");
        let site = Site::new().file("ca.pem", &ca.pem());
        let server = site.connector("ci", &lines).start();
        let cause = failure(&server);
        assert!(cause.contains(words), "{url}: {cause}");
    }
}

/// The URL, with https, of a server that speaks plain HTTP.
fn without_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    url
}

/// Why the keys could not be fetched, as the log says it.
fn failure(server: &Server) -> String {
    server.logged("why the keys could not be fetched", |line| {
        let failed = line["message"]
            .as_str()?
            .contains("keys could not be fetched");
        failed.then(|| line["cause"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn an_own_address_under_a_private_ca_asks_for_ssl_cert_file() {
    let ca = Authority::new("private");
    let public = Issuer::start_tls(&[], &ca.sign());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("ca.pem"), ca.pem()).unwrap();
    fs::copy("jwks.example.json", path("jwks.json")).unwrap();
    fs::write(
        path("ci.json"),
        super::support::keys::jwks(&[P256.jwk("e1")]),
    )
    .unwrap();
    let config = format!(
        "issuer = {:?}\n[[connectors]]\nid = \"ci\"\nissuer = \"https://ci.example\"\njwks_file = \"ci.json\"\naudiences = [\"a\"]\nallow = [\"true\"]\n",
        public.url
    );
    fs::write(path("site.toml"), config).unwrap();
    let check = |trusted: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command
            .args(["check", "--online"])
            .current_dir(folder.path());
        command
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR");
        command.envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let report = check(None);
    assert!(report.contains("UnknownIssuer"), "{report}");
    assert!(
        report.contains("set the environment variable SSL_CERT_FILE to it"),
        "{report}"
    );
    let report = check(Some(&path("ca.pem")));
    assert!(!report.contains("UnknownIssuer"), "{report}");
    assert!(report.contains("is stale"), "{report}");
}
