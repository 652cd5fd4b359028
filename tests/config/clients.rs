//! `[[clients]]` as a user meets it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use remint::config::Secret;
use remint::config::problems::Severity::{Error, Note, Warning};

use super::{GOOD, Run, rows};

/// A prefixed connector, so that no subject is in question, and a client that a row completes.
const CLIENT: &str = "subject_prefix = \"gitlab:\"\n[[clients]]\nid = \"app\"\n";

fn client(lines: &str) -> String {
    format!("{GOOD}{CLIENT}{lines}\n")
}

fn plain(run: Run) -> String {
    match run.clean().clients.remove(0).secret {
        Some(Secret::Plain(secret)) => secret,
        other => panic!("not a plain secret: {other:?}"),
    }
}

#[test]
fn fills_in_the_defaults() {
    let settings = Run::toml(&client("secret = \"s3cret\"")).clean();
    let client = &settings.clients[0];
    assert_eq!(
        (client.path.as_str(), client.id.as_str()),
        ("clients[0]", "app")
    );
    assert_eq!(client.name, "app");
    assert_eq!(client.grants, ["token-exchange"]);
    assert!(!client.public && client.connectors.is_none());
    assert!(client.audiences.is_empty() && client.trusted_peers.is_empty());
    assert!(client.groups.is_empty());
    assert_eq!(settings.connectors[0].require_client, None);
    assert!(Run::toml(GOOD).clean().clients.is_empty());
}

#[test]
fn reads_every_key() {
    let text = client(
        r#"
name = "My App"
public = true
grants = ["urn:ietf:params:oauth:grant-type:token-exchange", "client_credentials"]
connectors = ["gitlab"]
audiences = ["internal-api"]
trusted_peers = ["web"]
claims = { groups = ["ci", "ops"] }
[[clients]]
id = "web"
secret_hash = "$2y$04$x"
"#,
    );
    let settings = Run::toml(&text).clean();
    let client = &settings.clients[0];
    assert_eq!(client.name, "My App");
    assert!(client.public && client.secret.is_none());
    assert_eq!(client.grants, ["token-exchange", "client_credentials"]);
    assert_eq!(
        client.connectors.as_deref(),
        Some(&["gitlab".to_owned()][..])
    );
    assert_eq!(client.audiences, ["internal-api"]);
    assert_eq!(client.trusted_peers, ["web"]);
    assert_eq!(client.groups, ["ci", "ops"]);
    let hash = &settings.clients[1].secret;
    assert!(matches!(hash, Some(Secret::Hash(hash)) if hash == "$2y$04$x"));
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let text = client("secret_env = \"APP_SECRET\"");
    let environment = [("APP_SECRET", " s3cret\n")];
    assert_eq!(
        plain(Run::of("site.toml", &text, &environment)),
        " s3cret\n"
    );
    for (written, secret) in [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        (" s3cret ", " s3cret "),
        ("a\nb\n\n", "a\nb"),
    ] {
        let (run, _folder) = with_file(written, 0o640);
        assert_eq!(run.problems.iter().count(), 0, "{:#?}", run.problems);
        assert_eq!(plain(run), secret);
    }
}

#[test]
fn a_secret_file_that_is_empty_or_open_is_reported() {
    let (run, _folder) = with_file("\n", 0o600);
    run.only(Error, "clients[0].secret_file", &["is empty"], "empty");
    let (run, _folder) = with_file("s3cret", 0o644);
    run.only(Warning, "clients[0].secret_file", &["chmod o-rwx"], "open");
    let (run, _folder) = with_file(&"s".repeat(70_000), 0o600);
    run.only(Error, "clients[0].secret_file", &["64 KiB"], "large");
}

/// A run over a client whose secret stands in a file beside the configuration.
fn with_file(secret: &str, mode: u32) -> (Run, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.secret");
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let site = folder.path().join("site.toml");
    fs::write(&site, client("secret_file = \"app.secret\"")).unwrap();
    (Run::at(&site, &[]), folder)
}

#[test]
fn each_wrong_value_has_its_own_message() {
    for (lines, path, words) in rows(WRONG) {
        let environment = [("EMPTY", ""), ("BROKEN", "a\u{fffd}b"), ("GOOD", "s3cret")];
        let run = Run::of("site.toml", &client(&lines), &environment);
        run.only(Error, &format!("clients{path}"), &words, &lines);
    }
}

