//! What `publish` writes where.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bench::http::{exchange, get};
use crate::bench::site::{Site, config, connector, keys, private_members};
use crate::bench::upstream::Upstream;
use crate::web::{FileServer, told, verify};

/// A site for these issuers, as TOML, whose one connector's keys are in a file: there is no network.
fn offline(issuer: &str) -> Site {
    let connector = connector("ci", "https://ci.example.com")
        .replace("audiences", "jwks_file = \"absent.json\"\naudiences");
    let text = config("X", &connector).replace("\"X\"", issuer);
    Site::new(&text)
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).unwrap();
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn names(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_verifier_takes_a_running_servers_tokens_by_nothing_but_files() {
    let upstream = Upstream::start();
    for path in ["", "/dex"] {
        let public = FileServer::start();
        let issuer = format!("{}{path}", public.url);
        let site = Site::new(&config(&issuer, &connector("ci", upstream.url())));
        let out = public.folder.path().to_str().unwrap();
        let published = site.run(&["publish", "--out", out]).exits(0);
        public.take_types(&published);

        let checked = site
            .run(&["check", "--online", "--format", "json"])
            .exits(0);
        let report: Value = serde_json::from_str(&checked.stdout).unwrap();
        assert_eq!(report["warnings"], json!([]), "{report}");

        let server = site.serve();
        let origin = server.origin();
        let base = format!("{origin}{path}");
        // The bytes and types are those of the running server, at the same paths.
        for told in told(&published) {
            let path = told.url.strip_prefix(&public.url).unwrap();
            let sent = get(&origin, path);
            assert_eq!(
                sent.header("content-type"),
                Some(told.content_type.as_str())
            );
            assert_eq!(
                sent.body.as_bytes(),
                fs::read(&told.file).unwrap(),
                "{path}"
            );
            let keep = format!("Cache-Control: {}", sent.header("cache-control").unwrap());
            assert!(published.stdout.contains(&keep), "{published:?}");
        }
        let token = match path {
            "" => exchange(&base, &upstream.token(&json!({}))),
            _ => token_below(&origin, path, &upstream.token(&json!({}))),
        };
        let verified = verify(&issuer, &token.body);
        assert_eq!(verified.claims().text("project"), Some("acme/shop"));
        server.stop();
        // Nothing of Remint need run for that.
        verify(&issuer, &token.body);
    }
}

/// The simple exchange under an issuer with a path.
fn token_below(origin: &str, path: &str, token: &str) -> crate::bench::http::Reply {
    use std::io::Write;
    let body = json!({ "token": token }).to_string();
    let mut stream = crate::bench::http::connect(origin);
    write!(
        stream,
        "POST {path}/token HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    crate::bench::http::read_reply(&mut stream)
}

#[test]
fn only_these_files_are_written_and_only_public_halves_stand_in_them() {
    let site = offline("\"https://h/dex\"");
    let www = site.folder().join("www");
    fs::create_dir_all(www.join("dex")).unwrap();
    fs::write(www.join("dex/keys"), "an old one").unwrap();
    fs::set_permissions(www.join("dex/keys"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(www.join("index.html"), "mine").unwrap();
    let expected = names(&[
        ".well-known/oauth-authorization-server/dex",
        "dex/.well-known/jwks.json",
        "dex/.well-known/oauth-authorization-server",
        "dex/.well-known/openid-configuration",
        "dex/keys",
        "index.html",
    ]);
    // The second run finds its own files there.
    for _ in 0..2 {
        let published = site.run(&["publish", "--out", "www"]).exits(0);
        assert_eq!(files(&www), expected, "{published:?}");
        let told: BTreeSet<PathBuf> = told(&published).into_iter().map(|told| told.file).collect();
        assert_eq!(told.len(), 5, "{published:?}");
        for file in told {
            let path = site.folder().join(&file);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o644, "{file:?}");
            let text = fs::read_to_string(path).unwrap();
            for (_, secret) in private_members(keys()) {
                assert!(!text.contains(&secret), "{file:?}");
            }
        }
        assert_eq!(fs::read_to_string(www.join("index.html")).unwrap(), "mine");
    }
    let set: Value = serde_json::from_str(&site.read("www/dex/keys")).unwrap();
    let kids: Vec<_> = set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["kid"])
        .collect();
    assert_eq!(kids, ["rsa-1", "ec-1"]);
}

#[test]
fn an_interrupted_reader_never_sees_half_a_file() {
    let site = offline("\"https://h\"");
    site.run(&["publish", "--out", "www"]).exits(0);
    let path = site.folder().join("www/.well-known/jwks.json");
    // Who has it open keeps the old one whole: the new one is another file.
    let mut reader = fs::File::open(&path).unwrap();
    let before = fs::read(&path).unwrap();
    site.write(
        "jwks.json",
        &json!({ "keys": [keys()["keys"][0]] }).to_string(),
    );
    site.run(&["publish", "--out", "www"]).exits(0);
    let mut held = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut held).unwrap();
    assert_eq!(held, before);
    assert_ne!(fs::read(&path).unwrap(), before);
}

#[test]
fn several_issuers_share_the_folder_of_their_host() {
    let root = [
        ".well-known/jwks.json",
        ".well-known/oauth-authorization-server",
        ".well-known/openid-configuration",
        "keys",
    ];
    let below = |folder: &str| root.map(|name| format!("{folder}/{name}"));
    let inserted =
        |host: &str, path: &str| format!("{host}.well-known/oauth-authorization-server/{path}");
    for (issuers, expected, says) in [
        (
            r#"["https://h/a", "https://H/b/"]"#,
            [
                &below("a")[..],
                &below("b"),
                &[inserted("", "a"), inserted("", "b")],
            ]
            .concat(),
            "www is the web root of h.",
        ),
        (
            r#"["https://h", "https://i:8443/b"]"#,
            [
                &below("h")[..],
                &below("i:8443/b"),
                &[inserted("i:8443/", "b")],
            ]
            .concat(),
            "the host that it is named after",
        ),
    ] {
        let site = offline(issuers);
        let published = site.run(&["publish", "--out", "www"]).exits(0);
        let expected: BTreeSet<String> = expected.into_iter().collect();
        assert_eq!(files(&site.folder().join("www")), expected, "{issuers}");
        assert!(published.stdout.contains(says), "{published:?}");
        assert!(!published.stderr.contains("left out"), "{published:?}");
    }
}

#[test]
fn a_name_that_would_be_file_and_folder_goes_to_the_document_that_matters_more() {
    let everything = [
        ".well-known/jwks.json",
        ".well-known/openid-configuration",
        "PATH/.well-known/jwks.json",
        "PATH/.well-known/openid-configuration",
    ];
    for (path, missing) in [
        (
            "dex",
            "https://h/.well-known/oauth-authorization-server/dex",
        ),
        ("keys", "https://h/keys"),
    ] {
        let site = offline(&format!("[\"https://h\", \"https://h/{path}\"]"));
        let published = site.run(&["publish", "--out", "www"]).exits(0);
        let found = files(&site.folder().join("www"));
        for name in everything.map(|name| name.replace("PATH", path)) {
            assert!(found.contains(&name), "{name} is not in {found:?}");
        }
        assert!(told(&published).iter().all(|told| told.url != missing));
        published.complains(&["warning", &format!("{missing} is left out")]);
    }
}

#[test]
fn what_has_no_place_among_files_is_a_config_error() {
    for (issuer, words) in [
        ("\"from-request\"", "write the public URL"),
        ("\"https://h/a%20b\"", "plain path"),
        ("\"https://h//a\"", "plain path"),
        (r#"["https://h", "http://h"]"#, "remove one"),
        (
            r#"["https://h", "https://h/.well-known/jwks.json"]"#,
            "names it alone",
        ),
    ] {
        let site = offline(issuer);
        let published = site.run(&["publish", "--out", "www"]).exits(64);
        assert!(!site.folder().join("www").exists(), "{issuer}");
        published.complains(&["error", words]);
    }
    // Any other error of the configuration is one here, too.
    let site = offline("\"https://h\"");
    site.write("jwks.json", "{}");
    site.run(&["publish", "--out", "www"])
        .exits(64)
        .complains(&["keys.file"]);
    site.run(&["publish"]).exits(64);
}

#[test]
fn what_is_in_the_way_is_named_and_kept() {
    let site = offline("\"https://h\"");
    site.write("www", "a file");
    site.run(&["publish", "--out", "www"])
        .exits(1)
        .complains(&["www/.well-known/jwks.json"]);
    assert_eq!(site.read("www"), "a file");
    fs::create_dir_all(site.folder().join("web/keys/of-the-house")).unwrap();
    site.run(&["publish", "--out", "web"])
        .exits(1)
        .complains(&["web/keys"]);
    assert!(site.folder().join("web/keys/of-the-house").is_dir());
    assert!(
        files(&site.folder().join("web"))
            .iter()
            .all(|name| !name.contains(".remint-"))
    );
}
