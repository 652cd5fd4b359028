//! The tables of the pages against the code that they describe.

use std::collections::BTreeSet;

use remint::oauth::{ErrorCode, Reason};
use serde_json::Value;

use super::running::{demo, place, serve_with};
use super::world::get;
use super::{bash, page, readme, site, swap, text};

/// The rows of every table under headings that start with `heading`, each as its cells.
pub(super) fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = section(page, heading);
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let inner = line.trim_matches('|');
        inner
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    // Heads are not in code font.
    lines
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .collect()
}

/// From a heading to the next one of any level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("{heading:?} is not a heading"));
    rest.split("\n#").next().unwrap()
}

/// A cell that is one word in code font.
fn word(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// The table of the file that a heading names, as it stands in a known key: `[[a.b]]` is `a[].b[].`.
fn table(heading: &str) -> Option<String> {
    let name = heading.strip_prefix("## ")?;
    if name == "Top of the file" {
        return Some(String::new());
    }
    let list = name
        .strip_prefix("[[")
        .and_then(|name| name.strip_suffix("]]"));
    Some(match list {
        Some(list) => format!("{}[].", list.replace('.', "[].")),
        None => format!("{}.", name.strip_prefix('[')?.strip_suffix(']')?),
    })
}

#[test]
fn every_key_has_its_row_and_every_row_is_a_key() {
    let page = page("docs/configuration.md");
    let mut documented = Vec::new();
    for heading in page.lines().filter(|line| line.starts_with("## ")) {
        let Some(table) = table(heading) else {
            continue;
        };
        for row in rows(&page, heading) {
            assert_eq!(row.len(), 4, "{row:?}");
            assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
            documented.push(format!("{table}{}", word(&row[0])));
        }
    }
    let mut known = remint::config::known_keys();
    known.sort();
    documented.sort();
    assert_eq!(documented, known);
}

/// A status with its `error` as the tables write it.
fn shown((status, error): (u16, ErrorCode)) -> String {
    format!("{status} `{}`", error.as_str())
}

#[test]
fn every_reason_has_its_row_with_its_status() {
    const EARLY: [Reason; 8] = [
        Reason::BodyTimeout,
        Reason::BodyTooLarge,
        Reason::ContentTypeUnsupported,
        Reason::HeadMalformed,
        Reason::HeadTimeout,
        Reason::HeadTooLarge,
        Reason::MethodNotAllowed,
        Reason::NotFound,
    ];
    let page = page("docs/audit.md");
    let (early, decided): (Vec<Reason>, Vec<Reason>) = Reason::ALL
        .iter()
        .partition(|reason| EARLY.contains(reason));

    let cells = |heading: &str, columns: &[usize], width: usize| {
        let rows = rows(&page, heading).into_iter();
        let mut rows: Vec<Vec<String>> = rows
            .map(|row| {
                assert_eq!(row.len(), width, "{row:?}");
                assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
                columns.iter().map(|column| row[*column].clone()).collect()
            })
            .collect();
        rows.sort();
        rows
    };
    let code = |reason: &Reason| format!("`{}`", reason.code());

    let mut expected: Vec<_> = early
        .iter()
        .map(|reason| vec![code(reason), shown(reason.oauth())])
        .collect();
    expected.sort();
    assert_eq!(
        cells("### Before there is a decision", &[0, 2], 4),
        expected
    );

    let mut expected: Vec<_> = decided
        .iter()
        .map(|reason| {
            let simple = reason.simple();
            // What the page says of the error in words.
            let error = if simple.0 == 403 {
                ErrorCode::AccessDenied
            } else {
                reason.oauth().1
            };
            assert_eq!(simple.1, error, "{reason:?}");
            vec![code(reason), shown(reason.oauth()), simple.0.to_string()]
        })
        .collect();
    expected.sort();
    assert_eq!(cells("### Decisions", &[0, 2, 3], 5), expected);
}

#[test]
fn sampled_reasons_are_named() {
    let page = page("docs/audit.md");
    let (_, rest) = page.split_once("The reasons ").unwrap();
    let (list, _) = rest.split_once(" are sampled").unwrap();
    let named: BTreeSet<_> = list.split('`').skip(1).step_by(2).collect();
    let limits = Reason::ALL.iter().filter(|reason| reason.is_limit());
    assert_eq!(named, limits.map(|reason| reason.code()).collect());
}

/// The first column of a table, without the code font.
fn names(heading: &str) -> BTreeSet<String> {
    let rows = rows(&page("docs/audit.md"), heading);
    rows.iter().map(|row| word(&row[0]).to_owned()).collect()
}

#[test]
fn events_and_metrics_are_those_of_the_tables() {
    let (_demo, _, [_, practice]) = demo();
    let toml = readme("toml", "jwks_uri =");
    let toml = swap(
        &toml,
        "https://gitlab.example.com/oauth/discovery/keys",
        &format!("{practice}/jwks"),
    );
    let toml = swap(
        &toml,
        "https://gitlab.example.com",
        &format!("{practice}/gitlab"),
    );
    let toml = swap(
        &toml,
        "\n[keys]",
        "\n[server]\nadmin_listen = \"127.0.0.1:0\"\nstate_dir = \".\"\n\n[keys]",
    );
    let more = r#"
        replay = "once"
        get_user_info = true
        [[connectors.rules]]
        name = "any"
        when = "true"
        [[clients]]
        id = "app"
        secret = "s3cret"
        grants = ["token-exchange", "client_credentials"]
    "#;
    let folder = site(&format!("{toml}{more}"));
    let (remint, origin) = serve_with(folder.path(), &["--log-format", "json"]);
    let admin = remint.until("admin on ").pop().unwrap();
    let admin = place(&admin, "admin on ");

    let held = get(&practice, "/token?kind=gitlab&aud=https://sts.example.com");
    let form = "application/x-www-form-urlencoded";
    let own = "grant_type=client_credentials&scope=openid".to_owned();
    let asked = [
        ("s3cret", form, own.clone()),
        ("wrong", form, own),
        (
            "s3cret",
            "application/json",
            format!("{{\"token\": \"{held}\"}}"),
        ),
        (
            "s3cret",
            "application/json",
            "{\"token\": \"none\"}".to_owned(),
        ),
        ("s3cret", "text/plain", String::new()),
    ];
    let mut seen = BTreeSet::new();
    for (secret, kind, body) in asked {
        let curl = format!(
            "curl -sS {origin}/token -u app:{secret} -H 'Content-Type: {kind}' --data '{body}'"
        );
        let ran = bash(&curl, folder.path(), &[]);
        assert!(ran.status.success(), "{}", text(&ran));
        let event = remint.until("\"target\":\"audit\"").pop().unwrap();
        let event: Value = serde_json::from_str(&event).unwrap();
        seen.extend(event.as_object().unwrap().keys().cloned());
    }
    for frame in ["timestamp", "level", "target"] {
        assert!(seen.remove(frame), "{frame} is not in {seen:?}");
    }
    assert_eq!(seen, names("## Audit events"));
    check_metrics(&get(&admin, "/metrics"));
}

/// That exactly the metrics of the page are there, each with its labels.
fn check_metrics(text: &str) {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics: BTreeSet<_> = kinds
        .map(|kind| match kind.split_once(' ').unwrap() {
            (name, "counter") => (format!("{name}_total"), "counter".to_owned()),
            (name, kind) => (name.to_owned(), kind.to_owned()),
        })
        .collect();
    let documented = rows(&page("docs/audit.md"), "## Metrics");
    let pairs = documented
        .iter()
        .map(|row| (word(&row[0]).to_owned(), row[1].clone()));
    assert_eq!(metrics, pairs.collect(), "{text}");
    for row in documented {
        let labels: Vec<_> = row[2].split('`').skip(1).step_by(2).collect();
        let name = word(&row[0]);
        let sample = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{")));
        for label in labels {
            let sample = sample.unwrap_or_else(|| panic!("no sample of {name} in {text}"));
            assert!(sample.contains(&format!("{label}=\"")), "{label}: {sample}");
        }
    }
}
