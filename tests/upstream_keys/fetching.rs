//! Where a fetch may go and what it carries.

use std::io::Write;

use remint::upstream::{KeysError, Location, SourceSpec};

use super::issuer::{Issuer, Reply, jwks};
use super::*;

const DOCUMENT: &str = "/.well-known/openid-configuration";

fn discovery(issuer: &str) -> SourceSpec {
    SourceSpec::new(issuer, Location::Discovery)
}

fn describe(issuer: &Issuer, named: &str, jwks_uri: &str) {
    let document = format!(r#"{{"issuer":"{named}","jwks_uri":"{jwks_uri}"}}"#);
    issuer.set(DOCUMENT, Reply::ok(document));
}

#[tokio::test]
async fn discovery_leads_to_the_keys_at_each_fetch() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let named = format!("{}/", issuer.url);
    describe(&issuer, &named, &issuer.keys_url());
    let bench = Bench::new(&discovery(&named));
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set("/moved", Reply::ok(jwks(&["b"])));
    describe(&issuer, &named, &format!("{}/moved", issuer.url));
    assert_eq!(bench.find("b").await, Ok(1));
    assert_eq!((issuer.hits(DOCUMENT), issuer.hits("/keys")), (2, 1));
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_refused() {
    let issuer = Issuer::with_keys(&["a"]).await;
    describe(&issuer, &format!("{}/", issuer.url), &issuer.keys_url());
    let bench = Bench::new(&discovery(&issuer.url));
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("byte for byte"), "{error}");
    assert_eq!(issuer.hits("/keys"), 0);
}

#[tokio::test]
async fn discovery_to_a_foreign_host_prints_the_line_to_add() {
    let (issuer, other) = (
        Issuer::with_keys(&["a"]).await,
        Issuer::with_keys(&["a"]).await,
    );
    describe(&issuer, &issuer.url, &other.keys_url());
    let mut spec = discovery(&issuer.url);
    let bench = Bench::new(&spec);
    let error = bench.fetch_error().await.to_string();
    assert!(error.ends_with(r#"jwks_hosts = ["127.0.0.1"]"#), "{error}");
    assert_eq!(other.hits("/keys"), 0);
    spec.jwks_hosts = vec!["127.0.0.1".to_owned()];
    assert_eq!(Bench::new(&spec).find("a").await, Ok(1));

    describe(&issuer, &issuer.url, "http://keys.example/keys");
    spec.jwks_hosts = vec!["keys.example".to_owned()];
    let error = Bench::new(&spec).fetch_error().await.to_string();
    assert!(error.contains("plain http"), "{error}");
}

#[tokio::test]
async fn redirects_stay_on_the_origin_and_are_few() {
    let (issuer, other) = (
        Issuer::with_keys(&["a"]).await,
        Issuer::with_keys(&["a"]).await,
    );
    issuer.set("/4", Reply::ok(jwks(&["a"])));
    for (from, to) in [("/keys", "/2"), ("/2", "3"), ("/3", "/4")] {
        issuer.set(from, Reply::redirect(to));
    }
    let bench = Bench::at(&issuer);
    assert_eq!(bench.source.fetch_now().await, Ok(1));
    issuer.set("/4", Reply::redirect("/5"));
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("more than 3 times"), "{error}");
    assert_eq!(issuer.hits("/5"), 0);
    issuer.set("/keys", Reply::redirect(other.keys_url()));
    let error = bench.fetch_error().await.to_string();
    assert!(
        error.contains("not the same scheme, host and port"),
        "{error}"
    );
    assert_eq!(other.hits("/keys"), 0);
    issuer.set("/keys", Reply::status(302));
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("without a usable Location"), "{error}");
}

