//! Patterns of `glob`: anchored, `*` stops at `/` and `:`, `**` crosses them, all else is literal.

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Glob {
    /// Up to the first wildcard.
    prefix: String,
    /// From the first wildcard to the last one; empty in a pattern without any.
    middle: Vec<Token>,
    /// After the last wildcard.
    suffix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Segment,
    Any,
}

impl Glob {
    /// Compiles `pattern`; every text is a pattern.
    pub(super) fn new(pattern: &str) -> Self {
        let mut tokens = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' if chars.next_if_eq(&'*').is_some() => Token::Any,
                '*' => Token::Segment,
                c => Token::Char(c),
            });
        }
        let wild = |token: &Token| !matches!(token, Token::Char(_));
        let first = tokens.iter().position(wild).unwrap_or(tokens.len());
        let last = tokens.iter().rposition(wild).map_or(first, |at| at + 1);
        let suffix = literal(&tokens.split_off(last));
        let middle = tokens.split_off(first);
        Self {
            prefix: literal(&tokens),
            middle,
            suffix,
        }
    }

    /// What every matching value begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether all of `value` matches, in time proportional to the length of both.
    pub(super) fn is_match(&self, value: &str) -> bool {
        value
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_suffix(&self.suffix))
            .is_some_and(|rest| self.matches_middle(rest))
    }

    /// Follows every way through the tokens at once, so that no input makes it go back.
    fn matches_middle(&self, text: &str) -> bool {
        if self.middle == [Token::Any] {
            return true;
        }
        let mut reached = vec![false; self.middle.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        self.skip_wildcards(&mut reached);
        for c in text.chars() {
            let mut next = vec![false; reached.len()];
            for (at, token) in self.middle.iter().enumerate() {
                if reached.get(at) != Some(&true) {
                    continue;
                }
                let to = match token {
                    Token::Char(literal) if *literal == c => at + 1,
                    Token::Segment if c != '/' && c != ':' => at,
                    Token::Any => at,
                    _ => continue,
                };
                if let Some(slot) = next.get_mut(to) {
                    *slot = true;
                }
            }
            self.skip_wildcards(&mut next);
            if !next.contains(&true) {
                return false;
            }
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// A wildcard may also stand for nothing.
    fn skip_wildcards(&self, reached: &mut [bool]) {
        let mut carry = false;
        for (slot, token) in reached
            .iter_mut()
            .zip(self.middle.iter().map(Some).chain([None]))
        {
            *slot |= carry;
            carry = *slot && matches!(token, Some(Token::Segment | Token::Any));
        }
    }
}

fn literal(tokens: &[Token]) -> String {
    tokens
        .iter()
        .filter_map(|token| match token {
            Token::Char(c) => Some(*c),
            Token::Segment | Token::Any => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Glob::new(pattern).is_match(value)
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
        assert_eq!(Glob::new("repo:o/*:x**").prefix(), "repo:o/");
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let text = "a".repeat(16 * 1024);
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &text));
        assert!(!matches(&format!("{}b*", "**a".repeat(100)), &text));
    }
}
