//! Whom TLS to upstreams trusts: what the machine names, and the bundled roots where it names nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::bench::http::get;
use crate::bench::process::{Finished, Running, remint};
use crate::bench::site::{Site, config, connector};
use crate::bench::upstream::Upstream;

/// An https server on `localhost` that answers every request with one JWKS.
struct TlsKeys {
    url: String,
    /// Its CA.
    pem: String,
}

impl TlsKeys {
    /// Its certificate is of a CA that calls itself `name`, and that nobody knows.
    fn start(jwks: String, name: DistinguishedName) -> Self {
        let [ca_key, key] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.distinguished_name = name;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key.into())
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(tls, stream), &jwks);
            }
        });
        Self {
            url: format!("https://localhost:{port}/keys"),
            pem,
        }
    }
}

/// The name of a CA that is made up.
fn unheard_of() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "nobody's CA");
    name
}

/// The name of a CA that is among the bundled ones, as it writes itself.
fn well_known() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (part, value) in [
        (DnType::CountryName, "US"),
        (DnType::OrganizationName, "Internet Security Research Group"),
        (DnType::CommonName, "ISRG Root X1"),
    ] {
        name.push(part, DnValue::PrintableString(value.try_into().unwrap()));
    }
    name
}

/// A client that does not trust the certificate hangs up in the middle.
fn answer(stream: StreamOwned<ServerConnection, TcpStream>, jwks: &str) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
            return;
        }
    }
    let length = jwks.len();
    let reply = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{jwks}"
    );
    let mut stream = reader.into_inner();
    let _ = stream.write_all(reply.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

/// A site with three connectors: `plain`, whose keys are behind http on `localhost`; `tls`, whose are behind https; and
/// `forged`, whose server has a certificate in the name of a bundled CA that did not sign it.
fn site(upstream: &Upstream, tls: &TlsKeys, forged: &TlsKeys) -> Site {
    let keys = |id: &str, uri: &str| {
        let lines = format!("jwks_uri = \"{uri}\"\nsubject_prefix = \"{id}:\"\ntargets");
        connector(id, &format!("https://{id}.example.com")).replace("targets", &lines)
    };
    let plain = format!("{}/keys", upstream.url().replace("127.0.0.1", "localhost"));
    let connectors = keys("plain", &plain) + &keys("tls", &tls.url) + &keys("forged", &forged.url);
    // Nobody listens there; what is said of the issuer is not looked at.
    Site::new(&config("http://127.0.0.1:9", &connectors))
}

fn stage() -> (Upstream, TlsKeys, Site) {
    let upstream = Upstream::start();
    let jwks = get(upstream.url(), "/keys").body;
    let forged = TlsKeys::start(jwks.clone(), well_known());
    let tls = TlsKeys::start(jwks, unheard_of());
    let site = site(&upstream, &tls, &forged);
    (upstream, tls, site)
}

/// What a check says of a connector: `errors` or `notes`, and the message.
fn said(checked: &Finished, index: usize) -> (String, String) {
    assert_eq!(checked.code, Some(64), "{checked:?}");
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    let path = format!("connectors[{index}]");
    let lists = ["errors", "notes"].into_iter();
    let mut found = lists.flat_map(|list| {
        let its = report[list].as_array().unwrap().iter();
        its.filter(|found| found["path"] == path.as_str())
            .map(move |found| {
                (
                    list.to_owned(),
                    found["message"].as_str().unwrap().to_owned(),
                )
            })
    });
    let said = found.next().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(found.next(), None);
    said
}

/// Fetching over http works, and over https it fails for the certificates alone: one is of an unknown CA, while that
/// of the forger is measured against the key of the bundled CA, and so there is one.
fn assert_bundled(checked: &Finished) {
    let (list, message) = said(checked, 0);
    assert_eq!(list, "notes", "{message}");
    assert!(message.contains("1 usable keys"), "{message}");
    let (list, message) = said(checked, 1);
    assert_eq!(list, "errors", "{message}");
    assert!(
        message.contains("invalid peer certificate: UnknownIssuer"),
        "{message}"
    );
    let (list, message) = said(checked, 2);
    assert_eq!(list, "errors", "{message}");
    // The bundled key is RSA, and the forger's signature ECDSA.
    assert!(
        message.contains("UnsupportedSignatureAlgorithmForPublicKey"),
        "{message}"
    );
}

const CHECK: [&str; 4] = ["check", "--online", "--format", "json"];

/// A run with these variables.
fn with(site: &Site, variables: &[(&str, &Path)], args: &[&str]) -> Command {
    let mut command = remint(site.folder(), args);
    command
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .envs(variables.iter().copied());
    command
}

fn serve(site: Site, variables: &[(&str, &Path)]) -> Running {
    let command = with(&site, variables, &["serve"]);
    site.start(command)
}

#[test]
fn the_variables_are_honoured() {
    let (_upstream, tls, site) = stage();
    site.write("ca.pem", &tls.pem);
    let folder = site.folder().join("cas");
    fs::create_dir(&folder).unwrap();
    fs::copy(site.folder().join("ca.pem"), folder.join("one.pem")).unwrap();
    let file = site.folder().join("ca.pem");
    for variable in [
        ("SSL_CERT_FILE", file.as_path()),
        ("SSL_CERT_DIR", folder.as_path()),
    ] {
        let checked = with(&site, &[variable], &CHECK).output().unwrap();
        let checked = Finished::from(checked);
        let (list, message) = said(&checked, 1);
        assert_eq!(list, "notes", "{variable:?}: {message}");
        // They replace the bundled roots, and do not add to them.
        let (list, message) = said(&checked, 2);
        assert_eq!(list, "errors", "{variable:?}");
        assert!(message.contains("UnknownIssuer"), "{message}");
    }
    let variable = ("SSL_CERT_FILE", file.as_path());
    let server = serve(site, &[variable]);
    let line = server.stderr.line("trusts the CA certificates of");
    assert!(
        line.contains(&format!("SSL_CERT_FILE={}", file.display())),
        "{line}"
    );
    server.stop();
}

#[test]
fn variables_that_lead_to_nothing_leave_the_bundled_roots_and_a_warning() {
    let (_upstream, _tls, site) = stage();
    let nothing = site.folder().join("nothing");
    fs::create_dir(&nothing).unwrap();
    let absent = site.folder().join("absent.pem");
    let variables = [
        ("SSL_CERT_FILE", absent.as_path()),
        ("SSL_CERT_DIR", nothing.as_path()),
    ];
    let checked = with(&site, &variables, &CHECK).output().unwrap();
    assert_bundled(&checked.into());
    let server = serve(site, &variables);
    let line = server.stderr.line("trusts the bundled ones");
    assert!(
        line.contains("WARN") && line.contains("absent.pem"),
        "{line}"
    );
    server.stop();
}

/// Whether this user may have a root folder of its own.
fn may_chroot() -> bool {
    let tried = Command::new("unshare")
        .args(["-r", "chroot", "/", "/bin/true"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Makes the site's folder a root with nothing but the binary, the libraries that it is linked with, and the names
/// that every container engine gives.
fn make_root(root: &Path) {
    let binary = env!("CARGO_BIN_EXE_remint");
    fs::copy(binary, root.join("remint")).unwrap();
    let libraries = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8(libraries.stdout).unwrap();
    for path in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(path, copy).unwrap();
    }
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn in_an_empty_root_it_starts_resolves_names_and_has_roots() {
    if !may_chroot() {
        eprintln!("skipped: this user may not unshare and chroot");
        return;
    }
    let (_upstream, _tls, site) = stage();
    make_root(site.folder());
    assert!(!site.folder().join("etc/ssl").exists());
    let inside = |site: &Site, args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["-r", "chroot"])
            .arg(site.folder())
            .arg("/remint");
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    let checked = inside(&site, &CHECK).output().unwrap();
    assert_bundled(&checked.into());
    let published = inside(&site, &["publish", "--out", "/www"])
        .output()
        .unwrap();
    Finished::from(published).exits(0);
    let command = inside(&site, &["serve"]);
    let server = site.start(command);
    assert_eq!(get(&server.origin(), "/healthz/live").status, 200);
    let line = server.stderr.line("trusts the bundled ones");
    assert!(
        line.contains("INFO") && line.contains("this system has no CA"),
        "{line}"
    );
    server.stop();
}