const WRONG: &str = r#"
                                   => [0].secret: missing | secret_file, secret_env | public = true
public = false                     => [0].secret: missing
secret = ""                        => [0].secret: an empty string
secret_hash = ""                   => [0].secret_hash: an empty string
secret_file = ""                   => [0].secret_file: an empty string
secret = 12345                     => [0].secret: found a number, expected a string
secret = "a" ;; secret_env = "GOOD" => [0].secret_env: stands beside secret | remove one
secret_env = "GOOD" ;; secret_hash = "$2b$" => [0].secret_hash: stands beside secret_env
public = true ;; secret = ""       => [0].secret: an empty string
secret_env = "NOWHERE"             => [0].secret_env: NOWHERE is not set
secret_env = "hunter2"             => [0].secret_env: the environment variable with this name is not set
secret_env = "EMPTY"               => [0].secret_env: EMPTY is empty
secret_env = "BROKEN"              => [0].secret_env: not valid UTF-8
secret_file = "nowhere"            => [0].secret_file: cannot read | nowhere
secret = "a" ;; grants = ["client-credentials"] => [0].grants[0]: did you mean "client_credentials"?
secret = "a" ;; grants = ["password"]           => [0].grants[0]: "password" | expected "token-exchange"
secret = "a" ;; connectors = ["gitlba"]         => [0].connectors[0]: did you mean "gitlab"?
secret = "a" ;; connectors = ["gitlab", "x"]    => [0].connectors[1]: [[connectors]]
secret = "a" ;; trusted_peers = ["appp"]        => [0].trusted_peers[0]: did you mean "app"?
secret = "a" ;; trusted_peers = ["other"]       => [0].trusted_peers[0]: [[clients]]
secret = "a" ;; claims = { group = ["x"] }      => [0].claims.group: did you mean `groups`?
secret = "a" ;; claims = { groups = "x" }       => [0].claims.groups: a list of strings
secret = "a" ;; secert_env = "x"                => [0].secert_env: did you mean `secret_env`?
secret = "a" ;; [[clients]] ;; id = "app" ;; public = true  => [1].id: clients[0] | its own
secret = "a" ;; [[clients]] ;; id = "a b" ;; public = true  => [1].id: visible ASCII
secret = "a" ;; [[clients]] ;; id = "" ;; public = true     => [1].id: empty string
secret = "a" ;; [[clients]] ;; public = true                => [1].id: missing
"#;

#[test]
fn a_bcrypt_hash_beside_a_secret_that_is_too_long_for_it_says_so() {
    let about_length = |length: usize, hash: &str| {
        let lines = format!("secret = {:?}\nsecret_hash = {hash:?}", "s".repeat(length));
        let run = Run::toml(&client(&lines));
        let found = run.found(Error).into_iter();
        found
            .filter(|(path, words)| {
                *path == "clients[0].secret_hash" && words.contains("first 72 bytes")
            })
            .count()
    };
    assert_eq!(about_length(73, "$2y$12$x"), 1);
    assert_eq!(about_length(72, "$2y$12$x"), 0);
    assert_eq!(about_length(73, "$argon2id$x"), 0);
}

