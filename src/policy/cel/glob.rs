//! Patterns of `glob`: anchored, `*` stops at `/` and `:`, `**` crosses them, all else is literal.

/// A compiled pattern: one bit for each token between its literal ends, so that a step over a character of the value
/// moves along every way through the pattern at once and nothing is ever tried again.
#[derive(Debug)]
pub(super) struct Glob {
    /// Up to the first wildcard.
    prefix: String,
    /// After the last wildcard.
    suffix: String,
    /// How many tokens there are from the first wildcard to the last one.
    tokens: usize,
    /// Where each character stands, sorted by character.
    chars: Vec<(char, Bits)>,
    /// Where no character stands.
    nowhere: Bits,
    /// Where `*` stands.
    segment: Bits,
    /// Where `**` stands.
    any: Bits,
}

/// A set of positions, 64 to a word.
type Bits = Box<[u64]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Segment,
    Any,
}

impl Token {
    fn is_wild(self) -> bool {
        !matches!(self, Self::Char(_))
    }
}

impl Glob {
    /// Compiles `pattern`; every text is a pattern.
    pub(super) fn new(pattern: &str) -> Self {
        let mut tokens = read(pattern);
        let first = tokens
            .iter()
            .position(|token| token.is_wild())
            .unwrap_or(tokens.len());
        let last = tokens
            .iter()
            .rposition(|token| token.is_wild())
            .map_or(first, |at| at + 1);
        let suffix = literal(&tokens.split_off(last));
        let middle = tokens.split_off(first);
        let place = |wanted: Token| bits(middle.len(), |at| middle.get(at) == Some(&wanted));
        let mut letters: Vec<char> = literal(&middle).chars().collect();
        letters.sort_unstable();
        letters.dedup();
        Self {
            prefix: literal(&tokens),
            suffix,
            tokens: middle.len(),
            chars: letters
                .into_iter()
                .map(|c| (c, place(Token::Char(c))))
                .collect(),
            nowhere: bits(middle.len(), |_| false),
            segment: place(Token::Segment),
            any: place(Token::Any),
        }
    }

    /// What every matching value begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether all of `value` matches, in time proportional to its length for a pattern of some 60 characters.
    pub(super) fn is_match(&self, value: &str) -> bool {
        let middle = value
            .strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_suffix(&self.suffix));
        middle.is_some_and(|text| self.matches_middle(text))
    }

    fn matches_middle(&self, text: &str) -> bool {
        if self.tokens == 1 && self.any.first() == Some(&1) {
            return true;
        }
        let mut reached = bits(self.tokens, |at| at == 0);
        self.skip_wildcards(&mut reached);
        for c in text.chars() {
            self.step(&mut reached, c);
            if reached.iter().all(|word| *word == 0) {
                return false;
            }
        }
        let last = reached.get(self.tokens / 64).copied().unwrap_or(0);
        last & (1 << (self.tokens % 64)) != 0
    }

    /// Moves every position over `c`: past its literal, or nowhere within a wildcard that takes it.
    fn step(&self, reached: &mut Bits, c: char) {
        let literal = match self.chars.binary_search_by_key(&c, |(known, _)| *known) {
            Ok(at) => self.chars.get(at).map_or(&self.nowhere, |(_, bits)| bits),
            Err(_) => &self.nowhere,
        };
        let segment = if c == '/' || c == ':' {
            &self.nowhere
        } else {
            &self.segment
        };
        let wild = segment
            .iter()
            .zip(&self.any)
            .map(|(segment, any)| segment | any);
        let mut carry = 0;
        for ((word, literal), wild) in reached.iter_mut().zip(literal).zip(wild) {
            let moved = *word & literal;
            *word = (moved << 1) | carry | (*word & wild);
            carry = moved >> 63;
        }
        self.skip_wildcards(reached);
    }

    /// A wildcard may also stand for nothing; no two stand side by side.
    fn skip_wildcards(&self, reached: &mut Bits) {
        let wild = self
            .segment
            .iter()
            .zip(&self.any)
            .map(|(segment, any)| segment | any);
        let mut carry = 0;
        for (word, wild) in reached.iter_mut().zip(wild) {
            let skipped = *word & wild;
            *word |= (skipped << 1) | carry;
            carry = skipped >> 63;
        }
    }
}

/// The tokens of `pattern`; wildcards side by side become one, `**` if one of them was.
fn read(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '*' {
            tokens.push(Token::Char(c));
            continue;
        }
        let mut token = Token::Segment;
        while chars.next_if_eq(&'*').is_some() {
            token = Token::Any;
        }
        tokens.push(token);
    }
    tokens
}

/// The set of those of the positions `0..=last` that `holds`.
fn bits(last: usize, holds: impl Fn(usize) -> bool) -> Bits {
    let word = |word: usize| {
        (0..64)
            .filter(|bit| holds(word * 64 + bit))
            .fold(0, |bits, bit| bits | (1_u64 << bit))
    };
    (0..=last / 64).map(word).collect()
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
    fn long_patterns_agree_with_short_ones() {
        for n in [60, 61, 62, 63, 64, 65, 126, 127, 128, 129, 500] {
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
    fn many_stars_do_not_blow_up() {
        let text = "a".repeat(16 * 1024);
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &text));
        assert!(!matches(&format!("{}b*", "**a".repeat(100)), &text));
    }
}
