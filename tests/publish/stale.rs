//! `check --online` against published files that no longer, or never, were what they should be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::bench::site::{Site, config, connector, generate, keys};
use crate::bench::upstream::{Upstream, dead_url};
use crate::web::FileServer;

const METADATA: &str = ".well-known/openid-configuration";
const JWKS: &str = ".well-known/jwks.json";

/// What makes a published site wrong.
type Break = Box<dyn Fn(&Stage)>;

/// The findings, in order: `error` or `warning`, and words of the message.
type Expected<'a> = &'a [(&'a str, &'a [&'a str])];

/// A published site: the file server of its issuer, its upstream, and its folder.
struct Stage {
    public: FileServer,
    site: Site,
    _upstream: Upstream,
}

impl Stage {
    fn new() -> Self {
        let (public, upstream) = (FileServer::start(), Upstream::start());
        let site = Site::new(&config(&public.url, &connector("ci", upstream.url())));
        let stage = Self {
            public,
            site,
            _upstream: upstream,
        };
        stage.publish();
        assert_eq!(stage.findings(0), []);
        stage
    }

    fn publish(&self) {
        let out = self.public.folder.path().to_str().unwrap();
        let published = self.site.run(&["publish", "--out", out]).exits(0);
        self.public.take_types(&published);
    }

    fn set_keys(&self, entries: &[&Value]) {
        self.site
            .write("jwks.json", &json!({ "keys": entries }).to_string());
    }

    /// Changes a published document.
    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = self.public.path(name);
        let mut document = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut document);
        fs::write(path, document.to_string()).unwrap();
    }

    /// What the check finds: `error` or `warning`, the path, and the message.
    fn findings(&self, code: i32) -> Vec<(&'static str, String, String)> {
        findings(&self.site, code)
    }
}

fn findings(site: &Site, code: i32) -> Vec<(&'static str, String, String)> {
    let checked = site.run(&["check", "--online", "--format", "json"]);
    let report: Value = serde_json::from_str(&checked.exits(code).stdout).unwrap();
    let of = |list: &str, kind: &'static str| -> Vec<_> {
        let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_owned();
        let list = report[list].as_array().unwrap().iter();
        list.map(|found| (kind, text(found, "path"), text(found, "message")))
            .collect()
    };
    [of("errors", "error"), of("warnings", "warning")].concat()
}

/// One finding per row of `expected`, each with all of its words.
fn assert_found(found: &[(&str, String, String)], expected: Expected<'_>) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((kind, path, message), (expected, words)) in found.iter().zip(expected) {
        assert_eq!((*kind, path.as_str()), (*expected, "issuer"), "{message}");
        for word in *words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
    }
}

#[test]
fn keys_that_changed_since_are_found_until_they_are_published() {
    let [rsa, ec] = [0, 1].map(|index| keys()["keys"][index].clone());
    let (next, other_ec) = (generate("ES256", "ec-2"), generate("ES256", "ec-1"));
    let rows: [(&[&Value], i32, Expected<'_>); 4] = [
        // ec-1 still signs; ec-2 waits.
        (
            &[&rsa, &ec, &next],
            64,
            &[("error", &["lacks the key \"ec-2\"", "before it signs"])],
        ),
        (
            &[&rsa, &next],
            64,
            &[
                ("error", &["lacks the key \"ec-2\"", "are refused"]),
                ("warning", &["has the key \"ec-1\"", "publish again"]),
            ],
        ),
        (
            &[&rsa, &other_ec],
            64,
            &[("error", &["another key under the kid \"ec-1\""])],
        ),
        (
            &[&rsa],
            0,
            &[
                (
                    "warning",
                    &["stale", "id_token_signing_alg_values_supported"],
                ),
                ("warning", &["has the key \"ec-1\""]),
            ],
        ),
    ];
    let stage = Stage::new();
    for (entries, code, expected) in rows {
        stage.set_keys(&[&rsa, &ec]);
        stage.publish();
        stage.set_keys(entries);
        assert_found(&stage.findings(code), expected);
        stage.publish();
        assert_eq!(stage.findings(0), []);
    }
}

#[test]
fn files_that_are_behind_a_rotation_are_found() {
    let [rsa, ec] = [0, 1].map(|index| keys()["keys"][index].clone());
    let timed = |key: &Value, times: [Option<u64>; 3]| {
        let mut key = key.clone();
        let names = ["signs_from", "signs_until", "published_until"];
        for (name, time) in names.into_iter().zip(times) {
            if let Some(time) = time {
                key[format!("remint_{name}")] = time.into();
            }
        }
        key
    };
    let (past, soon, late) = (1_500_000_000, 4_000_000_000, 4_100_000_000);
    let other = generate("ES256", "ec-2");
    let rows: [(&[Value], i32, Expected<'_>); 3] = [
        (
            &[
                rsa.clone(),
                timed(&ec, [None, Some(soon), Some(late)]),
                timed(&other, [Some(soon), None, None]),
            ],
            64,
            &[(
                "error",
                &[
                    "lacks the key \"ec-2\"",
                    "before it signs, which is from 2096-10-02T07:06:40Z on",
                ],
            )],
        ),
        (
            &[
                rsa.clone(),
                timed(&other, [None, Some(past), Some(late)]),
                timed(&ec, [Some(past), None, None]),
            ],
            64,
            &[(
                "error",
                &[
                    "lacks the key \"ec-2\"",
                    "signed until 2017-07-14T02:40:00Z are refused",
                ],
            )],
        ),
        (
            &[
                rsa.clone(),
                timed(&ec, [None, Some(past - 1), Some(past)]),
                timed(&other, [Some(past - 1), None, None]),
            ],
            64,
            &[
                ("error", &["lacks the key \"ec-2\"", "are refused"]),
                (
                    "warning",
                    &["has the key \"ec-1\", whose time is over", "publish again"],
                ),
            ],
        ),
    ];
    let stage = Stage::new();
    for (entries, code, expected) in rows {
        stage.set_keys(&[&rsa, &ec]);
        stage.publish();
        stage.set_keys(&entries.iter().collect::<Vec<_>>());
        assert_found(&stage.findings(code), expected);
        stage.publish();
        assert_eq!(stage.findings(0), []);
    }
}

#[test]
fn claims_that_changed_since_are_stale() {
    let stage = Stage::new();
    let text = stage.site.read("site.toml");
    stage
        .site
        .write("site.toml", &text.replace("project =", "repository ="));
    let expected: Expected<'_> = &[(
        "warning",
        &["is stale", "claims_supported", "publish again"],
    )];
    assert_found(&stage.findings(0), expected);
    stage.publish();
    assert_eq!(stage.findings(0), []);
}

