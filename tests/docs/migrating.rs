//! What the pages for those who come from oidc-token-proxy and from Dex promise: their sites, their jobs, their curl lines.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::running::{Running, demo, serve};
use super::tables::rows;
use super::world::get;
use super::{bash, block, blocks, claims, executable, page, swap, text, yaml};

const PROXY: &str = "docs/from-oidc-token-proxy.md";
const DEX: &str = "docs/from-dex.md";

/// The kids of the example keys of oidc-token-proxy.
const KEYS: [(&str, &str); 2] = [
    ("RS256", "23c017d1-dc52-4ec2-99f7-8cd109efdc81"),
    ("ES256", "7695e425-1109-4ee2-ac1f-dc3d6ed9fe94"),
];

/// A folder with this configuration, and keys with the kids that it may name.
fn site(toml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.toml"), toml).unwrap();
    for (alg, kid) in KEYS {
        let command = format!("remint keys generate --alg {alg} --kid {kid} --file jwks.json");
        let made = bash(&command, folder.path(), &[]);
        assert!(made.status.success(), "{}", text(&made));
    }
    folder
}

/// A server with the site of a page that holds `words`, whose upstream is the practice issuer `kind`.
fn started(name: &str, words: &str, upstream: &str, kind: &str) -> World {
    let (demo, _, [_, practice]) = demo();
    let toml = block(name, "toml", words);
    let folder = site(&swap(&toml, upstream, &format!("{practice}/{kind}")));
    let (remint, origin) = serve(folder.path());
    World {
        practice,
        origin,
        folder,
        _running: [demo, remint],
    }
}

struct World {
    practice: String,
    origin: String,
    folder: TempDir,
    _running: [Running; 2],
}

impl World {
    /// What a script of a page prints that exchanges `held` at `origin`.
    fn run(&self, script: &str, origin: &str, environment: &[(&str, &str)]) -> String {
        let script = swap(
            script,
            &format!("{origin}/token"),
            &format!("{}/token", self.origin),
        );
        let ran = bash(&script, self.folder.path(), environment);
        assert!(ran.status.success(), "{}", text(&ran));
        String::from_utf8(ran.stdout).unwrap()
    }
}

/// The claims of the access token in a reply.
fn issued(reply: &str) -> Value {
    let reply: Value = serde_json::from_str(reply).unwrap();
    let token = reply["access_token"].as_str();
    claims(token.unwrap_or_else(|| panic!("{reply}")))
}

/// The `sub` that Dex makes of a user and a connector.
fn dex_subject(user: &str, connector: &str) -> String {
    let field = |tag: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 128, "{value} takes a length of two bytes");
        [&[tag, length], value.as_bytes()].concat()
    };
    let connector = match connector {
        "" => Vec::new(),
        connector => field(0x12, connector),
    };
    remint::jose::base64url::encode([field(0x0a, user), connector].concat())
}

#[test]
fn every_site_of_the_pages_passes_check_without_a_warning() {
    let sites = [PROXY, DEX]
        .map(|name| blocks(&page(name), "toml"))
        .concat();
    assert_eq!(sites.len(), 5);
    for toml in sites {
        let folder = site(&toml);
        let checked = bash("remint check --config site.toml", folder.path(), &[]);
        let report = text(&checked);
        assert_eq!(checked.status.code(), Some(0), "{toml}\n{report}");
        assert!(
            report.ends_with("0 errors, 0 warnings\n"),
            "{toml}\n{report}"
        );
    }
}

