//! `remint check --online`: the upstreams, and our own public documents as a verifier meets them.

use serde_json::{Value, json};

use crate::bench::process::Finished;
use crate::bench::site::{Site, config, connector};
use crate::bench::upstream::{Document, Documents, Upstream, dead_url};

const METADATA: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/.well-known/jwks.json";

/// A site whose issuer is a server that serves what the site would publish.
fn published(upstreams: &[&str]) -> (Site, Documents) {
    let public = Documents::start();
    let connectors: String = upstreams
        .iter()
        .enumerate()
        .map(|(index, url)| {
            connector(&format!("c{index}"), url).replace(
                "targets",
                &format!("subject_prefix = \"c{index}:\"\ntargets"),
            )
        })
        .collect();
    let site = Site::new(&config(&public.url, &connectors));
    let keys = site.run(&["keys", "public"]).exits(0).stdout;
    public.set(
        METADATA,
        Document::json(&metadata(&public.url, &public.url)),
    );
    public.set(JWKS, Document("application/jwk-set+json", keys));
    (site, public)
}

fn metadata(issuer: &str, origin: &str) -> Value {
    json!({ "issuer": issuer, "jwks_uri": format!("{origin}{JWKS}") })
}

fn check(site: &Site) -> Finished {
    site.run(&["check", "--online", "--format", "json"])
}

/// The one error of a failed check.
fn error(site: &Site) -> (String, String) {
    let report: Value = serde_json::from_str(&check(site).exits(64).stdout).unwrap();
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(
        (report["ok"].as_bool(), errors.len()),
        (Some(false), 1),
        "{report}"
    );
    let text = |name: &str| errors[0][name].as_str().unwrap().to_owned();
    (text("path"), text("message"))
}

#[test]
fn running_upstreams_and_right_documents_are_ok() {
    let upstream = Upstream::start();
    let (site, _public) = published(&[upstream.url()]);
    let report: Value = serde_json::from_str(&check(&site).exits(0).stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    let notes = report["notes"].as_array().unwrap();
    let fetched = |note: &&Value| note["path"] == "connectors[0]";
    let note = notes.iter().find(fetched).unwrap();
    assert!(note["message"].as_str().unwrap().contains("1 usable keys"));
}

#[test]
fn a_dead_upstream_is_an_error_that_names_it() {
    let upstream = Upstream::start();
    let (site, _public) = published(&[upstream.url(), &dead_url()]);
    let (path, message) = error(&site);
    assert_eq!(path, "connectors[1]", "{message}");
    assert!(message.contains("c1"), "{message}");
    // Without --online nobody is asked.
    site.run(&["check"]).exits(0);
}

#[test]
fn an_upstream_that_serves_something_else_is_an_error() {
    let upstream = Upstream::start();
    let (site, _public) = published(&[upstream.url()]);
    let documents = &upstream.documents;
    for keys in ["<html>", "{\"keys\": []}"] {
        documents.set("/keys", Document("application/json", keys.to_owned()));
        assert_eq!(error(&site).0, "connectors[0]", "{keys}");
    }
    let other = json!({ "issuer": "https://other.example.com", "jwks_uri": "/keys" });
    documents.set(METADATA, Document::json(&other));
    let (path, message) = error(&site);
    assert_eq!(path, "connectors[0]");
    assert!(message.contains("https://other.example.com"), "{message}");
}

#[test]
fn wrong_public_documents_are_errors_that_say_what_is_wrong() {
    let upstream = Upstream::start();
    let (site, public) = published(&[upstream.url()]);
    let right = metadata(&public.url, &public.url);
    let keys = site.run(&["keys", "public"]).exits(0).stdout;
    let mut lacking: Value = serde_json::from_str(&keys).unwrap();
    lacking["keys"].as_array_mut().unwrap().pop();
    let slash = metadata(&format!("{}/", public.url), &public.url);
    let jwk_set = "application/jwk-set+json";
    for (path, document, words) in [
        (METADATA, Document::json(&slash), "byte for byte"),
        (
            METADATA,
            Document("text/plain", right.to_string()),
            "content type",
        ),
        (
            METADATA,
            Document("application/json", "<html>".to_owned()),
            "not JSON",
        ),
        (
            METADATA,
            Document::json(&json!({ "issuer": public.url })),
            "jwks_uri",
        ),
        (JWKS, Document(jwk_set, lacking.to_string()), "\"ec-1\""),
        (JWKS, Document("text/html", keys.clone()), "content type"),
        (JWKS, Document(jwk_set, "{".to_owned()), "not JSON"),
    ] {
        public.set(METADATA, Document::json(&right));
        public.set(JWKS, Document(jwk_set, keys.clone()));
        check(&site).exits(0);
        public.set(path, document);
        let (path, message) = error(&site);
        assert_eq!(path, "issuer", "{message}");
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
    for path in [JWKS, METADATA] {
        public.remove(path);
        let (_, message) = error(&site);
        assert!(message.contains(path), "{message}");
    }
}

#[test]
fn a_discovery_document_of_another_issuer_is_found_beside_jwks_uri() {
    let upstream = Upstream::start();
    let url = upstream.url();
    let (site, _public) = published(&[url]);
    let line = format!("issuer = \"{url}\"");
    let config = site.read("site.toml");
    assert_eq!(config.matches(&line).count(), 1);
    let keys = format!("{line}\njwks_uri = \"{url}/keys\"");
    site.write("site.toml", &config.replace(&line, &keys));
    let found = |list: &str| {
        let report: Value = serde_json::from_str(&check(&site).exits(0).stdout).unwrap();
        let entries = report[list].as_array().unwrap().clone();
        let its = |entry: &&Value| entry["path"] == "connectors[0].issuer";
        let its = entries.iter().find(its);
        its.map(|entry| entry["message"].as_str().unwrap().to_owned())
    };
    assert_eq!((found("warnings"), found("notes")), (None, None));
    let slash = json!({ "issuer": format!("{url}/"), "jwks_uri": format!("{url}/keys") });
    upstream.documents.set(METADATA, Document::json(&slash));
    let warning = found("warnings").unwrap();
    for words in [
        &format!("\"{url}/\""),
        &format!("\"{url}\""),
        "a `/` at its end counts",
    ] {
        assert!(warning.contains(words), "{warning}");
    }
    for document in [None, Some(Document::json(&json!({})))] {
        match document {
            None => upstream.documents.remove(METADATA),
            Some(document) => upstream.documents.set(METADATA, document),
        }
        assert_eq!(found("warnings"), None);
        let note = found("notes").unwrap();
        assert!(note.contains("cannot be read"), "{note}");
    }
}

#[test]
fn nothing_is_fetched_for_a_config_with_errors() {
    let upstream = Upstream::start();
    let (site, _public) = published(&[upstream.url()]);
    site.write("site.toml", &site.read("site.toml").replace("'acme'", "'"));
    let report: Value = serde_json::from_str(&check(&site).exits(64).stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(notes.contains("nothing was fetched"), "{report}");
}
