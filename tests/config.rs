//! The configuration as a user meets it: a file, an environment, and what is said about them.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use remint::config::problems::{Problems, Severity};
use remint::config::{Address, ProxyHeader, Settings, known_keys, load};

#[path = "config/clients.rs"]
mod clients;
#[path = "config/issuers.rs"]
mod issuers;
#[path = "config/subjects.rs"]
mod subjects;

const GOOD: &str = r#"
issuer = "https://sts.example.com"
[[connectors]]
id = "gitlab"
issuer = "https://gitlab.example.com"
audiences = ["https://sts.example.com"]
allow = ["true"]
"#;

/// What one run over one file and environment gave.
struct Run {
    settings: Option<Settings>,
    problems: Problems,
}

impl Run {
    fn of(name: &str, text: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        Self::at(&file, environment)
    }

    fn at(file: &Path, environment: &[(&str, &str)]) -> Self {
        let pairs = environment.iter();
        let pairs = pairs.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let mut problems = Problems::new();
        let settings = load(file, pairs, &mut problems);
        Self { settings, problems }
    }

    fn toml(text: &str) -> Self {
        Self::of("site.toml", text, &[])
    }

    fn found(&self, severity: Severity) -> Vec<(&str, &str)> {
        let all = self
            .problems
            .iter()
            .filter(|found| found.severity == severity);
        all.map(|found| (found.path.as_str(), found.message.as_str()))
            .collect()
    }

    fn clean(self) -> Settings {
        assert_eq!(self.found(Severity::Error), []);
        self.settings.unwrap()
    }

    /// Exactly one finding of this severity, at `path`, with all `words` in its message.
    fn only(&self, severity: Severity, path: &str, words: &[&str], context: &str) {
        let found = self.found(severity);
        let [(at, message)] = found.as_slice() else {
            panic!("{context}: expected one {severity:?} at {path}, found {found:#?}");
        };
        assert_eq!(*at, path, "{context}: {message}");
        for word in words {
            assert!(
                message.contains(word),
                "{context}: {word:?} is not in {message:?}"
            );
        }
    }
}

/// The good file with lines put at its top, or at the end of its connector.
fn with(top: &str, connector: &str) -> String {
    format!("{top}\n{GOOD}\n{connector}\n")
}

/// The good file with one line of it replaced.
fn instead(line: &str, by: &str) -> String {
    assert!(GOOD.contains(line));
    GOOD.replace(line, by)
}

/// The rows of a table `lines => path: words | words`; `;;` stands between lines.
fn rows(table: &str) -> impl Iterator<Item = (String, String, Vec<&str>)> {
    table.trim_matches('\n').lines().map(|row| {
        let (lines, rest) = row.split_once("=> ").unwrap();
        let (path, words) = rest.split_once(": ").unwrap();
        let lines = lines.trim().replace(" ;; ", "\n");
        (lines, path.to_owned(), words.split(" | ").collect())
    })
}

#[test]
fn fills_in_the_defaults() {
    let settings = Run::toml(GOOD).clean();
    assert_eq!(settings.issuer.listed(), ["https://sts.example.com"]);
    assert_eq!(shown(&settings.server.listen), ["127.0.0.1:8080"]);
    assert_eq!(settings.server.socket_mode.0, 0o660);
    assert!(settings.server.metadata_listen.is_empty());
    assert!(settings.server.admin_listen.is_none());
    assert!(settings.server.trusted_proxies.is_empty());
    let header = settings.server.trusted_proxies.header();
    assert_eq!(header, ProxyHeader::XForwardedFor);
    assert!(settings.server.tls.is_none());
    assert_eq!(settings.limits.max_connections, 10_000);
    assert_eq!(settings.limits.max_concurrent, 256);
    assert_eq!(settings.limits.max_body_bytes, 64 * 1024 * 1024);
    assert_eq!(settings.limits.rate_per_address, None);
    assert_eq!(settings.limits.rate_per_client, None);
    assert!(settings.keys.file.is_absolute() && settings.keys.file.ends_with("jwks.json"));
    assert!(settings.keys.signing.is_none() && settings.keys.default_alg.is_none());
    assert_eq!(settings.tokens.max_lifetime, Duration::from_secs(3600));
    assert_eq!(settings.tokens.leeway, Duration::from_secs(60));
    let connector = &settings.connectors[0];
    assert_eq!(connector.path, "connectors[0]");
    assert_eq!(connector.algorithms, ["RS256", "ES256"]);
    assert_eq!(connector.clone_claims, ["sub"]);
    assert_eq!(connector.types, ["JWT", "at+jwt"]);
    assert_eq!(connector.timeout, Duration::from_secs(5));
    assert!(connector.targets.is_none() && connector.lifetime.is_none());
    assert!(!connector.insecure_http && !connector.allow_self);
}

