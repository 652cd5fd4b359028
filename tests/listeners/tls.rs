//! `[server.tls]`: versions, protocols, client certificates, and files that are wrong.

use std::fs;
use std::time::Duration;

use remint::config::problems::{Problems, Severity};
use remint::http::serve::{ClientCertificates, Limits, Listener, Tls, bind, serve};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Version, tls};

use crate::authority::{Authority, Signed};
use crate::server::{Server, Site, text};

const TLS: &str = r#"
listen = ["127.0.0.1:0"]
[server.tls]
listen = ["127.0.0.1:0"]
metadata_listen = ["127.0.0.1:0"]
cert_file = "tls.pem"
key_file = "tls-key.pem"
"#;

/// A site whose listeners have a certificate of `authority`.
fn site(authority: &Authority, further: &str) -> Site {
    let site = Site::new(&format!("{TLS}{further}"));
    install(&site, &authority.sign());
    site
}

fn install(site: &Site, signed: &Signed) {
    fs::write(site.path("tls.pem"), &signed.chain).unwrap();
    fs::write(site.path("tls-key.pem"), &signed.key).unwrap();
}

/// A client that trusts `authority` alone.
fn trusting(authority: &Authority) -> ClientBuilder {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([root])
}

fn identity(signed: &Signed) -> Identity {
    Identity::from_pem(format!("{}{}", signed.key, signed.chain).as_bytes()).unwrap()
}

/// Where the listener with TLS is: announced behind `words`, and named as its certificate names it.
fn https(server: &Server, words: &str) -> String {
    let all = server.on(words);
    let found = all.iter().find(|found| found.starts_with("https://"));
    found.unwrap().replace("127.0.0.1", "localhost")
}

async fn get(client: &Client, origin: &str, path: &str) -> reqwest::Result<reqwest::Response> {
    client.get(format!("{origin}{path}")).send().await
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_spoken() {
    let authority = Authority::new("ca");
    let server = Server::start(&site(&authority, ""));
    let origin = https(&server, " listening on ");
    for version in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
        let client = || {
            trusting(&authority)
                .tls_version_min(version)
                .tls_version_max(version)
        };
        let two = get(&client().build().unwrap(), &origin, "/dex/keys")
            .await
            .unwrap();
        assert_eq!(
            (two.status().as_u16(), two.version()),
            (200, Version::HTTP_2)
        );
        let one = client().http1_only().build().unwrap();
        let one = get(&one, &origin, "/dex/keys").await.unwrap();
        assert_eq!(
            (one.status().as_u16(), one.version()),
            (200, Version::HTTP_11)
        );
    }
    // Prior knowledge on the plain listener; and who speaks plain HTTP to the one with TLS gets nothing.
    let plain = Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let two = get(&plain, &server.main(), "/dex/keys").await.unwrap();
    assert_eq!(
        (two.status().as_u16(), two.version()),
        (200, Version::HTTP_2)
    );
    let wrong = origin.replace("https", "http");
    assert!(
        get(&trusting(&authority).build().unwrap(), &wrong, "/dex/keys")
            .await
            .is_err()
    );
    // Whom nobody has to believe.
    let stranger = trusting(&Authority::new("other")).build().unwrap();
    assert!(get(&stranger, &origin, "/dex/keys").await.is_err());
}

#[tokio::test]
async fn the_roles_are_the_same_over_tls() {
    let authority = Authority::new("ca");
    let server = Server::start(&site(&authority, ""));
    let client = trusting(&authority).build().unwrap();
    for (words, token, keys) in [(" listening on ", 405, 200), (" metadata on ", 404, 200)] {
        let origin = https(&server, words);
        for (path, status) in [
            ("/dex/token", token),
            ("/dex/keys", keys),
            ("/metrics", 404),
        ] {
            let reply = get(&client, &origin, path).await.unwrap();
            assert_eq!(reply.status(), status, "{words}{path}");
        }
    }
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_configured() {
    let (authority, clients) = (Authority::new("ca"), Authority::new("clients"));
    for (auth, without) in [
        ("", true),
        ("client_auth = \"optional\"", true),
        ("client_auth = \"required\"", false),
    ] {
        let site = site(
            &authority,
            &format!("client_ca_file = \"clients.pem\"\n{auth}"),
        );
        fs::write(site.path("clients.pem"), clients.pem()).unwrap();
        let server = Server::start(&site);
        let origin = https(&server, " listening on ");
        for version in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
            let client = || trusting(&authority).tls_version_max(version);
            let is_served = async |client: ClientBuilder, origin: &str| {
                let reply = get(&client.build().unwrap(), origin, "/dex/keys").await;
                reply.is_ok_and(|reply| reply.status() == 200)
            };
            assert!(is_served(client().identity(identity(&clients.sign())), &origin).await);
            assert_eq!(is_served(client(), &origin).await, without, "{auth}");
            for wrong in [Authority::new("clients").sign(), clients.sign_until(2001)] {
                assert!(
                    !is_served(client().identity(identity(&wrong)), &origin).await,
                    "{auth}"
                );
                // Nobody asks there, so nobody looks.
                let public = https(&server, " metadata on ");
                assert!(is_served(client().identity(identity(&wrong)), &public).await);
            }
            assert!(is_served(client(), &https(&server, " metadata on ")).await);
        }
    }
}

