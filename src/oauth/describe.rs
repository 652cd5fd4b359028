//! Keeping text within what an `error_description` may hold.

/// How many characters of a foreign value stand in a description.
const LONGEST_VALUE: usize = 100;

/// `value` cut at 100 characters, with an ellipsis where something was left out.
///
/// What begins like a JWT is not shown at all: somebody sent a token in the wrong place.
pub fn cut(value: &str) -> String {
    if value.starts_with("eyJ") {
        return "(a token)".to_owned();
    }
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// `text` in the bytes that RFC 6749 §5.2 allows: `"` becomes `'`, any other byte outside becomes `?`.
pub fn description_bytes(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            ' '..='~' if c != '\\' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_the_allowed_bytes() {
        assert_eq!(description_bytes("a \"b\" \\ é\n~"), "a 'b' ? ??~");
    }

    #[test]
    fn cuts_at_characters_not_bytes() {
        assert_eq!(cut(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(cut(&"é".repeat(101)), format!("{}...", "é".repeat(100)));
    }
}