#[test]
fn reads_every_key_and_keeps_names_and_order() {
    let text = with(
        "",
        r#"
jwks_file = "keys/gitlab.json"
jwks_max_age = "10m"
timeout = "250ms"
targets = []
subject_prefix = "gitlab:"
lifetime = "1h"
[connectors.headers]
X-Custom = "a"
"b.c" = "d"
[connectors.claims]
zeta = "1"
"https://aws.amazon.com/tags" = "2"
Alpha = "3"
[[connectors.rules]]
name = "all"
when = "true"
claims = { "x.y" = "4" }
[keys]
file = "/keys.json"
[keys.signing]
RS256 = "kid-1"
ES256 = "kid-2"
"#,
    );
    let settings = Run::toml(&text).clean();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        settings.keys.signing,
        Some(vec![pair("RS256", "kid-1"), pair("ES256", "kid-2")])
    );
    assert_eq!(settings.keys.file, Path::new("/keys.json"));
    let connector = &settings.connectors[0];
    assert!(
        connector
            .jwks_file
            .as_ref()
            .unwrap()
            .ends_with("keys/gitlab.json")
    );
    assert_eq!(connector.timeout, Duration::from_millis(250));
    assert_eq!(connector.targets, Some(vec![]));
    assert_eq!(connector.headers, [pair("X-Custom", "a"), pair("b.c", "d")]);
    let claims = [
        pair("zeta", "1"),
        pair("https://aws.amazon.com/tags", "2"),
        pair("Alpha", "3"),
    ];
    assert_eq!(connector.claims, claims);
    assert_eq!(connector.rules[0].path, "connectors[0].rules[0]");
    assert_eq!(connector.rules[0].claims, [pair("x.y", "4")]);
}

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = "
issuer: https://sts.example.com
connectors:
  - id: gitlab
    issuer: https://gitlab.example.com
    audiences: [a]
    allow: ['true']
    claims: {zeta: '1', a.b: '2'}
";
    let json = r#"{"issuer": "https://sts.example.com", "connectors": [{"id": "gitlab",
        "issuer": "https://gitlab.example.com", "audiences": ["a"], "allow": ["true"],
        "claims": {"zeta": "1", "a.b": "2"}}]}"#;
    for (name, text) in [("site.yaml", yaml), ("site.YML", yaml), ("site.json", json)] {
        let settings = Run::of(name, text, &[]).clean();
        assert_eq!(settings.connectors[0].id, "gitlab", "{name}");
        let names = settings.connectors[0]
            .claims
            .iter()
            .map(|(name, _)| name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["zeta", "a.b"], "{name}");
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let table = [
        (
            "site.toml",
            "issuer = \"a\"\nx = \"open",
            Some((2, 10)),
            "is not valid TOML: invalid basic string",
        ),
        (
            "site.toml",
            "a = 1\nb = 2\na = 2",
            Some((3, 1)),
            "duplicate key",
        ),
        (
            "site.yaml",
            "a: [1\nb: 2",
            Some((2, 2)),
            "is not valid YAML",
        ),
        ("site.yaml", "a: 1\na: 2", Some((2, 4)), "duplicate"),
        ("site.yaml", "- a", None, "expected a map"),
        ("site.json", "{\n\"a\": }", Some((2, 6)), "expected value"),
        (
            "site.json",
            "{\"connectors\": [{\"allow\": [],\n\"allow\": [\"true\"]}]}",
            Some((2, 18)),
            "\"allow\" stands twice",
        ),
        ("site.json", "[]", None, "expected a map"),
        ("site.ini", "", None, ".toml, .yaml, .yml or .json"),
    ];
    for (name, text, position, words) in table {
        let run = Run::of(name, text, &[]);
        assert!(run.settings.is_none(), "{text}");
        run.only(Severity::Error, "", &[words], text);
        let place = run.problems.iter().next().unwrap().place.clone().unwrap();
        assert!(place.file.ends_with(name), "{place}");
        assert_eq!(place.position, position, "{text}");
    }
}

