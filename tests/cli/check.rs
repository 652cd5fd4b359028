//! `remint check` without the network: what it finds, how it says it, and its exit code.

use serde_json::{Value, json};

use crate::bench::process::{Finished, remint};
use crate::bench::site::{Site, config, connector, generate, keys, set_mode};

const UPSTREAM: &str = "https://gitlab.example.com";

fn good() -> String {
    config("https://sts.example.com", &connector("gitlab", UPSTREAM))
}

/// The report as JSON, in the shape that scripts rely on.
fn report(run: &Finished) -> Value {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["ok"].is_boolean(), "{report}");
    for list in ["errors", "warnings", "notes"] {
        for entry in report[list].as_array().unwrap() {
            let members: Vec<_> = entry.as_object().unwrap().keys().collect();
            let expected = ["path", "message", "file", "line", "column"];
            assert_eq!(members, expected, "{report}");
            assert!(entry["path"].is_string() && entry["message"].is_string());
        }
    }
    assert_eq!(run.stderr, "");
    report
}

fn paths<'a>(report: &'a Value, list: &str) -> Vec<&'a str> {
    let entries = report[list].as_array().unwrap().iter();
    entries
        .map(|entry| entry["path"].as_str().unwrap())
        .collect()
}

#[test]
fn a_good_config_is_ok() {
    let site = Site::new(&good());
    let json = site.run(&["check", "--format", "json"]).exits(0);
    let found = report(&json);
    assert_eq!(found["ok"], true);
    assert_eq!(paths(&found, "errors"), [""; 0]);
    assert_eq!(paths(&found, "warnings"), [""; 0]);
    let text = site.run(&["check"]).exits(0);
    assert!(text.stdout.contains("0 errors, 0 warnings"), "{text:#?}");
    assert_eq!(text.stderr, "");
}

#[test]
fn a_state_dir_that_is_missing_is_a_warning_and_a_file_in_its_place_an_error() {
    let at = |name: &str| good().replace("[server]", &format!("[server]\nstate_dir = {name:?}"));
    let check = |name: &str, code| {
        let site = Site::new(&at(name));
        let run = site.run(&["check", "--format", "json"]).exits(code);
        // Looking is all that `check` does.
        let entries = std::fs::read_dir(site.folder()).unwrap();
        assert_eq!(entries.count(), 2);
        report(&run)
    };
    let missing = check("state", 0);
    assert_eq!(paths(&missing, "warnings"), ["server.state_dir"]);
    let file = check("jwks.json", 64);
    assert_eq!(paths(&file, "errors"), ["server.state_dir"]);
    let words = file["errors"][0]["message"].as_str().unwrap();
    assert!(words.contains("is not a folder"), "{words}");
    assert_eq!(paths(&check(".", 0), "warnings"), [""; 0]);
}

#[test]
fn the_closed_list_of_shared_issuers_is_printed() {
    let site = Site::new(&good());
    let text = site.run(&["check", "--verbose"]).exits(0);
    let json = report(&site.run(&["check", "--format", "json"]).exits(0));
    let listed = json["shared_issuers"].as_array().unwrap();
    for issuer in [
        "https://token.actions.githubusercontent.com",
        "https://gitlab.com",
        "https://accounts.google.com",
    ] {
        assert!(text.stdout.contains(issuer), "{text:#?}");
        assert!(listed.iter().any(|found| found == issuer), "{json}");
    }
}

#[test]
fn what_no_one_asked_for_and_nothing_has_changed_is_not_printed() {
    let own = &keys()["keys"];
    let mut next = generate("ES256", "ec-2");
    next["remint_signs_from"] = json!(4_000_000_000_u64);
    let lists = [
        "issuers where anybody can get a token",
        "signs with ES256 in place of",
        "CA certificates of",
    ];
    let github = "https://token.actions.githubusercontent.com";
    let pinned = connector("gh", github).replace(
        "claims.namespace_path == 'acme'",
        "claims.repository_owner_id == '1'",
    );
    for (further, args, code, shown) in [
        ("", &["check"][..], 0, [false, false, false]),
        // One that is pinned as it should be needs no reminder.
        (pinned.as_str(), &["check"], 0, [false; 3]),
        ("", &["check", "--verbose"], 0, [true, true, true]),
        ("", &["explain"], 1, [false; 3]),
        ("", &["keys", "public"], 0, [false; 3]),
    ] {
        let site = Site::new(&format!("{}{further}", good()));
        site.write(
            "jwks.json",
            &json!({ "keys": [own[0], own[1], next] }).to_string(),
        );
        let run = site.run(args).exits(code);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(
            lists.map(|list| said.contains(list)),
            shown,
            "{args:?} {said}"
        );
    }
}

