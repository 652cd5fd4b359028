//! `remint keys`: making, listing and publishing keys, and never showing a private one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::bench::http::{get, post};
use crate::bench::process::{Finished, run};
use crate::bench::site::{Site, config, connector, generate, keys, private_members, set_mode};
use crate::bench::upstream::{Upstream, encode, part};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn jwks(text: &str) -> Vec<Value> {
    let set: Value = serde_json::from_str(text).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// RFC 7638 §3, worked out here.
fn thumbprint(key: &Value) -> String {
    let members = match key["kty"].as_str().unwrap() {
        "EC" => format!(
            r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#,
            key["crv"], key["x"], key["y"]
        ),
        _ => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, key["e"], key["n"]),
    };
    encode(digest(&SHA256, members.as_bytes()))
}

/// No private member of `set` stands in anything that was printed.
fn hides(set: &Value, run: &Finished) {
    let members = private_members(set);
    assert!(!members.is_empty());
    for (name, value) in members {
        assert!(!run.stdout.contains(&value), "{name} in {run:#?}");
        assert!(!run.stderr.contains(&value), "{name} in {run:#?}");
    }
}

#[test]
fn generate_creates_a_private_file_and_adds_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let made: Vec<Finished> = ["ES256", "rs256", "ES256"]
        .map(|alg| run(folder.path(), &["keys", "generate", "--alg", alg]).exits(0))
        .into();
    assert_eq!(mode(&path), 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let entries = jwks(&text);
    assert_eq!(entries.len(), 3);
    for ((entry, run), alg) in entries.iter().zip(&made).zip(["ES256", "RS256", "ES256"]) {
        assert_eq!(entry["alg"], alg);
        assert_eq!(entry["use"], "sig");
        assert_eq!(entry["kid"], thumbprint(entry));
        assert_eq!(run.stdout, format!("{}\n", entry["kid"].as_str().unwrap()));
        hides(&json!({ "keys": entries }), run);
    }
    // Nothing but the file is left, and a group's right to read it stays.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    set_mode(&path, 0o640);
    let named = [
        "keys",
        "generate",
        "--alg",
        "ES256",
        "--kid",
        "mine",
        "--file",
        "jwks.json",
    ];
    assert_eq!(run(folder.path(), &named).exits(0).stdout, "mine\n");
    assert_eq!(mode(&path), 0o640);
    assert_eq!(
        jwks(&std::fs::read_to_string(&path).unwrap())[3]["kid"],
        "mine"
    );
}

#[test]
fn the_config_names_the_file() {
    let text = config(
        "https://sts.example.com",
        &connector("a", "https://a.example.com"),
    );
    let text = text.replace("[server]", "[keys]\nfile = \"secret/own.json\"\n[server]");
    let site = Site::without_keys(&text);
    std::fs::create_dir(site.folder().join("secret")).unwrap();
    let args = ["--alg", "ES256", "--kid", "k", "--config", "site.toml"];
    let generate = [&["keys", "generate"][..], &args].concat();
    site.run(&generate).exits(0);
    assert_eq!(jwks(&site.read("secret/own.json"))[0]["kid"], "k");
    let list = site
        .run(&["keys", "list", "--config", "site.toml"])
        .exits(0);
    assert!(list.stdout.contains('k'), "{list:#?}");
    site.run(&["keys", "list"])
        .exits(64)
        .complains(&["jwks.json"]);
}

#[test]
fn what_cannot_be_added_to_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let generate = ["keys", "generate", "--alg", "ES256", "--kid", "ec-1"];
    let taken = keys().to_string();
    for (before, words) in [
        (taken.as_str(), "\"ec-1\" already"),
        ("not json", "not a JWKS"),
        ("[]", "not a JWKS"),
        ("{\"keys\": {}}", "not a JWKS"),
        ("", "not a JWKS"),
    ] {
        std::fs::write(&path, before).unwrap();
        let run = run(folder.path(), &generate).exits(1).complains(&[words]);
        assert_eq!(run.stdout, "");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    }
    let empty = ["keys", "generate", "--alg", "ES256", "--kid", ""];
    run(folder.path(), &empty).exits(1).complains(&["--kid"]);
    let away = [
        "keys",
        "generate",
        "--alg",
        "ES256",
        "--file",
        "no/such/jwks.json",
    ];
    run(folder.path(), &away)
        .exits(1)
        .complains(&["no/such/jwks.json"]);
}

#[test]
fn list_says_what_each_key_does() {
    let mut set = keys().clone();
    let spare = generate("ES256", "ec-2");
    set["keys"].as_array_mut().unwrap().push(spare);
    let site = Site::without_keys("");
    site.write("jwks.json", &set.to_string());
    site.close("jwks.json");
    let run = site.run(&["keys", "list", "--format", "json"]).exits(0);
    assert_eq!(run.stderr, "");
    let rows: Value = serde_json::from_str(&run.stdout).unwrap();
    let rows = rows.as_array().unwrap();
    let expected = [
        ("rsa-1", "RS256", "signing"),
        ("ec-1", "ES256", "signing"),
        ("ec-2", "ES256", "retiring"),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (kid, alg, state)) in rows.iter().zip(expected) {
        assert_eq!(
            *row,
            json!({ "kid": kid, "alg": alg, "state": state, "signs_from": null,
                    "signs_until": null, "published_until": null })
        );
    }
    let text = site.run(&["keys", "list"]).exits(0);
    for kid in ["rsa-1", "ec-1", "ec-2"] {
        assert!(text.stdout.contains(kid), "{text:#?}");
    }
    hides(&set, &run);
    hides(&set, &text);
}