#[test]
fn the_keys_that_the_pages_name_exist() {
    let known = remint::config::known_keys();
    let is_key = |word: &str| known.iter().any(|key| key.rsplit('.').next() == Some(word));
    let tables = [
        (PROXY, ["## Settings"].as_slice()),
        (DEX, &["## Settings", "### Connectors", "### Clients"]),
    ];
    for (name, headings) in tables {
        let page = page(name);
        for row in headings.iter().flat_map(|heading| rows(&page, heading)) {
            let words = row[1].split('`').skip(1).step_by(2);
            // Others are headings, commands, or whole lines.
            let names =
                words.filter(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            let unknown: Vec<_> = names
                .filter(|word| !is_key(word) && *word != "sub")
                .collect();
            assert!(unknown.is_empty(), "{name} names {unknown:?} in {row:?}");
        }
    }
}

#[test]
fn the_job_of_the_proxy_gets_its_token() {
    let world = started(
        PROXY,
        "gitlab.internal",
        "https://gitlab.internal",
        "gitlab",
    );
    let job = yaml(&block(PROXY, "yaml", "job_with_id_tokens"))["job_with_id_tokens"].take();
    let aud = job["id_tokens"]["PRIVATE_ID_TOKEN_FOR_AWS"]["aud"]
        .as_str()
        .unwrap();
    let held = get(&world.practice, &format!("/token?kind=gitlab&aud={aud}"));
    // Stands for the AWS tools.
    executable(
        &world.folder.path().join("bin/aws"),
        "#!/bin/sh\necho \"$*\" >> aws.log\necho one two three\n",
    );
    let lines = job["script"].as_array().unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let environment = [
        ("PRIVATE_ID_TOKEN_FOR_AWS", held.as_str()),
        ("ROLE_ARN", "arn"),
        ("CI_PROJECT_ID", "1"),
        ("CI_PIPELINE_ID", "2"),
    ];
    world.run(
        &lines.join("\n"),
        "https://oidc-proxy.example.com",
        &environment,
    );
    let log = fs::read_to_string(world.folder.path().join("aws.log")).unwrap();
    let (_, rest) = log.split_once("--web-identity-token ").unwrap();
    let new = claims(rest.split(' ').next().unwrap());
    let old = claims(&held);
    assert_eq!(new["iss"], "https://oidc-proxy.example.com");
    for name in ["aud", "sub", "exp"] {
        assert_eq!(new[name], old[name], "{name}");
    }
    let mut names: Vec<_> = new.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"]);
    assert!(log.contains("sts get-caller-identity"), "{log}");
}

#[test]
fn every_setting_of_the_proxy_together() {
    let (_demo, _, [_, practice]) = demo();
    let toml = block(PROXY, "toml", "x-custom");
    let toml = swap(
        &toml,
        "https://gitlab.com/oauth/discovery/keys",
        &format!("{practice}/jwks"),
    );
    let folder = site(&swap(
        &toml,
        "https://gitlab.com",
        &format!("{practice}/gitlab"),
    ));
    let (_remint, origin) = serve(folder.path());
    let held = get(
        &practice,
        "/token?kind=gitlab&aud=https://sts.amazonaws.com",
    );
    let line = format!(
        "curl -sS {origin}/token -H 'Content-Type: application/json' --data \"{{\\\"token\\\": \\\"$HELD\\\", \\\"alg\\\": \\\"ES256\\\"}}\""
    );
    let ran = bash(&line, folder.path(), &[("HELD", &held)]);
    let new = String::from_utf8(ran.stdout).unwrap();
    let header = new.split('.').next().unwrap();
    let header: Value =
        serde_json::from_slice(&remint::jose::base64url::decode(header).unwrap()).unwrap();
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&json!("ES256"), &json!(KEYS[1].1))
    );
    let new = claims(&new);
    for name in ["sub", "ref", "ref_protected"] {
        assert_eq!(new[name], claims(&held)[name], "{name}");
    }
}

#[test]
fn the_exchange_of_dex() {
    let world = started(
        DEX,
        "listen = [\"127.0.0.1:8001\"]",
        "https://token.example.com",
        "gitlab",
    );
    let held = get(
        &world.practice,
        "/token?kind=gitlab&aud=https://dex.example.com",
    );
    let line = block(DEX, "sh", "connector_id=my-upstream");
    let reply = world.run(
        &line,
        "https://dex.example.com",
        &[("UPSTREAM_TOKEN", &held)],
    );
    let new = issued(&reply);
    let user = claims(&held)["sub"].as_str().unwrap().to_owned();
    assert_eq!(new["iss"], "https://dex.example.com");
    assert_eq!(new["aud"], "my-app");
    assert_eq!(new["sub"], dex_subject(&user, "my-upstream"));
    let ids = json!({"connector_id": "my-upstream", "user_id": user});
    assert_eq!(new["federated_claims"], ids);
}

#[test]
fn the_github_job_of_dex() {
    let issuer = "https://token.actions.githubusercontent.com";
    let world = started(DEX, "github-actions", issuer, "github");
    let held = get(
        &world.practice,
        "/token?kind=github&aud=https://github.com/acme",
    );
    let script = block(DEX, "sh", "$GH_TOKEN") + "echo \"$DEX_TOKEN\"\n";
    let new = world.run(&script, "http://127.0.0.1", &[("GH_TOKEN", &held)]);
    let new = claims(&new);
    assert_eq!(new["iss"], "http://127.0.0.1:5556/");
    assert_eq!(
        (&new["aud"], &new["sub"]),
        (&json!("my-app"), &claims(&held)["sub"])
    );
}

#[test]
fn clients_of_dex_that_trust_each_other_or_ask_for_themselves() {
    let world = started(DEX, "trusted_peers", "https://token.example.com", "gitlab");
    let held = get(
        &world.practice,
        "/token?kind=gitlab&aud=https://dex.example.com",
    );
    let line = block(DEX, "sh", "audience:server:client_id:cli-app");
    let reply = world.run(
        &line,
        "https://dex.example.com",
        &[("UPSTREAM_TOKEN", &held)],
    );
    let new = issued(&reply);
    assert_eq!(new["aud"], json!(["cli-app", "web-app"]));
    assert_eq!(new["azp"], "web-app");
    let line = block(DEX, "sh", "grant_type=client_credentials");
    let reply = world.run(&line, "https://dex.example.com", &[]);
    let new = issued(&reply);
    assert_eq!(new["sub"], dex_subject("my-service", ""));
    assert_eq!(
        (&new["aud"], &new["name"]),
        (&json!("my-service"), &json!("My Service"))
    );
    assert_eq!(new["groups"], json!(["ci"]));
}