#[test]
fn what_a_verifier_would_stumble_over_is_an_error() {
    let stage = Stage::new();
    let metadata = |change: fn(&mut Value)| move |stage: &Stage| stage.edit(METADATA, change);
    let private = keys()["keys"][1].clone();
    let rows: [(Break, &[&str]); 8] = [
        (
            Box::new(metadata(|document| {
                document["issuer"] = json!("https://other.example.com");
            })),
            &["https://other.example.com", "byte for byte"],
        ),
        (
            Box::new(metadata(|document| {
                document.as_object_mut().unwrap().shift_remove("jwks_uri");
            })),
            &["no jwks_uri"],
        ),
        (
            Box::new(|stage| {
                stage
                    .public
                    .set_type("/.well-known/openid-configuration", "text/plain");
            }),
            &[
                "openid-configuration",
                "content type \"text/plain\"",
                "application/json",
            ],
        ),
        (
            // What a verifier takes for keys is not fit for metadata.
            Box::new(|stage| {
                stage.public.set_type(
                    "/.well-known/openid-configuration",
                    "application/jwk-set+json",
                );
            }),
            &["openid-configuration", "content type"],
        ),
        (
            Box::new(|stage| {
                stage
                    .public
                    .set_type("/.well-known/jwks.json", "application/octet-stream");
            }),
            &[
                "jwks.json",
                "content type",
                "application/jwk-set+json or application/json",
            ],
        ),
        (
            Box::new(move |stage| {
                stage.edit(JWKS, |set| set["keys"][1]["d"] = private["d"].clone());
            }),
            &["private half", "\"ec-1\""],
        ),
        (
            Box::new(|stage| fs::remove_file(stage.public.path(JWKS)).unwrap()),
            &["jwks.json", "404"],
        ),
        (
            Box::new(|stage| fs::remove_file(stage.public.path(METADATA)).unwrap()),
            &["openid-configuration", "404"],
        ),
    ];
    for (spoil, words) in rows {
        spoil(&stage);
        assert_found(&stage.findings(64), &[("error", words)]);
        stage.publish();
        assert_eq!(stage.findings(0), []);
    }
    // Types are compared as media types: parameters and case do not count, and plain JSON is fine for keys.
    stage.public.set_type(
        "/.well-known/openid-configuration",
        "Application/JSON; charset=utf-8",
    );
    stage
        .public
        .set_type("/.well-known/jwks.json", "application/json");
    assert_eq!(stage.findings(0), []);
}

#[test]
fn each_issuer_of_a_list_is_looked_at() {
    let (public, upstream, dead) = (FileServer::start(), Upstream::start(), dead_url());
    let list = format!("[\"{}\", \"{dead}\"]", public.url);
    let text = config("X", &connector("ci", upstream.url())).replace("\"X\"", &list);
    let site = Site::new(&text);
    let published = site.run(&["publish", "--out", "www"]).exits(0);
    public.take_types(&published);
    let own = site
        .folder()
        .join("www")
        .join(public.url.strip_prefix("http://").unwrap());
    fs::rename(own.join(".well-known"), public.path(".well-known")).unwrap();
    let found = findings(&site, 64);
    assert_eq!(found.len(), 1, "{found:#?}");
    let (kind, path, message) = &found[0];
    assert_eq!((*kind, path.as_str()), ("error", "issuer[1]"), "{message}");
    assert!(message.contains(&dead), "{message}");
}

/// Python's file server; it is killed when it is dropped.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Its files of this folder, and its origin; `None` where there is no Python.
fn python(folder: &std::path::Path) -> Option<(Python, String)> {
    let spawned = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut python = Python(spawned.ok()?);
    let mut line = String::new();
    let stdout = python.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let port = line
        .split("port ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let port = port.unwrap_or_else(|| panic!("python said {line:?}"));
    Some((python, format!("http://127.0.0.1:{port}")))
}

#[test]
fn a_server_that_guesses_types_by_extension_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_python, url)) = python(folder.path()) else {
        return;
    };
    let upstream = Upstream::start();
    let site = Site::new(&config(&url, &connector("ci", upstream.url())));
    let out = folder.path().to_str().unwrap();
    site.run(&["publish", "--out", out]).exits(0);
    // jwks.json has an extension that says enough.
    let words: &[&str] = &[
        "openid-configuration",
        "application/octet-stream",
        "application/json",
    ];
    assert_found(&findings(&site, 64), &[("error", words)]);
}
