//! Issuers that are allowed, and yet hardly what was meant.

use remint::config::problems::Severity;

use super::{Run, instead};

#[test]
fn an_issuer_without_a_scheme_is_a_warning_where_it_looks_like_a_host() {
    let line = "issuer = \"https://gitlab.example.com\"";
    for keys in ["jwks_uri = \"https://h/keys\"", "jwks_file = \"f\""] {
        for issuer in ["gitlab.internal", "gitlab:8443", "gitlab.internal/path"] {
            let by = format!("issuer = {issuer:?}\n{keys}");
            let run = Run::toml(&instead(line, &by));
            let words = [
                &format!("write \"https://{issuer}\"")[..],
                "byte for byte",
                "no scheme",
            ];
            run.only(Severity::Warning, "connectors[0].issuer", &words, &by);
        }
        for issuer in [
            "accounts.google.com",
            "kubernetes/serviceaccount",
            "https://a.b",
            "urn:a.b",
        ] {
            let run = Run::toml(&instead(line, &format!("issuer = {issuer:?}\n{keys}")));
            assert_eq!(run.found(Severity::Warning), [], "{issuer}");
        }
    }
}

#[test]
fn an_issuer_that_aws_refuses_is_a_warning_where_aws_is_a_target() {
    const AWS: &str = "targets = [\"a\", \"https://sts.amazonaws.com\"]";
    let found = |issuer: &str, lines: &str| {
        let text = instead(
            "issuer = \"https://sts.example.com\"",
            &format!("issuer = {issuer}"),
        );
        let run = Run::toml(&format!("{text}{lines}\n"));
        let found = run.found(Severity::Warning);
        let found = found.iter().filter(|(path, _)| path.starts_with("issuer"));
        let found: Vec<_> = found
            .map(|(path, words)| format!("{path}: {words}"))
            .collect();
        found.join("; ")
    };
    let rule = "rules = [{ name = \"r\", when = \"true\", targets = [\"sts.amazonaws.com\"] }]";
    let client =
        "[[clients]]\nid = \"a\"\nsecret_hash = \"x\"\naudiences = [\"sts.amazonaws.com\"]";
    for lines in [AWS, rule, client] {
        for (issuer, words) in [
            (
                "\"https://h:8443\"",
                "issuer: has the port 8443, which AWS refuses",
            ),
            ("\"http://h:81\"", "issuer: has the port 81"),
            ("\"http://h\"", "AWS, GCP and Azure refuse it"),
            (
                "[\"https://h\", \"https://h:8443/x\"]",
                "issuer[1]: has the port 8443",
            ),
        ] {
            let found = found(issuer, lines);
            assert!(found.contains(words), "{issuer} {lines}: {found}");
        }
        for fine in ["\"https://h\"", "\"http://127.0.0.1:81\""] {
            assert_eq!(found(fine, lines), "", "{lines}");
        }
    }
    assert_eq!(
        found(
            "\"https://h:8443\"",
            "targets = [\"https://sts.amazonaws.com.example\"]"
        ),
        ""
    );
    // Without targets, new tokens keep the audiences that are accepted.
    let kept = instead(
        "issuer = \"https://sts.example.com\"",
        "issuer = \"https://h:8443\"",
    );
    let kept = kept.replace(
        "audiences = [\"https://sts.example.com\"]",
        "audiences = [\"https://sts.amazonaws.com\"]",
    );
    let words = ["has the port 8443", "connectors[0].audiences"];
    Run::toml(&kept).only(Severity::Warning, "issuer", &words, "kept");
}
