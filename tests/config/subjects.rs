//! Which connectors can issue the same `sub`, as a user is told.

use std::fmt::Write as _;

use remint::config::problems::Severity;

use super::Run;

/// What connectors `a`, `b` and so on, each with an issuer of its own, say of their subjects, and of what the first
/// warning speaks; `-` where there is none. A row without `issuer` in it gives each another one.
const SUBJECTS: &str = r#"
subject_prefix = "a:" ; subject_prefix = "b:" => -
clone_claims = ["sub"] ; subject_prefix = "gitlab:" => [0] "a" can issue any, "b" those that begin with "gitlab:"
subject_prefix = "gitlab:" ; clone_claims = ["sub"] => [1] "b" can issue any, "a" those that begin with "gitlab:"
subject_prefix = "a:" ; subject_prefix = "a:b:" => [0] "a" can issue any that begins with "a:", "b" those that begin with "a:b:"
subject_prefix = "a" ; subject_prefix = "b" ; subject_prefix = "ba" => [1] "b" can issue any that begins with "b", "c" those
subject_prefix = "a:" ; subject_prefix = "ab:" => -
issuer = "https://x" ; issuer = "https://x" ;; subject_prefix = "b:" => -
claims = { sub = "'deploy'" } ; subject_prefix = "b:" => -
claims = { sub = "'b:deploy'" } ; subject_prefix = "b:" => [1] "b" can issue any that begins with "b:", "a" "b:deploy"
claims = { sub = "'ci:' + claims.project_path" } ; subject_prefix = "b:" => -
claims = { sub = "'ci:' + claims.project_path" } ; subject_prefix = "ci:" => [1] "a" and "b" can issue the same
claims = { sub = "claims.email" } ; subject_prefix = "b:" => [0] "a" can issue any
claims = { sub = "'x'" } ; claims = { sub = "'x'" } => [1] "a" and "b" can issue the same
clone_claims = [] ;; rules = [{ name = "r", when = "true", claims = { sub = "'x'" } }] ; subject_prefix = "b:" => -
claims = { sub = "'x'" } ;; rules = [{ name = "r", when = "true", claims = { sub = "claims.sub" } }] ; subject_prefix = "b:" => [0] "a" can issue any
"#;

#[test]
fn subjects_of_two_connectors_that_could_be_the_same_are_warned_of() {
    for row in SUBJECTS.trim().lines() {
        let (connectors, expected) = row.split_once(" => ").unwrap();
        let run = Run::toml(&many(connectors.split(" ; ")));
        let warnings = run.found(Severity::Warning);
        if expected == "-" {
            assert_eq!(warnings, [], "{row}");
            continue;
        }
        let (at, words) = expected.split_once(' ').unwrap();
        let path = format!("connectors{at}.subject_prefix");
        run.only(Severity::Warning, &path, &[words], row);
    }
    let dex = format!(
        "tokens.subject_format = \"dex\"\n{}",
        many(["", "subject_prefix = \"b:\""].into_iter())
    );
    assert_eq!(Run::toml(&dex).found(Severity::Warning), []);
}

#[test]
fn thousands_of_connectors_share_one_warning() {
    let all: Vec<_> = (0..3000)
        .map(|n| format!("subject_prefix = \"c{n}:\""))
        .collect();
    let lines = std::iter::once("clone_claims = [\"sub\"]").chain(all.iter().map(String::as_str));
    let run = Run::toml(&many(lines));
    let words = [
        "\"a\" can issue any, \"b\" those that begin with \"c0:\"",
        "; 2995 more; give",
    ];
    run.only(
        Severity::Warning,
        "connectors[0].subject_prefix",
        &words,
        "3000",
    );
}

/// Connectors with these lines; `;;` stands between lines.
fn many<'a>(connectors: impl Iterator<Item = &'a str>) -> String {
    let mut text = "issuer = \"https://sts.example.com\"\n".to_owned();
    for (index, lines) in connectors.enumerate() {
        let id = match u8::try_from(index) {
            Ok(index @ 0..26) => char::from(b'a' + index).to_string(),
            _ => format!("c{index}"),
        };
        let lines = lines.replace(" ;; ", "\n");
        let issuer = if lines.contains("issuer") {
            String::new()
        } else {
            format!("issuer = \"https://{id}.example\"\n")
        };
        write!(text, "[[connectors]]\nid = \"{id}\"\n{issuer}audiences = [\"x\"]\nallow = [\"true\"]\n{lines}\n").unwrap();
    }
    text
}
