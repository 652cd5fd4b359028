//! A boolean or a number where text is expected, and the other way round.

use super::{GOOD, only};

#[test]
fn what_lacks_quotes_or_has_too_many_is_told_so() {
    for (line, by, words) in [
        (
            "allow = [\"true\"]",
            "allow = [true]",
            [
                "connectors[0].allow[0]: found the boolean true",
                "write \"true\", with quotes",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = true",
            [
                "connectors[0].allow: found the boolean true",
                "write [\"true\"], with brackets and quotes",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = [\"true\", 1]",
            [
                "connectors[0].allow[1]: found the number 1",
                "write \"1\", with quotes",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = \"true\"",
            [
                "connectors[0].allow: found the string \"true\"",
                "a list of strings, such as [\"true\"]",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = [\"true\"]\nrules = [{ name = \"a\", when = true }]",
            [
                "connectors[0].rules[0].when: found the boolean true",
                "write \"true\", with quotes",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = [\"true\"]\n[connectors.claims]\nx = 1",
            [
                "connectors[0].claims.x: found a number",
                "write it with quotes, such as \"1\"",
            ],
        ),
        (
            "allow = [\"true\"]",
            "allow = [\"true\"]\n[connectors.claims]\nx = false",
            [
                "connectors[0].claims.x: found the boolean false",
                "write \"false\", with quotes",
            ],
        ),
        (
            "audiences = [\"https://sts.example.com\"]",
            "audiences = [1.5]",
            [
                "connectors[0].audiences[0]: found the number 1.5",
                "write \"1.5\", with quotes",
            ],
        ),
        (
            "id = \"gitlab\"",
            "id = 7",
            [
                "connectors[0].id: found the number 7",
                "write \"7\", with quotes",
            ],
        ),
        (
            "id = \"gitlab\"",
            "id = \"gitlab\"\ngroups = \"true\"",
            [
                "connectors[0].groups: found the string \"true\"",
                "true or false, without quotes",
            ],
        ),
        (
            "[[connectors]]",
            "[limits]\nmax_connections = \"10\"\n[[connectors]]",
            [
                "limits.max_connections: found the string \"10\"",
                "a whole number, without quotes",
            ],
        ),
    ] {
        assert!(GOOD.contains(line));
        only("site.toml", &GOOD.replace(line, by), &words);
    }
}
