//! What the pages say is so: their configurations load, their commands run, their files exist.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail"
)]

mod migrating;
mod more_sites;
mod running;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use running::{demo, serve};
use support::authority::Authority;
use world::{World, get};

const REMINT: &str = env!("CARGO_BIN_EXE_remint");

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of a page in one language, without the indentation of a list that they are in.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(indentation) = line.strip_suffix(&open) else {
            continue;
        };
        let close = format!("{indentation}```");
        let inside = lines.by_ref().take_while(|line| *line != close);
        let inside = inside.map(|line| line.strip_prefix(indentation).unwrap_or(line));
        blocks.push(inside.flat_map(|line| [line, "\n"]).collect());
    }
    blocks
}

/// The one block of the README in `language` that holds `words`.
fn readme(language: &str, words: &str) -> String {
    block("README.md", language, words)
}

/// The one block of a page in `language` that holds `words`.
fn block(name: &str, language: &str, words: &str) -> String {
    let found = blocks(&page(name), language);
    let mut found = found.into_iter().filter(|block| block.contains(words));
    let block = found
        .next()
        .unwrap_or_else(|| panic!("no block of {name} has {words:?}"));
    assert!(
        found.next().is_none(),
        "several blocks of {name} have {words:?}"
    );
    block
}

/// A block that replaces text must find it, else it tests something else than the page says.
fn swap(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old:?} is not in {text}");
    text.replace(old, new)
}

/// A folder with a key file and this configuration, made as the README says.
fn site(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.toml"), toml).unwrap();
    let command = readme("sh", "remint keys generate");
    let made = bash(&command, folder.path(), &[]);
    assert!(made.status.success(), "{}", text(&made));
    folder
}

