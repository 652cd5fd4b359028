//! Keeping text within what an `error_description` may hold.

use super::redact;

/// How many characters of a foreign value stand in a description.
const LONGEST_VALUE: usize = 100;

/// `value` cut at 100 characters, with an ellipsis where something was left out.
///
/// Tokens in it are not shown: somebody sent one in the wrong place.
pub fn cut(value: &str) -> String {
    let value = redact(value);
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.into_owned(),
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
    fn cuts_at_characters_not_bytes_and_after_tokens_are_out() {
        assert_eq!(cut(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(cut(&"é".repeat(101)), format!("{}...", "é".repeat(100)));
        // A cut before that would leave a beginning that nothing tells from other text.
        let late = format!("{} eyJhbGciOiJFUzI1NiJ9.e30.x", "x".repeat(97));
        assert_eq!(cut(&late), format!("{} (a...", "x".repeat(97)));
    }
}
