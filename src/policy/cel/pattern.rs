//! The literal patterns of `matches` and `glob`, compiled once.

use regex::{Regex, RegexBuilder};

use super::compile::CompileError;
use super::glob::Glob;

/// Bytes that a compiled regular expression, and its lazy automaton, may take.
const REGEX_SIZE: usize = 1024 * 1024;

/// Bytes of the longest value that is matched.
const LONGEST_VALUE: usize = 64 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Of `matches`: found anywhere in the value unless anchored.
    Regex(Regex),
    /// Of `glob`: the whole value.
    Glob(Glob),
}

impl Pattern {
    /// Compiles the literal of a call of `function`, which is `matches` or `glob`.
    pub(super) fn new(function: &str, literal: &str) -> Result<Self, CompileError> {
        if function == "glob" {
            return Ok(Self::Glob(Glob::new(literal)));
        }
        RegexBuilder::new(literal)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()
            .map(Self::Regex)
            .map_err(|e| CompileError::new(regex_error(literal, &e)))
    }

    /// The function that the pattern was written for.
    pub(super) fn function(&self) -> &'static str {
        match self {
            Self::Regex(_) => "matches",
            Self::Glob(_) => "glob",
        }
    }

    /// Whether `value` matches; `None` if it is too long to be looked at.
    pub(super) fn is_match(&self, value: &str) -> Option<bool> {
        if value.len() > LONGEST_VALUE {
            return None;
        }
        Some(match self {
            Self::Regex(regex) => regex.is_match(value),
            Self::Glob(glob) => glob.is_match(value),
        })
    }
}

fn regex_error(literal: &str, error: &regex::Error) -> String {
    let literal = crate::oauth::cut(literal);
    match error {
        regex::Error::CompiledTooBig(_) => format!(
            "the pattern '{literal}' of matches is too large: use smaller repetitions, or glob"
        ),
        error => {
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default();
            format!(
                "the pattern '{literal}' of matches is no regular expression ({why}): correct it, or use glob"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_and_broken_patterns_are_refused() {
        let text = |literal: &str| Pattern::new("matches", literal).unwrap_err().to_string();
        assert!(text("(a{1000}){1000}").contains("too large"));
        assert!(text("(").contains("unclosed group"));
        assert!(text(&"(".repeat(2000)).contains("no regular expression"));
    }

    #[test]
    fn evil_repetition_is_linear() {
        let pattern = Pattern::new("matches", "^(a+)+$").unwrap();
        let mut value = "a".repeat(16 * 1024);
        assert_eq!(pattern.is_match(&value), Some(true));
        value.push('b');
        assert_eq!(pattern.is_match(&value), Some(false));
        assert_eq!(pattern.is_match(&"a".repeat(64 * 1024 + 1)), None);
    }
}