#[test]
fn public_has_exactly_the_public_members() {
    let site = Site::without_keys("");
    let mut set = keys().clone();
    // Members that have no business in a published set, and keys that are not for signing.
    set["keys"][0]["x-note"] = "internal".into();
    set["keys"][0]["k"] = "c2VjcmV0LW9jdGV0cw".into();
    let others = [
        json!({ "kty": "oct", "kid": "hmac", "k": "dG9wLXNlY3JldC1rZXk" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AA", "d": "ZWQtc2VjcmV0" }),
    ];
    set["keys"].as_array_mut().unwrap().extend(others);
    site.write("jwks.json", &set.to_string());
    site.close("jwks.json");
    let run = site.run(&["keys", "public"]).exits(0);
    let run = run.complains(&["\"hmac\"", "\"ed\""]);
    hides(&set, &run);
    let public = jwks(&run.stdout);
    assert_eq!(public.len(), 2);
    for (key, members) in public.iter().zip([
        &["kty", "use", "alg", "kid", "n", "e"][..],
        &["kty", "use", "alg", "kid", "crv", "x", "y"],
    ]) {
        let mut found: Vec<_> = key.as_object().unwrap().keys().collect();
        let mut members = members.to_vec();
        found.sort_unstable();
        members.sort_unstable();
        assert_eq!(found, members);
    }
}

#[test]
fn a_file_that_others_can_read_is_warned_about() {
    let site = Site::new("");
    let path = site.folder().join("jwks.json");
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        set_mode(&path, mode);
        for command in ["list", "public"] {
            let run = site.run(&["keys", command]).exits(0);
            let found = run.stderr.contains("warning: keys.file: everybody");
            assert_eq!(found, warned, "{mode:o} {run:#?}");
        }
    }
}

#[test]
fn a_missing_or_broken_file_exits_64() {
    let site = Site::without_keys("");
    site.run(&["keys", "list"])
        .exits(64)
        .complains(&["keys generate"]);
    for broken in ["{", "[]", "{\"keys\":[]}"] {
        site.write("jwks.json", broken);
        let run = site.run(&["keys", "public"]).exits(64);
        assert_eq!(run.stdout, "", "{run:#?}");
    }
}

#[test]
fn of_keys_that_share_a_kid_the_first_signs_and_is_published() {
    let (first, second) = (generate("ES256", "twin"), generate("ES256", "twin"));
    let set = json!({ "keys": [keys()["keys"][0], first, second] });
    let upstream = Upstream::start();
    let site = Site::trusting(upstream.url());
    site.write("jwks.json", &set.to_string());
    let run = site.run(&["keys", "public"]).exits(0);
    let run = run.complains(&[
        "warning: keys.file: ",
        "\"twin\"",
        "neither used nor published",
    ]);
    assert_eq!(run.stderr.matches("shares its kid").count(), 1, "{run:#?}");
    hides(&set, &run);
    let check = site.run(&["check", "--format", "json"]).exits(0);
    assert!(check.stdout.contains("shares its kid"), "{check:#?}");

    let remint = site.serve();
    remint.stderr.line("shares its kid");
    let served = get(&remint.origin(), "/.well-known/jwks.json");
    assert_eq!(jwks(&served.body), jwks(&run.stdout));
    let published = jwks(&served.body);
    assert_eq!(published.len(), 2);
    assert_eq!(published[1]["x"], first["x"]);
    assert!(!served.body.contains(second["x"].as_str().unwrap()));
    let body = json!({ "token": upstream.token(&json!({})), "alg": "ES256" }).to_string();
    let token = post(&remint.origin(), "application/json", &body).body;
    assert_eq!(part(&token, 0)["kid"], "twin");
    assert!(is_signed_by(&token, &first));
    assert!(!is_signed_by(&token, &second));
    remint.stop();
}

fn is_signed_by(token: &str, key: &Value) -> bool {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let mut point = vec![4];
    point.extend(bytes(key["x"].as_str().unwrap()));
    point.extend(bytes(key["y"].as_str().unwrap()));
    let (input, signature) = token.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &bytes(signature))
        .is_ok()
}

/// The documented key file of oidc-token-proxy, whose users come with theirs.
#[test]
fn the_key_file_of_the_peer_loads_where_its_page_is_at_hand() {
    let page = "/work/shared/reference/seeds/004_48baf6dccd7bbbee.txt";
    let Ok(page) = std::fs::read_to_string(page) else {
        // The page belongs to its project and is not copied into this one.
        return;
    };
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let set: Value = serde_json::from_str(text).unwrap();
    let site = Site::without_keys("");
    site.write("jwks.json", text);
    let run = site.run(&["keys", "public"]).exits(0);
    let kid = set["keys"][1]["kid"].as_str().unwrap();
    let run = run.complains(&[kid, "shares its kid"]);
    hides(&set, &run);
    let public = jwks(&run.stdout);
    assert_eq!(public.len(), 2);
    assert_eq!(public[0]["n"], set["keys"][0]["n"]);
    assert_eq!(public[1]["x"], set["keys"][1]["x"]);
}
