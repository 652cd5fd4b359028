//! The examples besides the two CI systems: a sidecar on a socket, a client of its own, a container.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::running::{demo, serve, serve_as_configured};
use super::world::get;
use super::{REMINT, bash, block, claims, page, readme, site, swap, text};

#[test]
fn the_sidecar_turns_either_token_into_the_one_that_the_service_knows() {
    const SOCKET: &str = "/run/remint/remint.sock";
    let (_demo, _, [_, practice]) = demo();
    let toml = block("docs/sidecar.md", "toml", "unix:");
    let toml = swap(
        &toml,
        "https://gitlab.example.com",
        &format!("{practice}/gitlab"),
    );
    let toml = swap(
        &toml,
        "https://token.actions.githubusercontent.com",
        &format!("{practice}/github"),
    );
    let folder = site(&swap(&toml, SOCKET, "remint.sock"));
    let _remint = serve_as_configured(folder.path());

    let lines = block("docs/sidecar.md", "sh", "--unix-socket");
    let lines = swap(&lines, SOCKET, "remint.sock");
    for (kind, subject) in [
        (
            "gitlab",
            "gitlab:project_path:acme/shop:ref_type:branch:ref:main",
        ),
        (
            "github",
            "github:repo:acme@123456/shop@456789:ref:refs/heads/main",
        ),
    ] {
        let held = get(
            &practice,
            &format!("/token?kind={kind}&aud=https://orders.example.com"),
        );
        let ran = bash(
            &format!("set -u\n{lines}echo \"$NEW\"\n"),
            folder.path(),
            &[("TOKEN", &held)],
        );
        assert!(ran.status.success(), "{}", text(&ran));
        let out = String::from_utf8(ran.stdout).unwrap();
        let (keys, new) = out.trim().rsplit_once('\n').unwrap();
        let new = claims(new);
        assert_eq!(new["aud"], "orders");
        assert_eq!(new["sub"], subject);
        assert_eq!(new["project"], "acme/shop");
        let keys: Value = serde_json::from_str(keys).unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    }

    let health = block("docs/sidecar.md", "sh", "remint health");
    let ran = bash(&health, folder.path(), &[]);
    assert_eq!(text(&ran), "ok\n");
    assert!(ran.status.success());
}

#[test]
fn a_client_gets_a_token_for_itself() {
    let toml = readme("toml", "refs/heads/main") + &block("docs/clients.md", "toml", "[[clients]]");
    let folder = site(&toml);
    fs::write(folder.path().join("reports.secret"), "s3cret/+ %").unwrap();
    let (_remint, origin) = serve(folder.path());
    let line = block("docs/clients.md", "sh", "client_credentials");
    let line = swap(
        &line,
        "https://sts.example.com/token",
        &format!("{origin}/token"),
    );
    let ran = bash(&line, folder.path(), &[("SECRET", "s3cret/+ %")]);
    assert!(ran.status.success(), "{}", text(&ran));
    let new = claims(&String::from_utf8(ran.stdout).unwrap());
    assert_eq!(new["sub"], "reports");
    assert_eq!(new["aud"], "https://internal.example.com");
}

#[test]
fn what_is_published_is_what_the_server_says() {
    let folder = site(&readme("toml", "jwks_uri ="));
    let ran = bash(
        &block("docs/publish.md", "sh", "remint publish"),
        folder.path(),
        &[],
    );
    assert!(ran.status.success(), "{}", text(&ran));
    let (_remint, origin) = serve(folder.path());
    for path in [".well-known/openid-configuration", ".well-known/jwks.json"] {
        let file = fs::read_to_string(folder.path().join("public").join(path)).unwrap();
        assert_eq!(get(&origin, &format!("/{path}")), file);
    }
}

/// A container engine is not at hand in tests, so what the file runs is read from it.
#[test]
fn what_the_container_runs_are_commands_of_remint() {
    let file = page("Containerfile");
    let instruction = |name: &str| {
        let joined = file.replace("\\\n", " ");
        let mut found = joined.lines().filter(|line| line.starts_with(name));
        let line = found
            .next()
            .unwrap_or_else(|| panic!("no {name}"))
            .to_owned();
        assert!(found.next().is_none(), "{name} stands twice");
        line
    };
    let exec = |name: &str| -> Vec<String> {
        let line = instruction(name);
        // The exec form is JSON: no shell is needed.
        serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
    };
    assert!(
        !file.contains("\nENV "),
        "a variable would override the file silently"
    );
    assert_eq!(instruction("USER "), "USER 65532:65532");
    let remint = exec("ENTRYPOINT ");
    let health = exec("HEALTHCHECK ");
    assert_eq!(remint, health[..1]);
    assert!(
        file.contains(&format!(" {}\n", remint[0])),
        "{remint:?} is not copied there"
    );
    for (arguments, serves) in [(&exec("CMD ")[..], true), (&health[1..], false)] {
        let ran = Command::new(REMINT).args(arguments).output().unwrap();
        // The configuration is not there; that it is looked for shows that the words are right. Health goes on without.
        assert_eq!(ran.status.code() == Some(64), serves);
        assert!(
            text(&ran).contains("/etc/remint/site.toml"),
            "{}",
            text(&ran)
        );
    }
}