/// Runs a script as CI systems do, with `remint` and the shims of `folder/bin` at hand.
fn bash(script: &str, folder: &Path, environment: &[(&str, &str)]) -> Output {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let remint = bin.join("remint");
    if !remint.exists() {
        std::os::unix::fs::symlink(REMINT, remint).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    Command::new("bash")
        .args(["-eo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("NO_PROXY", "127.0.0.1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn claims(token: &str) -> Value {
    let part = token.trim().split('.').nth(1);
    let part = part.unwrap_or_else(|| panic!("{token:?} is no token"));
    let json = remint::jose::base64url::decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn yaml(text: &str) -> Value {
    let source = config::File::from_str(text, config::FileFormat::Yaml);
    let read = config::Config::builder().add_source(source).build();
    read.unwrap().try_deserialize().unwrap()
}

fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, mode).unwrap();
}

#[test]
fn every_site_of_the_pages_passes_check_without_a_warning() {
    let sites = [page("README.md"), page("docs/sidecar.md")];
    let sites = sites.iter().flat_map(|page| blocks(page, "toml"));
    let mut sites: Vec<_> = sites.filter(|toml| toml.starts_with("issuer =")).collect();
    assert_eq!(sites.len(), 3);
    let tls = readme("toml", "[server.tls]");
    sites.push(readme("toml", "jwks_uri =") + &swap(&tls, "/etc/remint/", ""));
    let signed = Authority::new("ca").sign();
    for toml in sites {
        let folder = site(&toml);
        fs::write(folder.path().join("fullchain.pem"), &signed.chain).unwrap();
        fs::write(folder.path().join("privkey.pem"), &signed.key).unwrap();
        let checked = bash("remint check --config site.toml", folder.path(), &[]);
        assert_eq!(checked.status.code(), Some(0), "{toml}\n{}", text(&checked));
        let last = text(&checked).lines().last().unwrap().to_owned();
        assert_eq!(last, "0 errors, 0 warnings", "{toml}\n{}", text(&checked));
    }
}

#[test]
fn the_lines_to_try_are_those_of_the_demo_and_work() {
    let (_demo, printed, [origin, practice]) = demo();
    let lines = readme("sh", "kind=gitlab");
    let lines = swap(&lines, "http://127.0.0.1:8080", &origin);
    let lines = swap(&lines, "http://127.0.0.1:8081", &practice);
    assert!(
        printed.contains(lines.trim_end()),
        "{lines}\nare not in\n{printed}"
    );
    // All that the demo prints works, those of the README among them.
    let (_, all) = printed.split_once("# 1. ").unwrap();
    let (all, _) = all.rsplit_once("Ctrl-C ends it").unwrap();
    let folder = tempfile::tempdir().unwrap();
    // They are for an interactive shell, which goes on where `base64` misses its padding.
    let ran = bash(&format!("set +e\n# {all}"), folder.path(), &[]);
    let out = String::from_utf8(ran.stdout).unwrap();
    let [read, exchanged, bare, refused, metadata, jwks] =
        out.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(
        read.contains(r#""sub":"gitlab:project_path:acme/shop:"#),
        "{read}"
    );
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let new = claims(json(exchanged)["access_token"].as_str().unwrap());
    assert_eq!(new["aud"], "https://vault.example.com");
    assert_eq!(claims(bare)["aud"], "https://internal.example.com");
    assert_eq!(json(refused)["reason"], "condition_false");
    assert_eq!(json(metadata)["issuer"], origin);
    assert_eq!(json(jwks)["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn the_gitlab_job_gets_the_token_that_the_trust_policy_expects() {
    let (_demo, _, [_, practice]) = demo();
    let toml = readme("toml", "jwks_uri =");
    let toml = swap(
        &toml,
        "https://gitlab.example.com/oauth/discovery/keys",
        &format!("{practice}/jwks"),
    );
    let folder = site(&swap(
        &toml,
        "https://gitlab.example.com",
        &format!("{practice}/gitlab"),
    ));
    let (_remint, origin) = serve(folder.path());

    let job = yaml(&readme("yaml", "id_tokens:"))["deploy"].take();
    let aud = job["id_tokens"]["REMINT_ID_TOKEN"]["aud"].as_str().unwrap();
    let held = get(&practice, &format!("/token?kind=gitlab&aud={aud}"));
    let lines: Vec<_> = job["script"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let script = swap(
        &lines.join("\n"),
        "https://sts.example.com/token",
        &format!("{origin}/token"),
    );
    // Stands for the AWS tools, which find the token by this variable.
    executable(
        &folder.path().join("bin/aws"),
        "#!/bin/sh\necho \"$*\"; cat \"$AWS_WEB_IDENTITY_TOKEN_FILE\"\n",
    );
    assert!(job["variables"]["AWS_WEB_IDENTITY_TOKEN_FILE"].is_string());
    let file = folder.path().join("aws-token");
    let environment = [
        ("REMINT_ID_TOKEN", held.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let ran = bash(&script, folder.path(), &environment);
    assert!(ran.status.success(), "{}", text(&ran));
    let out = String::from_utf8(ran.stdout).unwrap();
    let token = out.strip_prefix("sts get-caller-identity\n").unwrap();

    let trust: Value = serde_json::from_str(&readme("json", "AssumeRoleWithWebIdentity")).unwrap();
    let wanted = &trust["Statement"][0]["Condition"]["StringEquals"];
    let new = claims(token);
    let issuer = new["iss"]
        .as_str()
        .unwrap()
        .strip_prefix("https://")
        .unwrap();
    for claim in ["aud", "sub"] {
        assert_eq!(wanted[format!("{issuer}:{claim}")], new[claim], "{new}");
    }
    let provider = readme("sh", "create-open-id-connect-provider");
    assert!(provider.contains(&format!(
        "--client-id-list {}\n",
        new["aud"].as_str().unwrap()
    )));

    // A refused job fails, and its log says why.
    let held = get(
        &practice,
        &format!("/token?kind=gitlab&aud={aud}&ref_protected=false"),
    );
    let ran = bash(&script, folder.path(), &[("REMINT_ID_TOKEN", &held)]);
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran));
    assert!(
        text(&ran).contains("claims.ref_protected == 'true'"),
        "{}",
        text(&ran)
    );
}

#[test]
fn each_step_of_the_github_workflow_works() {
    let (_demo, _, [_, practice]) = demo();
    let toml = readme("toml", "refs/heads/main");
    let folder = site(&swap(
        &toml,
        "https://token.actions.githubusercontent.com",
        &format!("{practice}/github"),
    ));
    let (_remint, origin) = serve(folder.path());

    let workflow = yaml(&readme("yaml", "id-token: write"));
    assert_eq!(workflow["permissions"]["id-token"], "write");
    let steps = workflow["jobs"]["deploy"]["steps"].as_array().unwrap();
    let targets = ["https://internal.example.com", "https://vault.example.com"];
    assert_eq!(steps.len(), targets.len());
    for (step, target) in steps.iter().zip(targets) {
        let held = get(&practice, "/token?kind=github&aud=https://sts.example.com");
        let world = World::answering(serde_json::json!({ "value": held }).to_string());
        let script = step["run"].as_str().unwrap();
        let script = swap(
            script,
            "https://sts.example.com/token",
            &format!("{origin}/token"),
        );
        let script = swap(
            &script,
            &format!("{target}/"),
            &format!("{}/", world.origin),
        );
        let url = format!("{}/oidc?api-version=2.0", world.origin);
        let environment = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ];
        let ran = bash(&script, folder.path(), &environment);
        assert!(ran.status.success(), "{}", text(&ran));
        let [asked, used] = world.requests().try_into().unwrap();
        assert!(
            asked.starts_with("GET /oidc?api-version=2.0&audience=https://sts.example.com "),
            "{asked}"
        );
        assert!(
            asked
                .to_ascii_lowercase()
                .contains("authorization: bearer job\r\n"),
            "{asked}"
        );
        let out = String::from_utf8(ran.stdout).unwrap();
        let token = out
            .lines()
            .next()
            .unwrap()
            .strip_prefix("::add-mask::")
            .unwrap();
        assert!(used.contains(token), "{used}");
        let new = claims(token);
        assert_eq!(new["aud"], target);
        assert_eq!(
            new["sub"],
            "github:repo:acme@123456/shop@456789:ref:refs/heads/main"
        );
    }
}

#[test]
fn the_files_that_the_pages_name_exist() {
    let entries = |folder: &Path| fs::read_dir(folder).unwrap();
    let pages = entries(root()).chain(entries(&root().join("docs")));
    let pages: Vec<PathBuf> = pages
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    assert!(pages.len() >= 7, "{pages:?}");
    let (mut links_seen, mut anchors_seen, mut files_seen) = (0, 0, 0);
    for path in pages {
        let text = fs::read_to_string(&path).unwrap();
        let check = |base: &Path, name: &str| {
            let place = path.display();
            assert!(base.join(name).exists(), "{place} names {name}");
        };
        let links = text.split("](").skip(1);
        let links = links.map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.contains("://")) {
            let (name, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match name {
                "" => path.clone(),
                name => path.parent().unwrap().join(name),
            };
            check(root(), target.to_str().unwrap());
            links_seen += 1;
            if !heading.is_empty() {
                anchors_seen += 1;
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                let place = path.display();
                assert!(
                    anchors.contains(heading),
                    "{place} names {link}: {anchors:?}"
                );
            }
        }
        let code = text.split('`').skip(1).step_by(2);
        let folders = ["src/", "tests/", "docs/", "examples/"];
        for name in code.filter(|name| folders.iter().any(|folder| name.starts_with(folder))) {
            check(root(), name);
            files_seen += 1;
        }
    }
    assert!(
        links_seen > 20 && anchors_seen > 5 && files_seen > 50,
        "{links_seen} {anchors_seen} {files_seen}"
    );
}

/// The anchors that a forge makes of the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn the_map_has_every_room() {
    let map = page("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("src"))
        .unwrap()
        .map(Result::unwrap)
    {
        let name = entry.file_name().into_string().unwrap();
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let room = format!("`src/{name}{slash}`");
        assert!(map.contains(&room), "{room} is not on the map");
    }
}
