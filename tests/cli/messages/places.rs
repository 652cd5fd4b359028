//! File, line and column of each finding.

use std::process::Command;

use serde_json::Value;

use super::{GOOD, errors};
use crate::bench::process::{Finished, remint};
use crate::bench::site::Site;

const TOML: &str = r#"issuer = "https://sts.example.com"
unknwon = 1
[server]
listen = ["127.0.0.1:0",
  "nowhere"]
[server.tls]
cert_file = "c.pem"
[[connectors]]
id = "a"
issuer = "https://a.example.com"
allow = ["true"]
  [connectors.claims]
  "a.b" = true
[[connectors]]
id = "b"
issuer = "http://b.example.com"
audiences = ["x"]
subject_prefix = "b:"
allow = ["true", "claims.sub == 'ü"]
rules = [{ name = "ä", when = "tru" }]
"#;

const YAML: &str = "issuer: https://sts.example.com
unknwon: 1
server:
  listen: ['127.0.0.1:0', nowhere]
  tls:
    cert_file: c.pem
connectors:
  - id: a
    issuer: https://a.example.com
    allow:
      - 'true'
    claims:
      'a.b': true
  - id: b
    issuer: http://b.example.com
    audiences: [x]
    subject_prefix: 'b:'
    allow:
      - 'true'
      - claims.sub == 'ü
    rules: [{ name: ä, when: tru }]
";

const JSON: &str = r#"{
  "issuer": "https://sts.example.com",
  "unknwon": 1,
  "server": {
    "listen": ["127.0.0.1:0", "nowhere"],
    "tls": { "cert_file": "c.pem" }
  },
  "connectors": [
    { "id": "a", "issuer": "https://a.example.com", "allow": ["true"],
      "claims": { "a.b": true } },
    {
      "id": "b", "issuer": "http://b.example.com", "audiences": ["x"],
      "subject_prefix": "b:", "allow": ["true", "claims.sub == 'ü"],
      "rules": [ { "name": "ä", "when": "tru" } ] }
  ]
}"#;

#[test]
fn each_finding_names_the_line_and_column_of_its_key_or_item() {
    let paths = [
        "unknwon",
        "server.listen[1]",
        "server.tls.key_file",
        "server.tls.cert_file",
        "connectors[0].audiences",
        "connectors[0].claims.\"a.b\"",
        "connectors[1].issuer",
        "connectors[1].allow[1]",
        "connectors[1].rules[0].when",
    ];
    // What is missing is found at the table that it is missing from.
    for (name, text, positions) in [
        (
            "site.toml",
            TOML,
            [
                "2:1", "5:3", "6:9", "7:1", "8:1", "13:3", "16:1", "19:18", "20:24",
            ],
        ),
        (
            "site.yaml",
            YAML,
            [
                "2:1", "4:27", "5:3", "6:5", "8:5", "13:7", "15:5", "20:9", "21:24",
            ],
        ),
        (
            "site.json",
            JSON,
            [
                "3:3", "5:31", "6:5", "6:14", "9:5", "10:19", "12:18", "13:49", "14:33",
            ],
        ),
    ] {
        let found = errors(name, text);
        let starts = paths.iter().zip(positions);
        for start in starts.map(|(path, at)| format!("error: {name}:{at}: {path}: ")) {
            assert!(
                found.iter().any(|error| error.starts_with(&start)),
                "{start} is not in {found:#?}"
            );
        }
        assert_eq!(found.len(), paths.len(), "{found:#?}");
    }
}

#[test]
fn an_error_of_the_syntax_names_where_the_parser_gave_up() {
    for (name, text, start) in [
        (
            "site.toml",
            "issuer = \"https://a\"\n[server\n",
            "error: site.toml:2:8: is not valid TOML: ",
        ),
        (
            "site.toml",
            "issuer = https://a\n",
            "error: site.toml:1:10: is not valid TOML: ",
        ),
        (
            "site.yaml",
            "issuer: a\nserver: [\n",
            "error: site.yaml:3:1: is not valid YAML: ",
        ),
        (
            "site.json",
            "{\"issuer\": \"a\"\n\"server\": {}}",
            "error: site.json:2:1: is not valid JSON: ",
        ),
    ] {
        super::only(name, text, &[start]);
    }
}

#[test]
fn the_json_report_has_file_line_and_column() {
    let site = Site::new(&GOOD.replace("allow =", "alow ="));
    let run = site.run(&["check", "--format", "json"]).exits(64);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let found = report["errors"].as_array().unwrap();
    let place = |path: &str| {
        let entry = found.iter().find(|entry| entry["path"] == path).unwrap();
        (
            entry["file"].clone(),
            entry["line"].clone(),
            entry["column"].clone(),
        )
    };
    let at = |line: u64, column: u64| ("site.toml".into(), line.into(), column.into());
    assert_eq!(place("connectors[0].alow"), at(8, 1));
    assert_eq!(place("connectors[0].allow"), at(4, 1));
}

#[test]
fn a_value_of_the_environment_has_its_variable_and_no_line() {
    for (name, value, path) in [
        ("REMINT__TOKENS__LEEWAY", "soon", "tokens.leeway"),
        ("REMINT__SERVER__LISTEN", "nowhere", "server.listen[0]"),
        ("REMINT__SERVER__LISEN", "a:1", "server.lisen"),
        ("REMINT__LIMTS__X", "1", "limts"),
    ] {
        let site = Site::new(GOOD);
        let mut command: Command = remint(site.folder(), &["check"]);
        let run = Finished::from(command.env(name, value).output().unwrap()).exits(64);
        let start = format!("error: {path}: ");
        let error = run.stdout.lines().find(|line| line.starts_with(&start));
        assert!(error.is_some_and(|error| error.contains(name)), "{run:#?}");
    }
}

#[test]
fn findings_about_a_file_that_the_configuration_names_are_at_the_key_that_names_it() {
    let text = format!("{GOOD}[keys]\nfile = \"nowhere.json\"\n");
    super::only("site.toml", &text, &["error: site.toml:10:1: keys.file: "]);
}
