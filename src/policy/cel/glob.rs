//! Patterns of `glob`: anchored, `*` stops at `/` and `:`, `**` crosses them, all else is literal.

use std::fmt::Write as _;

/// What every value that `pattern` matches begins with: its text up to the first wildcard.
pub(super) fn prefix(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// The regular expression that matches what `pattern` does, over the bytes of a text.
pub(super) fn to_regex(pattern: &str) -> String {
    let mut regex = String::from(r"\A");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '*' {
            let mut crosses = false;
            while chars.next_if_eq(&'*').is_some() {
                crosses = true;
            }
            regex.push_str(if crosses { "(?s-u:.)*" } else { "(?-u:[^/:])*" });
        } else if c.is_ascii_alphanumeric() {
            regex.push(c);
        } else {
            let _ = write!(regex, r"\x{{{:x}}}", u32::from(c));
        }
    }
    regex.push_str(r"\z");
    regex
}

#[cfg(test)]
mod tests {
    use super::super::meter::Meter;
    use super::super::pattern::Pattern;
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        let pattern = Pattern::new("glob", pattern).unwrap();
        pattern.is_match(value, &Meter::default()).unwrap()
    }

    #[test]
    fn one_star_stays_within_a_segment() {
        assert!(matches("repo:octo-org/*", "repo:octo-org/site"));
        assert!(matches("repo:octo-org/*", "repo:octo-org/"));
        assert!(!matches("repo:octo-org/*", "repo:octo-org/site:ref:x"));
        assert!(!matches("repo:octo-org/*", "repo:octo-org/a/b"));
        assert!(!matches("repo:octo-org*", "repo:octo-org/site"));
        assert!(matches("repo:*/x:*", "repo:a/x:b"));
        assert!(matches("*a*b", "xaab"));
        assert!(!matches("*a*b", "xa/b"));
    }

    #[test]
    fn two_stars_cross_segments() {
        assert!(matches(
            "repo:octo-org/**",
            "repo:octo-org/site:ref:refs/heads/main"
        ));
        assert!(matches("**", ""));
        assert!(matches("a/**/b", "a/x/y/b"));
        assert!(!matches("a/**/b", "a/b"));
        assert!(matches("**/b*", "a/b/bc"));
        assert!(!matches("**/b*", "a/bc/d"));
        assert!(matches("***", "a/b"));
        assert!(matches("**é*", "/éa"));
    }

    #[test]
    fn all_else_is_literal_and_anchored() {
        assert!(matches("a.b?[c]{d}\\", "a.b?[c]{d}\\"));
        assert!(!matches("a.b", "axb"));
        assert!(!matches("main", "maine"));
        assert!(!matches("main", "amain"));
        assert!(!matches("ab*ba", "aba"), "prefix and suffix do not overlap");
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("a\nb é", "a\nb é"));
        assert!(matches("*", "\n") && matches("**", "\n"));
    }

    #[test]
    fn long_patterns_agree_with_short_ones() {
        for n in [60, 61, 62, 63, 64, 65, 126, 127, 128, 129, 250] {
            let text = "ab".repeat(n);
            for (pattern, expected) in [
                (format!("*{text}*"), true),
                (format!("**{text}**"), true),
                (format!("*{}**", "a*".repeat(n)), true),
                (format!("*{text}a*"), false),
                (format!("*{}x*", "*b".repeat(n)), false),
            ] {
                assert_eq!(matches(&pattern, &text), expected, "{pattern}");
                assert_eq!(
                    matches(&pattern, &format!("b{text}")),
                    expected,
                    "{pattern}"
                );
                let crossing = pattern.starts_with("**") && expected;
                assert_eq!(
                    matches(&pattern, &format!(":{text}")),
                    crossing,
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn the_beginning_is_what_stands_before_a_star() {
        for (pattern, beginning) in [
            ("repo:o/*:x**", "repo:o/"),
            ("main", "main"),
            ("**", ""),
            ("", ""),
        ] {
            assert_eq!(prefix(pattern), beginning, "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let text = "a".repeat(16 * 1024);
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &text));
        assert!(!matches(&format!("{}b*", "**a".repeat(100)), &text));
    }
}