#[test]
fn a_syntax_error_does_not_quote_the_file() {
    let run = Run::toml("secret = \"hunter2\n");
    let shown = run.problems.iter().next().unwrap().to_string();
    assert!(
        shown.contains(":1:18: ") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn an_empty_file_lists_what_is_missing() {
    for name in ["site.toml", "site.yaml"] {
        let run = Run::of(name, "", &[]);
        let paths: Vec<_> = run
            .found(Severity::Error)
            .iter()
            .map(|(path, _)| *path)
            .collect();
        assert_eq!(paths, ["issuer", "connectors"], "{name}");
    }
}

#[test]
fn everything_wrong_is_reported_in_one_run() {
    let run = Run::toml(
        r#"
issuer = 5
unknwon = 1
[server]
lisen = ["x"]
listen = ["127.0.0.1:8080", "8080", 7]
[tokens]
max_lifetime = "1 hour"
leeway = "10m"
[keys]
signing = "RS256"
[[connectors]]
id = "a b"
allow = "true"
audiences = []
alg = "HS256"
insecure_http = "yes"
[[connectors.rules]]
when = 1
[[connectors]]
id = "b"
issuer = "http://plain.example.com"
audiences = ["x"]
allow = ["true", 3]
claims = { iss = "1" }
"#,
    );
    let mut paths: Vec<_> = run
        .found(Severity::Error)
        .iter()
        .map(|(path, _)| *path)
        .collect();
    paths.sort_unstable();
    let mut expected = [
        "issuer",
        "unknwon",
        "server.lisen",
        "server.listen[1]",
        "server.listen[2]",
        "tokens.max_lifetime",
        "tokens.leeway",
        "keys.signing",
        "connectors[0].id",
        "connectors[0].issuer",
        "connectors[0].allow",
        "connectors[0].audiences",
        "connectors[0].alg",
        "connectors[0].insecure_http",
        "connectors[0].rules[0].name",
        "connectors[0].rules[0].when",
        "connectors[1].issuer",
        "connectors[1].allow[1]",
        "connectors[1].claims.iss",
    ];
    expected.sort_unstable();
    assert_eq!(paths, expected);
    assert!(run.settings.is_some(), "later checks can still run");
}

#[test]
fn each_wrong_type_says_what_was_found_and_expected() {
    let table = r#"
allow = "true"       => allow: the string "true" | a list of strings, such as ["true"]
allow = ["true", 5]  => allow[1]: the number 5 | a string
allow = [""]         => allow[0]: an empty string | write a value
allow = []           => allow: an empty list | ["true"] admits every token
                     => allow: missing | ["true"] admits every token
allow = { a = 1 }    => allow: a table | a list of strings
"#;
    for (line, path, words) in rows(table) {
        let run = Run::toml(&instead("allow = [\"true\"]", &line));
        run.only(
            Severity::Error,
            &format!("connectors[0].{path}"),
            &words,
            &line,
        );
    }
}

#[test]
fn each_wrong_value_of_a_connector_has_its_own_message() {
    for (line, path, words) in rows(WRONG_IN_CONNECTOR) {
        let run = Run::toml(&with("", &line));
        run.only(
            Severity::Error,
            &format!("connectors[0].{path}"),
            &words,
            &line,
        );
    }
}

const WRONG_IN_CONNECTOR: &str = r#"
lifetime = 90                  => lifetime: the number 90 | "90s"
lifetime = "soon"              => lifetime: "soon" | "10m"
lifetime = "0s"                => lifetime: 0s | at least 1s
lifetime = "900ms"             => lifetime: 900ms | at least 1s
timeout = "0s"                 => timeout: 0s | "5s"
jwks_max_age = "0s"            => jwks_max_age: 0s | "10m"
insecure_http = "true"         => insecure_http: the string "true" | without quotes
alg = "RS512"                  => alg: "RS512" | "RS256" or "ES256"
algorithms = []                => algorithms: empty list
algorithms = ["RS256","HS256"] => algorithms[1]: shared secret | EdDSA
algorithms = ["none"]          => algorithms[0]: unsigned
algorithms = ["rs256"]         => algorithms[0]: "rs256" | RS256, RS384
clone_claims = ["sub", "exp"]  => clone_claims[1]: "exp" | neither copied nor computed
clone_claims = ["sub", "https://aws.amazon.com/tags"] => clone_claims[1]: compute it
claims = { aud = "1" }         => claims.aud: "aud" | neither
claims = { "a.b" = true }      => claims."a.b": the boolean true | write "true", with quotes
claims = { "" = "1" }          => claims."": is empty
claims = ["a"]                 => claims: a list | a table
targets = [""]                 => targets[0]: empty string
subject_prefix = ""            => subject_prefix: empty string | leave the key out
jwks_uri = "keys"              => jwks_uri: "keys" | https://
jwks_uri = "http://h/keys"     => jwks_uri: mint tokens | insecure_http = true
jwks_uri = "https://h/" ;; jwks_file = "f" => jwks_file: jwks_uri | remove one
jwks_hosts = ["https://h"]     => jwks_hosts[0]: without scheme | "keys.example.com"
headers = { Authorization = "x" } => headers.Authorization: bearer_file
headers = { host = "x" }       => headers.host: remove it
headers = { "a b" = "x" }      => headers."a b": header name
headers = { a = "x\ny" }       => headers.a: header value
headers = { a = "x", A = "y" } => headers.A: same header
headers = { a = 5 }            => headers.a: a number | a string
rules = []                     => rules: empty list | [[connectors.rules]]
rules = [1]                    => rules[0]: the number 1 | a table
rules = [{ name = "a" }]       => rules[0].when: missing
rules = [{ when = "true" }]    => rules[0].name: missing
rules = [{ name = "a", when = "x" }, { name = "a", when = "true" }] => rules[1].name: connectors[0].rules[0]
rules = [{ name = "a", when = "true", alg = "x" }]        => rules[0].alg: "x"
rules = [{ name = "a", when = "true", lifetime = "0s" }]  => rules[0].lifetime: at least 1s
rules = [{ name = "a", when = "true", claims = { iat = "1" } }] => rules[0].claims.iat: neither
rules = [{ name = "a", when = "true", targts = [] }]      => rules[0].targts: did you mean `targets`?
jwksURI = "x"                  => jwksURI: did you mean `jwks_uri`?
allow_Anyone = true            => allow_Anyone: did you mean `allow_anyone`?
Secret_File = "x"              => Secret_File: `secret_file` belongs under [[clients]]
audience = ["x"]               => audience: unknown key | did you mean `audiences`?
max_lifetime = "1h"            => max_lifetime: belongs under [tokens]
when = "true"                  => when: belongs under [[connectors.rules]]
secret = "x"                   => secret: belongs under [[clients]]
banana = "x"                   => banana: unknown key | the keys here are id, issuer
require_client = "yes"         => require_client: the string "yes" | without quotes
timeout = "2m"                 => timeout: 2m | at most 1m
jwks_max_age = "2d"            => jwks_max_age: 2d | at most
replay = "twice"               => replay: "twice" | "once_per_audience"
max_token_age = "500ms"        => max_token_age: 500ms | at least 1s
max_subject_lifetime = "0s"    => max_subject_lifetime: 0s | at least 1s
user_name_key = 1              => user_name_key: the number 1 | a string
"#;

#[test]
fn each_wrong_value_elsewhere_has_its_own_message() {
    for (line, path, words) in rows(WRONG_ELSEWHERE) {
        let run = Run::toml(&with(&line, ""));
        run.only(Severity::Error, &path, &words, &line);
    }
}

const WRONG_ELSEWHERE: &str = r#"
server = "x"                      => server: the string "x" | [server]
server.listen = "127.0.0.1:1"     => server.listen: ["127.0.0.1:1"]
server.listen = []                => server.listen: empty list
server.listen = [":8080"]         => server.listen[0]: "0.0.0.0:8080"
server.listen = ["http://a:1"]    => server.listen[0]: "host:port"
server.listen = ["::1:8080"]      => server.listen[0]: "[::1]:8080"
server.listen = ["a:70000"]       => server.listen[0]: "host:port"
server.listen = ["unix:"]         => server.listen[0]: "unix:" | "unix:/run/remint/remint.sock"
server.listen = ["unix:/run/"]    => server.listen[0]: "unix:/run/" | "unix:/run/remint/remint.sock"
server.listen = ["a:1", "a:1"]    => server.listen[1]: server.listen[0]
server.listen = ["unix:a", "unix:./a"] => server.listen[1]: server.listen[0]
server.metadata_listen = "a:1"    => server.metadata_listen: ["a:1"]
server.metadata_listen = ["a"]    => server.metadata_listen[0]: "host:port"
server.metadata_listen = ["127.0.0.1:8080"] => server.metadata_listen[0]: "127.0.0.1:8080" | server.listen[0]
server.admin_listen = ["a:1"]     => server.admin_listen: a list | a string
server.admin_listen = "9090"      => server.admin_listen: "9090" | "host:port"
server.admin_listen = "127.0.0.1:8080" => server.admin_listen: "127.0.0.1:8080" | server.listen[0]
server.metadata_listen = ["unix:a"] ;; server.admin_listen = "unix:a" => server.admin_listen: server.metadata_listen[0]
server.socket_mode = 660          => server.socket_mode: the number 660 | "0660"
server.socket_mode = "rw-rw----"  => server.socket_mode: "rw-rw----" | "0660"
server.socket_mode = "0440"       => server.socket_mode: "0440" | lets somebody write
server.trusted_proxies = "10.0.0.0/8" => server.trusted_proxies: ["10.0.0.0/8"]
server.trusted_proxies = ["10.0.0.0/40"] => server.trusted_proxies[0]: "10.0.0.0/40" | "10.0.0.0/8"
server.trusted_proxies = ["proxy"] => server.trusted_proxies[0]: "proxy" | a network
server.trusted_proxy_header = "X-Real-IP" => server.trusted_proxy_header: "X-Real-IP" | "X-Forwarded-For" or "Forwarded"
server.trusted_proxy_header = true => server.trusted_proxy_header: the boolean true | a string
server.tls.cert_file = "c"        => server.tls.key_file: missing
server.tls.key_file = "k"         => server.tls.cert_file: missing
server.tls = "c"                  => server.tls: the string "c" | [server.tls]
server.tls.cert_file = "c" ;; server.tls.key_file = "k" ;; server.tls.client_auth = "required" => server.tls.client_auth: client_ca_file
server.tls.cert_file = "c" ;; server.tls.key_file = "k" ;; server.tls.client_ca_file = "a" ;; server.tls.client_auth = "yes" => server.tls.client_auth: "yes" | "required"
server.tls.cert_file = "c" ;; server.tls.key_file = "k" ;; server.tls.listen = ["unix:a"] => server.tls.listen[0]: found "unix: | host:port
server.tls.cert_file = "c" ;; server.tls.key_file = "k" ;; server.tls.listen = ["127.0.0.1:8080"] => server.tls.listen[0]: "127.0.0.1:8080" | server.listen[0]
server.listen = [] ;; server.tls.cert_file = "c" ;; server.tls.key_file = "k" ;; server.tls.metadata_listen = ["a:1"] => server.listen: empty list
limits.max_connections = 0        => limits.max_connections: 0 | 1 to
limits.max_connections = 2000000  => limits.max_connections: 2000000 | 1 to
limits.max_body_bytes = "64KB"     => limits.max_body_bytes: "64KB" | "64MiB" | "512KiB" | 67108864
limits.max_body_bytes = 1.5        => limits.max_body_bytes: the number 1.5 | "64MiB"
limits.max_body_bytes = -1         => limits.max_body_bytes: the number -1 | "64MiB"
limits.max_body_bytes = "63KiB"    => limits.max_body_bytes: 63KiB | "64KiB" or more
limits.max_body_bytes = 65535      => limits.max_body_bytes: 65535B | "64KiB" or more
limits.max_concurrent = 0         => limits.max_concurrent: 0 | 1 to
limits.rate_per_address = 0       => limits.rate_per_address: 0 | 1 to
limits.rate_per_client = 5000000  => limits.rate_per_client: 5000000 | 1 to
limits.rate_per_client = 1.5      => limits.rate_per_client: the number 1.5 | a whole number
replay.store = "http://x"          => replay.store: redis://
replay.store = "redis:"            => replay.store: redis://
replay.on_store_failure = "ignore" => replay.on_store_failure: "ignore" | "allow"
replay.memory_entries = 0          => replay.memory_entries: 0 | 1 to
limits.max_connections = "10"     => limits.max_connections: the string "10" | a whole number
limits.max_conections = 10        => limits.max_conections: max_connections
keys.default_alg = "EdDSA"        => keys.default_alg: "EdDSA" | "ES256"
keys.signing = {}                 => keys.signing: empty table
keys.signing.rs256 = "k"          => keys.signing.rs256: capitals
keys.signing.RS256 = 5            => keys.signing.RS256: a number | a string
keys.signing.RS256 = "k" ;; keys.default_alg = "ES256" => keys.default_alg: [keys.signing] | ES256 = "kid"
tokens.max_lifetime = "0s"        => tokens.max_lifetime: at least 1s
tokens.leeway = "6m"              => tokens.leeway: 6m | at most 5m
tokens.subject_format = "oidc"    => tokens.subject_format: "oidc" | "plain" | "dex"
tokens.issuer = "x"               => tokens.issuer: belongs at the top
"#;

#[test]
fn what_goes_past_required_client_certificates_is_a_warning() {
    let tls = "server.tls = { cert_file = \"c\", key_file = \"k\", client_ca_file = \"a\", client_auth = \"required\", listen = [\"a:1\"] }";
    let run = Run::toml(&with(tls, ""));
    let words = ["\"127.0.0.1:8080\"", "listen = []"];
    run.only(Severity::Warning, "server.listen[0]", &words, tls);
    let closed = format!("server.listen = []\n{tls}");
    let run = Run::toml(&with(&closed, ""));
    let words = ["`remint health`", "unix:/run/remint/admin.sock"];
    run.only(Severity::Warning, "server.admin_listen", &words, &closed);
    let asked = format!("{closed}\nserver.admin_listen = \"unix:a.sock\"");
    Run::toml(&with(&asked, "")).clean();
}

#[test]
fn one_issuer_with_two_kinds_of_replay_is_a_warning() {
    let first = GOOD.split_once("[[connectors]]").unwrap().1;
    let both = |own: &str, other: &str| {
        let second = first.replace("\"gitlab\"", "\"b\"\nsubject_prefix = \"b:\"");
        let lines = format!("replay = \"{own}\"\n[[connectors]]{second}replay = \"{other}\"");
        Run::toml(&with("", &lines))
    };
    let words = ["connectors[0]", "the same issuer"];
    let path = "connectors[1].replay";
    both("once", "once_per_audience").only(Severity::Warning, path, &words, "mixed");
    both("once", "once").clean();
    both("off", "once").clean();
}

#[test]
fn a_proxy_header_without_proxies_is_a_warning() {
    const LINE: &str = "server.trusted_proxy_header = \"FORWARDED\"\n";
    let path = "server.trusted_proxy_header";
    let run = Run::toml(&with(LINE, ""));
    run.only(Severity::Warning, path, &["trusted_proxies = ["], LINE);
    let proxies = format!("{LINE}server.trusted_proxies = [\"unix:\"]");
    let run = Run::toml(&with(&proxies, ""));
    assert_eq!(run.found(Severity::Warning), []);
    let header = run.clean().server.trusted_proxies.header();
    assert_eq!(header, ProxyHeader::Forwarded);
}

#[test]
fn an_admin_listener_that_others_reach_is_a_warning() {
    for open in ["0.0.0.0:9090", "[::]:9090", "host.example.com:9090"] {
        let run = Run::toml(&with(&format!("server.admin_listen = {open:?}"), ""));
        let words = [open, "open to other machines"];
        run.only(Severity::Warning, "server.admin_listen", &words, open);
    }
    for local in [
        "127.0.0.1:9090",
        "[::1]:9090",
        "localhost:9090",
        "unix:a.sock",
    ] {
        Run::toml(&with(&format!("server.admin_listen = {local:?}"), "")).clean();
    }
}

#[test]
fn sockets_stand_in_the_folder_of_the_file_and_any_port_is_free_twice() {
    let lines = r#"
server.listen = ["127.0.0.1:0", "unix:main.sock"]
server.metadata_listen = ["127.0.0.1:0", "unix:/run/metadata.sock"]
server.admin_listen = "127.0.0.1:0"
"#;
    let run = Run::toml(&with(lines, ""));
    let server = run.clean().server;
    assert_eq!(shown(&server.metadata_listen)[1], "unix:/run/metadata.sock");
    let Address::Unix(socket) = &server.listen[1] else {
        panic!("{:?}", server.listen);
    };
    assert!(socket.is_absolute() && socket.ends_with("main.sock"));
}

fn shown(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn the_own_issuer_is_a_plain_public_url() {
    let line = "issuer = \"https://sts.example.com\"\n";
    let table: &[(&str, &str)] = &[
        ("\"\"", "empty string"),
        ("[]", "empty list"),
        ("\"sts.example.com\"", "does not begin with https://"),
        ("\"https://h?a=b\"", "query"),
        ("\"https://h#f\"", "fragment"),
        ("\"https://user:hunter2@h\"", "names a user"),
        ("\"https://h /\"", "whitespace"),
        ("\"https://h\\n\"", "whitespace"),
    ];
    for (value, words) in table {
        let run = Run::toml(&instead(line, &format!("issuer = {value}\n")));
        run.only(Severity::Error, "issuer", &[words], value);
        assert!(!run.found(Severity::Error)[0].1.contains("hunter2"));
    }
    let doubtful = [
        ("http://sts.example.com", Severity::Warning, "AWS"),
        (
            "https://STS.example.com",
            Severity::Warning,
            "https://sts.example.com",
        ),
        ("https://sts.example.com/", Severity::Note, "byte for byte"),
    ];
    for (value, severity, words) in doubtful {
        let run = Run::toml(&instead(line, &format!("issuer = \"{value}\"\n")));
        run.only(severity, "issuer", &[words], value);
        assert_eq!(run.clean().issuer.listed(), [value]);
    }
    let loopback = Run::toml(&instead(line, "issuer = \"http://127.0.0.1:8080\"\n"));
    assert_eq!(loopback.problems.iter().count(), 0);
}

#[test]
fn several_issuers_and_those_of_requests_are_told_of() {
    let line = "issuer = \"https://sts.example.com\"\n";
    let with = |value: &str| Run::toml(&instead(line, &format!("issuer = {value}\n")));
    let both = with("[\"https://a.example.com\", \"https://b.example.com/x\"]");
    both.only(Severity::Note, "issuer", &["one trust domain"], "a list");
    assert_eq!(both.clean().issuer.listed().len(), 2);
    let twice = with("[\"https://a.example.com\", \"https://a.example.com/\"]");
    twice.only(Severity::Error, "issuer[1]", &["remove one"], "twice");
    for other in ["http://a.example.com", "https://A.example.com:443"] {
        let alike = with(&format!("[\"https://a.example.com\", \"{other}\"]"));
        let errors = alike.found(Severity::Error);
        assert!(
            errors.iter().any(|(path, _)| *path == "issuer[1]"),
            "{errors:?}"
        );
    }
    let requested = with("\"from-request\"");
    requested.only(
        Severity::Warning,
        "issuer",
        &["every caller"],
        "from-request",
    );
    assert!(requested.clean().issuer.listed().is_empty());
}

#[test]
fn upstream_issuers_are_https_unless_told_otherwise() {
    let line = "issuer = \"https://gitlab.example.com\"";
    let bad = [
        ("issuer = \"http://h\"", "insecure_http = true"),
        (
            "issuer = \"HTTP://h\"\njwks_file = \"f\"",
            "insecure_http = true",
        ),
        ("issuer = \"http:h\"\njwks_file = \"f\"", "does not begin"),
        ("issuer = \"accounts.google.com\"", "jwks_uri or jwks_file"),
        ("issuer = \"https://h#f\"", "fragment"),
        ("issuer = \" https://h\"", "whitespace"),
    ];
    for (by, words) in bad {
        let run = Run::toml(&instead(line, by));
        run.only(Severity::Error, "connectors[0].issuer", &[words], by);
    }
    let good = [
        "issuer = \"http://localhost:8080\"",
        "issuer = \"http://[::1]:8080\"",
        "issuer = \"http://h\"\ninsecure_http = true",
        "issuer = \"accounts.google.com\"\njwks_uri = \"https://www.googleapis.com/oauth2/v3/certs\"",
        "issuer = \"https://login.example.com/tenant/\"",
    ];
    for by in good {
        Run::toml(&instead(line, by)).clean();
    }
}

#[test]
fn own_tokens_come_back_only_where_allowed() {
    let line = "issuer = \"https://gitlab.example.com\"";
    let own = "issuer = \"https://sts.example.com\"";
    let run = Run::toml(&instead(line, own));
    run.only(
        Severity::Error,
        "connectors[0].issuer",
        &["allow_self = true"],
        "own",
    );
    Run::toml(&instead(line, &format!("{own}\nallow_self = true"))).clean();
    let both = format!("{own}\nallow_self = true\noutlive_subject_token = true");
    let run = Run::toml(&instead(line, &both));
    run.only(
        Severity::Error,
        "connectors[0].outlive_subject_token",
        &["for ever"],
        "both",
    );
}

#[test]
fn doubtful_values_are_warned_of_and_still_load() {
    let table: &[(&str, &str, &str)] = &[
        (
            "outlive_subject_token = true",
            "outlive_subject_token",
            "live on",
        ),
        ("allow_anyone = true", "allow_anyone", "ANYONE"),
        ("insecure_http = true", "insecure_http", "plain http"),
        ("jwks_file = \"f\"\nca_file = \"c\"", "ca_file", "no effect"),
        (
            "jwks_uri = \"https://h/k\"\njwks_hosts = [\"h\"]",
            "jwks_hosts",
            "no effect",
        ),
        ("clone_claims = [\"ref\"]", "clone_claims", "`sub`"),
        (
            "clone_claims = []\nrules = [{ name = \"a\", when = \"true\" }]",
            "rules[0]",
            "`sub`",
        ),
    ];
    for (line, path, words) in table {
        let run = Run::toml(&with("", line));
        run.only(
            Severity::Warning,
            &format!("connectors[0].{path}"),
            &[words],
            line,
        );
        run.clean();
    }
    let any = Run::toml(&instead(
        "audiences = [\"https://sts.example.com\"]",
        "audiences = [\"*\"]",
    ));
    any.only(
        Severity::Warning,
        "connectors[0].audiences",
        &["any other service"],
        "any",
    );
    any.clean();
    let mixed = Run::toml(&instead(
        "audiences = [\"https://sts.example.com\"]",
        "audiences = [\"*\", \"a\"]",
    ));
    mixed.only(
        Severity::Error,
        "connectors[0].audiences",
        &["alone"],
        "mixed",
    );
    let bearer = "jwks_uri = \"http://h/k\"\ninsecure_http = true\nbearer_file = \"t\"";
    let run = Run::toml(&with("", bearer));
    let paths: Vec<_> = run
        .found(Severity::Warning)
        .iter()
        .map(|(path, _)| *path)
        .collect();
    assert_eq!(
        paths,
        ["connectors[0].bearer_file", "connectors[0].insecure_http"]
    );
}

#[test]
fn what_is_worth_knowing_is_noted() {
    let rules = "rules = [{ name = \"a\", when = \"claims.x == 'y'\" }]";
    let run = Run::toml(&with("", rules));
    run.only(
        Severity::Note,
        "connectors[0].rules",
        &["when = \"true\""],
        rules,
    );
    let run = Run::toml(&with("", "lifetime = \"2h\""));
    run.only(
        Severity::Note,
        "connectors[0].lifetime",
        &["2h", "1h"],
        "lifetime",
    );
}

#[test]
fn connectors_are_told_apart() {
    let second = |lines: &str| {
        format!(
            "{GOOD}\n[[connectors]]\nissuer = \"https://b\"\naudiences = [\"a\"]\nallow = [\"true\"]\n{lines}\n"
        )
    };
    let run = Run::toml(&second("id = \"gitlab\"\nsubject_prefix = \"b:\""));
    run.only(
        Severity::Error,
        "connectors[1].id",
        &["connectors[0]"],
        "same id",
    );
    let run = Run::toml(&second("id = \"b\""));
    let words = ["\"gitlab\" and \"b\"", "subject_prefix"];
    run.only(
        Severity::Warning,
        "connectors[1].subject_prefix",
        &words,
        "same sub",
    );
}

#[test]
fn a_lone_connector_table_is_read_all_the_same() {
    let text = GOOD
        .replace("[[connectors]]", "[connectors]")
        .replace("allow =", "alow =");
    let run = Run::toml(&text);
    let found = run.found(Severity::Error);
    let paths: Vec<_> = found.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths,
        ["connectors", "connectors[0].allow", "connectors[0].alow"]
    );
    assert!(found[0].1.contains("[[connectors]]"));
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("REMINT__ISSUER", "https://other.example.com"),
        ("REMINT__SERVER__LISTEN", "127.0.0.1:1, [::1]:2"),
        ("REMINT__SERVER__SOCKET_MODE", "0600"),
        ("REMINT__TOKENS__MAX_LIFETIME", "30m"),
        ("REMINT__KEYS__FILE", "other.json"),
        ("REMINT_SERVICE_HOST", "10.0.0.1"),
        ("REMINT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("REMINTX", "x"),
        ("PATH", "/bin"),
        ("é", "x"),
    ];
    let settings = Run::of(
        "site.toml",
        &with("server.listen = [\"a:1\"]", ""),
        &environment,
    )
    .clean();
    assert_eq!(settings.issuer.listed(), ["https://other.example.com"]);
    assert_eq!(shown(&settings.server.listen), ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(settings.server.socket_mode.0, 0o600);
    assert_eq!(settings.tokens.max_lifetime, Duration::from_secs(1800));
    assert!(settings.keys.file.is_absolute() && settings.keys.file.ends_with("other.json"));
}

#[test]
fn a_wrong_variable_is_named() {
    let table = r#"
REMINT__SERVER__LISEN=a:1         => server.lisen: unknown key | did you mean `listen`?
REMINT__ISSUR=x                   => issur: unknown key
REMINT__LIMITS__X=1               => limits.x: unknown key
REMINT__SERVER__LISTEN=a:1,b      => server.listen[1]: "b"
REMINT__TOKENS__LEEWAY=1 minute   => tokens.leeway: "1 minute"
REMINT__KEYS__DEFAULT_ALG=        => keys.default_alg: empty string
REMINT__CONNECTORS__0__ID=x       => : in the file
REMINT__ISSUER__X=x               => : not a table
REMINT__SERVER__=x                => : not the name of a key
REMINT__CONNECTORS[0]__ID=x       => : not the name of a key
REMINT__KEYS__SIGNING__RS256=k    => keys.signing.rs256: capitals
"#;
    for (line, path, mut words) in rows(table) {
        let (name, value) = line.split_once('=').unwrap();
        words.push(name);
        let run = Run::of("site.toml", GOOD, &[(name, value)]);
        run.only(Severity::Error, &path, &words, &line);
    }
}

#[test]
fn the_example_is_clean_and_names_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("site.example.toml");
    let run = Run::at(&file, &[]);
    assert_eq!(run.problems.iter().count(), 0, "{:#?}", run.problems);
    let text = fs::read_to_string(&file).unwrap();
    let named = keys_named_in(&text);
    let known = known_keys();
    assert!(known.contains(&"connectors[].rules[].when".to_owned()));
    let missing: Vec<_> = known.iter().filter(|key| !named.contains(key)).collect();
    assert!(
        missing.is_empty(),
        "site.example.toml does not show {missing:?}"
    );
}

/// Every `key =` and `[heading]` of a TOML text, commented out or not, as `known_keys` writes them.
fn keys_named_in(text: &str) -> Vec<String> {
    let lists = ["connectors", "connectors.rules", "clients"];
    let marked = |heading: &str| {
        let parts: Vec<_> = heading.split('.').collect();
        let part = |(index, part): (usize, &&str)| {
            let is_list = lists.contains(&parts[..=index].join(".").as_str());
            format!("{part}{}", if is_list { "[]" } else { "" })
        };
        parts
            .iter()
            .enumerate()
            .map(part)
            .collect::<Vec<_>>()
            .join(".")
    };
    let mut table = String::new();
    let mut named = Vec::new();
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(heading) = line.strip_prefix('[') {
            table = marked(heading.trim_matches(['[', ']']));
            named.push(table.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            let dot = if table.is_empty() { "" } else { "." };
            named.push(format!("{table}{dot}{key}"));
        }
    }
    named
}