#[test]
fn no_message_shows_a_secret() {
    for lines in [
        "secret = \"hunter2\"\nsecret_hash = \"hunter2\"",
        "secret = 12345",
        "secret = [\"hunter2\"]",
        "secret_env = \"hunter2\"",
        "secret_hash = { a = \"hunter2\" }",
        "secert = \"hunter2\"",
    ] {
        let run = Run::toml(&client(lines));
        assert!(!run.found(Error).is_empty(), "{lines}");
        for found in run.problems.iter() {
            let shown = found.to_string();
            assert!(
                !shown.contains("hunter2") && !shown.contains("12345"),
                "{shown}"
            );
        }
    }
    let secret = Secret::Plain("hunter2".to_owned());
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[test]
fn doubtful_values_are_warned_of() {
    for (lines, path, words) in rows(DOUBTFUL) {
        let run = Run::of("site.toml", &client(&lines), &[("GOOD", "s3cret")]);
        run.only(Warning, &path, &words, &lines);
        run.clean();
    }
}

const DOUBTFUL: &str = r#"
public = true ;; grants = ["token-exchange", "client_credentials"] => clients[0].grants[1]: cannot succeed
secret_env = "GOOD" ;; audiences = ["a", "*"]  => clients[0].audiences[1]: not any audience
secret_env = "GOOD" ;; trusted_peers = ["web"] ;; [[clients]] ;; id = "web" ;; public = true => clients[0].trusted_peers[0]: "web" is a public client
secret_env = "GOOD" ;; grants = ["client_credentials"] => connectors[0].require_client: every request is refused
"#;

/// Lines of a client, and who is said to grant it what a rule of `gitlab` binds.
const BOUND: &str = r#"
secret_hash = "x" => ci: through that connector only the rule grants it, but an exchange through the connector "other" can grant it
secret_hash = "x" ;; connectors = ["gitlab"] => ci: so it has no effect here: remove it
secret_hash = "x" ;; grants = ["client_credentials"] => ci: but client_credentials can grant it
secret_hash = "x" ;; grants = ["token-exchange", "client_credentials"] => ci: "other" and client_credentials can grant it
"#;

#[test]
fn an_audience_that_a_rule_binds_and_a_client_lists_is_warned_of() {
    let rule = "rules = [{ name = \"prod\", when = \"true\", targets = [\"vault\"] }]\n";
    let other = GOOD.split_once("[[connectors]]").unwrap().1;
    let other = other.replace("\"gitlab\"", "\"other\"\nsubject_prefix = \"other:\"");
    for (lines, _, words) in rows(BOUND) {
        let client = format!("{CLIENT}audiences = [\"api\", \"vault\"]\n{lines}\n");
        let run = Run::toml(&format!("{GOOD}{rule}{client}[[connectors]]{other}"));
        let found = run.found(Warning);
        let its = |(path, _): &&(&str, &str)| *path == "clients[0].audiences[1]";
        let (_, message) = found.iter().find(its).unwrap();
        assert!(message.contains("the rule \"prod\" of the connector \"gitlab\""));
        for word in words {
            assert!(message.contains(word), "{lines}: {message}");
        }
    }
}

#[test]
fn a_connector_that_no_client_may_use_is_warned_of() {
    let none = "public = true\nconnectors = []";
    let run = Run::toml(&client(none));
    let paths: Vec<_> = run.found(Warning).iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths,
        ["clients[0].connectors", "connectors[0].require_client"]
    );
    let required = |value: &str, after: &str| {
        Run::toml(&format!(
            "{GOOD}require_client = {value}\n{CLIENT}{after}\n"
        ))
    };
    assert_eq!(required("false", "secret_hash = \"x\"").found(Warning), []);
    assert_eq!(required("true", "secret_hash = \"x\"").found(Warning), []);
    let run = Run::toml(&format!("{GOOD}require_client = true\n"));
    let words = ["every request is refused", "[[clients]]"];
    run.only(Warning, "connectors[0].require_client", &words, "no client");
}

#[test]
fn a_secret_in_the_file_is_noted() {
    let run = Run::toml(&client("secret = \"s3cret\""));
    run.only(
        Note,
        "clients[0].secret",
        &["secret_file", "secret_hash"],
        "plain",
    );
    let run = Run::toml(&client("public = true\ngrants = []\n"));
    run.only(Note, "clients[0].grants", &["no token"], "no grants");
}

#[test]
fn the_same_subject_from_a_connector_and_a_client_is_warned_of() {
    let own = "secret_hash = \"x\"\ngrants = [\"token-exchange\", \"client_credentials\"]";
    let with = |prefix: &str, lines: &str| {
        let clients = CLIENT.replace("\"gitlab:\"", &format!("{prefix:?}"));
        let text = format!("{GOOD}{clients}{lines}\n");
        Run::toml(&text.replace("subject_prefix = \"\"\n", ""))
    };
    let words = [
        "connector \"gitlab\" can",
        "client \"app\"",
        "subject_prefix",
    ];
    for prefix in ["", "ap"] {
        let run = with(prefix, own);
        run.only(Warning, "connectors[0].subject_prefix", &words, prefix);
    }
    assert_eq!(with("app:", own).found(Warning), []);
    assert_eq!(with("", "secret_hash = \"x\"").found(Warning), []);
}
