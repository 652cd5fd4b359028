//! What is said of a configuration with `get_user_info`.

use remint::app::{App, Surroundings};
use remint::config::{
    self,
    problems::{Problems, Severity},
};

use crate::connector;

/// What is found about a connector for this issuer.
fn found(issuer: &str, lines: &str) -> Vec<(Severity, String, String)> {
    let text = format!(
        "issuer = \"https://sts.example.com\"\n{}",
        connector(issuer, lines)
    );
    let mut problems = Problems::new();
    let settings = config::load_toml(&text, &mut problems).unwrap();
    let keys = std::fs::read("jwks.example.json").unwrap();
    let _ = App::build(
        &settings,
        Some(&keys),
        &Surroundings::machine(),
        &mut problems,
    );
    let found = problems.iter();
    let found = found.filter(|problem| problem.path.starts_with("connectors"));
    found
        .map(|problem| {
            (
                problem.severity,
                problem.path.clone(),
                problem.message.clone(),
            )
        })
        .collect()
}

const IDP: &str = "https://idp.example.com";
const GITLAB: &str = "https://gitlab.com";

#[test]
fn each_doubtful_line_has_its_own_message() {
    use Severity::{Error, Note, Warning};
    let open = "allow = [\"true\"]";
    let no_rule = "[[connectors.rules]]\nname = \"any\"\nwhen = \"true\"";
    let pin = "allow = [\"claims.namespace_id == '1'\"]";
    for (issuer, lines, severity, key, words) in [
        (
            IDP,
            "get_user_info = false\nuserinfo_uri = \"https://h/u\"",
            Warning,
            "userinfo_uri",
            "no effect",
        ),
        (
            IDP,
            "userinfo_uri = \"http://h/u\"",
            Error,
            "userinfo_uri",
            "insecure_http",
        ),
        (
            IDP,
            "userinfo_uri = \"h/u\"",
            Error,
            "userinfo_uri",
            "userinfo endpoint",
        ),
        (
            "idp",
            "jwks_uri = \"https://h/k\"",
            Error,
            "get_user_info",
            "userinfo_uri",
        ),
        (
            IDP,
            "max_token_age = \"5m\"",
            Warning,
            "max_token_age",
            "`iat`",
        ),
        (
            IDP,
            "max_subject_lifetime = \"5m\"",
            Warning,
            "max_subject_lifetime",
            "`exp`",
        ),
        (IDP, "replay = \"once\"", Note, "replay", "24h"),
        (IDP, open, Warning, "allow", "claims.sub == "),
        (
            IDP,
            "allow = [\" true \", \"true\"]",
            Warning,
            "allow",
            "every opaque token",
        ),
        (
            IDP,
            &format!("{open}\n{no_rule}"),
            Warning,
            "allow",
            "every opaque token",
        ),
        (GITLAB, pin, Warning, "get_user_info", "GitLab.com"),
        (
            GITLAB,
            &format!("{open}\nallow_anyone = true"),
            Error,
            "get_user_info",
            "GitLab.com",
        ),
    ] {
        let found = found(issuer, lines);
        let path = format!("connectors[0].{key}");
        let is_it = |(at, place, text): &(Severity, String, String)| {
            (*at, place.as_str()) == (severity, path.as_str()) && text.contains(words)
        };
        assert!(found.iter().any(is_it), "{lines}: {found:?}");
    }
}

#[test]
fn what_is_in_order_is_not_remarked_on() {
    let rule = "[[connectors.rules]]\nname = \"ops\"\nwhen = \"'ops' in claims.groups\"";
    for lines in [
        "",
        "userinfo_uri = \"https://elsewhere.example/u\"",
        "insecure_http = false\nuserinfo_uri = \"http://127.0.0.1:1/u\"",
        "jwks_uri = \"https://h/k\"\njwks_hosts = [\"h\"]",
        "jwks_file = \"jwks.example.json\"\njwks_hosts = [\"h\"]\nheaders = { a = \"b\" }",
    ] {
        assert_eq!(found(IDP, lines), [], "{lines}");
    }
    let open = format!("allow = [\"true\"]\n{rule}");
    let warned = found(IDP, &open);
    assert!(
        warned
            .iter()
            .all(|(severity, ..)| *severity == Severity::Note),
        "{warned:?}"
    );
    let absent = found(IDP, "allow = []");
    assert!(
        absent
            .iter()
            .all(|(_, _, text)| !text.contains("every opaque token")),
        "{absent:?}"
    );
    // Without discovery, and without get_user_info, these do nothing.
    for lines in [
        "jwks_uri = \"https://h/k\"\njwks_hosts = [\"h\"]\nuserinfo_uri = \"https://h/u\"",
        "jwks_uri = \"https://h/k\"\njwks_hosts = [\"h\"]\nget_user_info = false",
    ] {
        let found = found(IDP, lines);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].1, "connectors[0].jwks_hosts");
    }
}
