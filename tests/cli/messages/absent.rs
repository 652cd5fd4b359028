//! Files and folders that are not there: which one, and how to begin.

use std::fs;

use super::{GOOD, check, only};
use crate::bench::site::Site;

#[test]
fn without_a_configuration_it_says_how_to_begin() {
    let site = Site::new(GOOD);
    fs::remove_file(site.folder().join("site.toml")).unwrap();
    for (command, stream) in [("check", 0), ("serve", 1)] {
        let run = site.run(&[command]).exits(64);
        let printed = [&run.stdout, &run.stderr][stream];
        for words in [
            "error: site.toml: cannot be read: there is no such file",
            "`remint demo`",
            "site.example.toml",
            "--config",
        ] {
            assert!(printed.contains(words), "{words:?} is not in {run:#?}");
        }
    }
    let run = site.run(&["check", "--config", "a/b/site.toml"]).exits(64);
    let words = "error: a/b/site.toml: cannot be read: the folder a/b does not exist (nor does a)";
    assert!(run.stdout.contains(words), "{run:#?}");
    let run = site.run(&["check", "--config", "site.ini"]).exits(64);
    let words = ".json; an INI file such as oidc-token-proxy's is written anew as TOML";
    assert!(run.stdout.contains(words), "{run:#?}");
    let run = site
        .run(&["check", "--config", "jwks.json/site.toml"])
        .exits(64);
    let words = "jwks.json is a file, not a folder";
    assert!(run.stdout.contains(words), "{run:#?}");
}

#[test]
fn an_error_names_the_folder_that_is_missing() {
    let client = |lines: &str| format!("[[clients]]\nid = \"app\"\n{lines}\n");
    for (lines, words) in [
        (
            "[keys]\nfile = \"a/b/own.json\"".to_owned(),
            vec![
                "keys.file: cannot read a/b/own.json: the folder a/b does not exist (nor does a)",
                "`mkdir -p a/b`",
            ],
        ),
        (
            "[keys]\nfile = \"site.toml/own.json\"".to_owned(),
            vec!["keys.file: cannot read site.toml/own.json: site.toml is a file, not a folder"],
        ),
        (
            client("secret_file = \"secrets/app\""),
            vec![
                "clients[0].secret_file: cannot read secrets/app: the folder secrets does not exist",
            ],
        ),
        (
            "ca_file = \"ca/root.pem\"".to_owned(),
            vec!["connectors[0].ca_file: ca/root.pem cannot be read: the folder ca does not exist"],
        ),
        (
            "[server.tls]\ncert_file = \"tls/cert.pem\"\nkey_file = \"jwks.json\"".to_owned(),
            vec![
                "server.tls.cert_file: tls/cert.pem cannot be read: the folder tls does not exist",
            ],
        ),
    ] {
        // The key of TLS is no PEM, which is another finding.
        let text = format!("{GOOD}{lines}\n");
        let found = super::errors("site.toml", &text);
        let error = found.iter().find(|error| error.contains(words[0]));
        let error = error.unwrap_or_else(|| panic!("{words:?} is not in {found:#?}"));
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn a_warning_names_the_folder_that_is_missing() {
    for (text, words) in [
        (
            GOOD.replace("[server]", "[server]\nstate_dir = \"var/lib/remint\""),
            "server.state_dir: the folder var/lib/remint does not exist (nor does var): create it for the user",
        ),
        (
            format!("{GOOD}jwks_file = \"keys/gitlab.json\"\n"),
            "connectors[0].jwks_file: keys/gitlab.json cannot be read: the folder keys does not exist",
        ),
        (
            format!("{GOOD}jwks_file = \"gitlab.json\"\n"),
            "connectors[0].jwks_file: gitlab.json cannot be read: there is no such file",
        ),
        (
            format!("{GOOD}bearer_file = \"run/token\"\n"),
            "connectors[0].bearer_file: run/token cannot be read: the folder run does not exist",
        ),
    ] {
        let run = check(&Site::new(&text), 0);
        let warning = run.stdout.lines().find(|line| line.contains(words));
        assert!(
            warning.is_some_and(|line| line.starts_with("warning: site.toml:")),
            "{words} is not in {run:#?}"
        );
    }
}

#[test]
fn a_unix_socket_and_a_folder_to_publish_to_name_what_is_in_the_way() {
    let text = GOOD.replace("127.0.0.1:0", "unix:run/remint/main.sock");
    let site = Site::new(&text);
    let run = site.run(&["serve"]).exits(1);
    let words = "the folder run/remint does not exist (nor does run): create it";
    assert!(run.stderr.contains(words), "{run:#?}");
    let run = site.run(&["publish", "--out", "site.toml/web"]).exits(1);
    let words = "site.toml is a file, not a folder";
    assert!(run.stderr.contains(words), "{run:#?}");
}

#[test]
fn a_link_to_nothing_is_told_from_a_file_that_is_not_there() {
    let site = Site::new(GOOD);
    std::os::unix::fs::symlink("gone.toml", site.folder().join("link.toml")).unwrap();
    let run = site.run(&["check", "--config", "link.toml"]).exits(64);
    let words = "it is a link to gone.toml, which does not exist";
    assert!(run.stdout.contains(words), "{run:#?}");
    only(
        "site.toml",
        &format!("{GOOD}[keys]\nfile = \"no.json\"\n"),
        &[
            "there is no such file",
            "`remint keys generate --alg RS256 --file no.json`",
        ],
    );
}