#[test]
fn warnings_do_not_fail() {
    let text = good().replace(
        "audiences = [\"https://sts.example.com\"]",
        "audiences = [\"*\"]",
    );
    let site = Site::new(&text);
    let json = site.run(&["check", "--format", "json"]).exits(0);
    let found = report(&json);
    assert_eq!(found["ok"], true);
    assert_eq!(paths(&found, "warnings"), ["connectors[0].audiences"]);
    let text = site.run(&["check"]).exits(0);
    assert!(text.stdout.contains("0 errors, 1 warning\n"), "{text:#?}");
    assert!(
        text.stdout
            .contains("warning: site.toml:8:1: connectors[0].audiences: ")
    );
}

#[test]
fn a_key_file_that_others_can_read_is_a_warning() {
    let site = Site::new(&good());
    set_mode(&site.folder().join("jwks.json"), 0o644);
    let found = report(&site.run(&["check", "--format", "json"]).exits(0));
    assert_eq!(paths(&found, "warnings"), ["keys.file"]);
    let message = found["warnings"][0]["message"].as_str().unwrap();
    assert!(message.contains("chmod"), "{message}");
}

/// A connector's issuer, further lines, a condition, and what is said of it; `-` where nothing is.
const TYPES: &str = r#"
https://gitlab.com        |  | claims.project_id == '7' && claims.ref_protected == true | GitLab sends claims.ref_protected as a string, which never equals true: compare it as in claims.ref_protected == 'true'
https://gitlab.com        |  | claims.project_id in ['7', 8]           | claims.project_id == '8'
https://gitlab.com        |  | claims.project_id == '7' && claims.runner_id == '1' | GitLab sends claims.runner_id as a number, which never equals '1': compare it as in claims.runner_id == 1
https://gitlab.com        |  | claims.project_id == '7' && claims.groups_direct == 'g' | as a list, which never equals 'g': compare it as in 'g' in claims.groups_direct
https://gitlab.internal   |  | claims.project_id == 123                | claims.project_id == '123'
https://code.internal     | jwks_uri = "https://code.internal/oauth/discovery/keys" | claims.user_id == 5 | GitLab sends claims.user_id
https://code.internal     |  | claims.namespace_path == 'g' && !claims.ref_protected | GitLab sends claims.ref_protected
https://code.internal     |  | claims.user_id == 5                     | -
https://code.internal     |  | claims.admin == true                    | -
https://gitlab.internal   |  | claims.ref_protected == 'true' && claims.runner_id == 1 && 'g' in claims.groups_direct | -
https://gitlab.internal   |  | int(claims.project_id) == 123 && claims.mine == true | -
https://token.actions.githubusercontent.com | | claims.repository_owner_id == 123456 | GitHub Actions sends claims.repository_owner_id as a string, which never equals 123456
https://token.actions.githubusercontent.com/acme | | claims.run_id != 5 | claims.run_id == '5'
https://ghes.internal/_services/token | | claims.repo_property_open == true | claims.repo_property_open == 'true'
https://token.actions.acme.ghe.com | | 100 < claims.run_number | claims.run_number == '100'
https://agent.buildkite.com | | claims.organization_id == 'o' && claims.build_number == '1' | Buildkite sends claims.build_number as a number
https://oidc.circleci.com/org/o | | claims['oidc.circleci.com/ssh-rerun'] == 'false' | CircleCI sends claims['oidc.circleci.com/ssh-rerun'] as a boolean
https://oidc.circleci.com/org/o | | !claims['oidc.circleci.com/ssh-rerun'] | -
https://app.terraform.io  |  | claims.sub == 'organization:o:x' && claims.terraform_run_phase == 1 | HCP Terraform sends claims.terraform_run_phase as a string
https://accounts.google.com | | claims.sub == '1' && claims.email_verified == 'true' | Google sends claims.email_verified as a boolean
https://any.example       |  | claims.exp > 5 && claims.sub == 'x'     | -
"#;