#[tokio::test]
async fn headers_and_a_fresh_bearer_go_with_every_request() {
    let issuer = Issuer::with_keys(&["a"]).await;
    describe(&issuer, &issuer.url, &issuer.keys_url());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "first").unwrap();
    let mut spec = discovery(&issuer.url);
    spec.headers = vec![("X-Tenant".to_owned(), "t1".to_owned())];
    spec.bearer_file = Some(file.path().to_owned());
    let bench = Bench::new(&spec);
    assert_eq!(bench.source.fetch_now().await, Ok(1));
    std::fs::write(file.path(), " second\n").unwrap();
    assert_eq!(bench.source.fetch_now().await, Ok(1));
    let bearers: Vec<_> = issuer
        .heads()
        .iter()
        .map(|head| {
            assert!(head.contains("x-tenant: t1\r\n"), "{head}");
            let agent = format!("user-agent: remint/{}\r\n", env!("CARGO_PKG_VERSION"));
            assert!(head.contains(&agent), "{head}");
            let (_, bearer) = head.split_once("authorization: Bearer ").unwrap();
            bearer.lines().next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(bearers, ["first", "first", "second", "second"]);
    std::fs::write(file.path(), "\n").unwrap();
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("bearer_file"), "{error}");
}

#[tokio::test]
async fn a_configured_user_agent_replaces_the_own_one() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let mut spec = keys_at(&issuer);
    spec.headers = vec![("User-Agent".to_owned(), "acme".to_owned())];
    assert_eq!(Bench::new(&spec).find("a").await, Ok(1));
    assert!(issuer.heads()[0].contains("user-agent: acme\r\n"));
}

#[tokio::test]
async fn a_file_is_read_at_once_and_again_when_it_is_old() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwks(&["a"])).unwrap();
    let location = Location::JwksFile(file.path().to_owned());
    let mut spec = SourceSpec::new("https://issuer.example", location);
    spec.max_age = Some(Duration::from_secs(30));
    let bench = Bench::new(&spec);
    assert_eq!(bench.find("a").await, Ok(1));
    std::fs::write(file.path(), jwks(&["b"])).unwrap();
    assert_eq!(bench.find("a").await, Ok(1));
    bench.advance(30);
    assert_eq!(bench.find("b").await, Ok(1));
    assert_eq!(bench.find("a").await, Err(KeysError::Unknown));
    assert_eq!(bench.find("b").await, Ok(1));
    std::fs::write(file.path(), vec![b' '; 256 * 1024 + 1]).unwrap();
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("more than 256 KiB"), "{error}");
    std::fs::remove_file(file.path()).unwrap();
    let error = bench.fetch_error().await.to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn sources_that_cannot_work_are_configuration_errors() {
    let uri = |uri: &str| SourceSpec::new("i", Location::JwksUri(uri.to_owned()));
    let with = |change: fn(&mut SourceSpec)| {
        let mut spec = uri("https://a.example/keys");
        change(&mut spec);
        spec
    };
    for (spec, expected) in [
        (uri("keys"), "jwks_uri: is not a URL"),
        (uri("ftp://a.example/"), "jwks_uri: is not an https URL"),
        (uri("https://u:p@a.example/"), "jwks_uri: holds a user name"),
        (uri("http://a.example/"), "jwks_uri: uses plain http"),
        (discovery("http://a.example"), "issuer: uses plain http"),
        (discovery("a"), "issuer: is not a URL"),
        (
            with(|spec| spec.headers = vec![("a b".into(), "c".into())]),
            "headers: \"a b\" is not a header name",
        ),
        (
            with(|spec| spec.headers = vec![("a".into(), "s\n".into())]),
            "headers: the value of \"a\" holds",
        ),
        (
            with(|spec| spec.ca_file = Some("/nowhere.pem".into())),
            "ca_file: /nowhere.pem cannot be read",
        ),
        (
            with(|spec| spec.ca_file = Some("Cargo.toml".into())),
            "ca_file: Cargo.toml holds no PEM certificate",
        ),
    ] {
        let clock = Arc::new(ManualClock::at(Duration::ZERO));
        let error = Upstreams::new(clock).add("ci", &spec).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