#[test]
fn files_that_are_wrong_end_the_start_with_their_reason() {
    let authority = Authority::new("ca");
    let (one, other) = (authority.sign(), authority.sign());
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (chain, key, path, words) in [
        (
            one.chain.as_str(),
            other.key.as_str(),
            "key_file",
            "not the key of the first certificate",
        ),
        (&one.chain, "nothing", "key_file", "holds no private key"),
        (&one.chain, &one.chain, "key_file", "holds no private key"),
        ("nothing", &one.key, "cert_file", "holds no certificate"),
        (junk, &one.key, "cert_file", "no X.509 certificate"),
    ] {
        let site = site(&authority, "");
        fs::write(site.path("tls.pem"), chain).unwrap();
        fs::write(site.path("tls-key.pem"), key).unwrap();
        for command in ["serve", "check"] {
            let run = site.remint(&[command]).output().unwrap();
            assert_eq!(run.status.code(), Some(64), "{words}");
            let said = text(&run.stderr) + &text(&run.stdout);
            assert!(said.contains(&format!("server.tls.{path}")), "{said}");
            assert!(said.contains(words), "{said}");
            let secret = key.lines().nth(1);
            assert!(secret.is_none_or(|secret| !said.contains(secret)), "{said}");
        }
    }
    let site = site(&authority, "client_ca_file = \"none.pem\"");
    fs::remove_file(site.path("tls.pem")).unwrap();
    let said = text(&site.remint(&["serve"]).output().unwrap().stderr);
    for name in ["server.tls.cert_file", "server.tls.client_ca_file"] {
        assert!(said.contains(&format!(": {name}: ")), "{said}");
    }
}

#[test]
fn certificates_out_of_time_or_order_are_warned_of() {
    let authority = Authority::new("ca");
    let site = site(&authority, "");
    let checked = |words: &str| {
        let run = site.remint(&["check"]).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stdout));
        let said = text(&run.stdout);
        assert_eq!(
            said.contains("server.tls.cert_file"),
            !words.is_empty(),
            "{said}"
        );
        assert!(said.contains(words), "{said}");
    };
    let good = authority.sign();
    checked("");
    let chain = format!("{}{}", good.chain, authority.pem());
    install(
        &site,
        &Signed {
            chain,
            key: good.key,
        },
    );
    checked("");
    install(&site, &authority.sign_until(2001));
    checked("certificate 1 has expired");
    let good = authority.sign();
    let chain = format!("{}{}", good.chain, Authority::new("other").pem());
    install(
        &site,
        &Signed {
            chain,
            key: good.key,
        },
    );
    checked("certificate 2 is not the issuer");
}

#[test]
fn a_server_with_tls_alone_is_healthy() {
    let authority = Authority::new("ca");
    let site = site(&authority, "");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let lines = TLS.replacen("\"127.0.0.1:0\"", "", 1);
    let lines = lines.replacen("\"127.0.0.1:0\"", &format!("\"127.0.0.1:{port}\""), 1);
    let lines = lines.replace("metadata_listen = [\"127.0.0.1:0\"]", "");
    site.configure(&lines, "jwks_file = \"issuer.json\"");
    let server = Server::start(&site);
    assert_eq!(
        server.on(" listening on "),
        [format!("https://127.0.0.1:{port}")]
    );
    let asked = site.remint(&["health"]).output().unwrap();
    assert_eq!(text(&asked.stdout), "ok\n", "{}", text(&asked.stderr));
}

#[tokio::test]
async fn a_reload_replaces_good_files_and_keeps_the_old_ones_otherwise() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let site = site(&old, "");
    let settings = {
        let mut problems = Problems::new();
        remint::config::load(&site.path("site.toml"), [], &mut problems).unwrap()
    };
    let configured = settings.server.tls.unwrap();
    let now = Duration::from_secs(1_800_000_000);
    let mut problems = Problems::new();
    let tls = Tls::load(&configured, now, &mut problems).unwrap();
    let tls = std::sync::Arc::new(tls);
    let listener = bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = Listener::Tls(
        listener,
        std::sync::Arc::clone(&tls),
        ClientCertificates::Asked,
    );
    let service = warp::service(warp::Filter::map(warp::any(), || "hello"));
    let service = hyper_util::service::TowerToHyperService::new(service);
    tokio::spawn(serve(
        vec![listener],
        service,
        Limits::default(),
        std::future::pending(),
    ));
    let origin = format!("https://localhost:{port}");
    let stands = trusting(&old).build().unwrap();
    let connects = async |authority: &Authority| {
        let client = trusting(authority).build().unwrap();
        get(&client, &origin, "/").await.is_ok()
    };
    assert!(get(&stands, &origin, "/").await.is_ok());
    assert_eq!((connects(&old).await, connects(&new).await), (true, false));

    // The chain is there already, its key not yet.
    fs::write(site.path("tls.pem"), new.sign().chain).unwrap();
    assert!(Tls::load(&configured, now, &mut problems).is_none());
    let found: Vec<_> = problems
        .iter()
        .map(|found| (found.severity, found.path.as_str()))
        .collect();
    assert_eq!(found, [(Severity::Error, "server.tls.key_file")]);
    assert_eq!((connects(&old).await, connects(&new).await), (true, false));

    install(&site, &new.sign());
    tls.replace(Tls::load(&configured, now, &mut Problems::new()).unwrap());
    assert_eq!((connects(&old).await, connects(&new).await), (false, true));
    // What stands goes on.
    assert!(get(&stands, &origin, "/").await.is_ok());
}