/// What `check` says of one connector with this issuer and these lines.
fn of_connector(issuer: &str, lines: &str) -> Value {
    let connector = format!(
        "[[connectors]]\nid = \"ci\"\nissuer = {issuer:?}\naudiences = [\"https://sts.example.com\"]\n{lines}"
    );
    let site = Site::new(&config("https://sts.example.com", &connector));
    report(&site.run(&["check", "--format", "json"]).exits(0))
}

#[test]
fn a_comparison_with_a_type_that_the_provider_never_sends_is_a_warning() {
    for row in TYPES.trim().lines() {
        let cells: Vec<_> = row.splitn(4, '|').map(str::trim).collect();
        let [issuer, lines, condition, words] = cells[..] else {
            panic!("{row}");
        };
        let found = of_connector(issuer, &format!("{lines}\nallow = [\"{condition}\"]"));
        if words == "-" {
            assert_eq!(paths(&found, "warnings"), [""; 0], "{row}: {found}");
        } else {
            let expected = ["connectors[0].allow[0]"];
            assert_eq!(paths(&found, "warnings"), expected, "{row}: {found}");
            let message = found["warnings"][0]["message"].as_str().unwrap();
            assert!(message.contains(words), "{row}: {message}");
        }
    }
}

#[test]
fn comparisons_are_looked_at_in_rules_actors_and_computed_claims() {
    let lines = r#"
allow = ["true"]
actors = ["claims.ref_protected == true"]
claims = { a = "claims.project_id == 1 ? 'x' : 'y'" }
[[connectors.rules]]
name = "r"
when = "claims.job_id == 1"
allow = ["claims.user_id == 1"]
"#;
    let found = of_connector("https://gitlab.internal", lines);
    let mut at = paths(&found, "warnings");
    at.sort_unstable();
    let expected = [
        "connectors[0].actors[0]",
        "connectors[0].claims.a",
        "connectors[0].rules[0].allow[0]",
        "connectors[0].rules[0].when",
    ];
    assert_eq!(at, expected, "{found}");
}

#[test]
fn errors_exit_64_all_of_them_in_one_run() {
    let text = good()
        .replace("https://gitlab.example.com", "http://gitlab.example.com")
        .replace("clone_claims", "clone_claim")
        .replace("127.0.0.1:0", "127.0.0.1");
    let site = Site::new(&text);
    let json = site.run(&["check", "--format", "json"]).exits(64);
    let found = report(&json);
    assert_eq!(found["ok"], false);
    let mut errors = paths(&found, "errors");
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "connectors[0].clone_claim",
            "connectors[0].issuer",
            "server.listen[0]"
        ]
    );
    let text = site.run(&["check"]).exits(64);
    assert!(text.stdout.contains("3 errors"), "{text:#?}");
    assert!(
        text.stdout.contains("clone_claims"),
        "did you mean: {text:#?}"
    );
    assert_eq!(text.stderr, "");
}

#[test]
fn it_says_what_serve_says() {
    let text = good().replace("'acme'", "'acme");
    let site = Site::new(&text);
    let check = site.run(&["check"]).exits(64);
    let serve = site.run(&["serve"]).exits(64);
    let errors = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("error: "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(errors(&check.stdout), errors(&serve.stderr));
    assert_eq!(errors(&check.stdout).len(), 1, "{check:#?}");
}

#[test]
fn the_environment_overrides_the_file() {
    let site = Site::new(&good());
    let mut command = remint(site.folder(), &["check", "--format", "json"]);
    command.env("REMINT__SERVER__LISTEN", "127.0.0.1:0,nowhere");
    let run = Finished::from(command.output().unwrap()).exits(64);
    let errors = report(&run)["errors"].clone();
    assert_eq!(errors[0]["path"], "server.listen[1]", "{errors}");
}

#[test]
fn a_wrong_command_line_is_no_other_exit_code() {
    let site = Site::new(&good());
    for args in [
        &["check", "--nonsense"][..],
        &["explain", "--at", "noon"],
        &["keys", "generate", "--alg", "HS256"],
        &["keys", "rotate"],
        &["keys", "rotate", "--alg", "ES256", "--lead", "soon"],
        &["keys", "remove", "--yes"],
        &["no-such-command"],
        &[],
    ] {
        let run = site.run(args).exits(64);
        assert_eq!(run.stdout, "", "{run:#?}");
        assert!(run.stderr.contains("Usage") || run.stderr.contains("--help"));
    }
    for args in [["--help"], ["--version"]] {
        let run = site.run(&args).exits(0);
        assert!(run.stdout.contains("remint"), "{run:#?}");
    }
}
