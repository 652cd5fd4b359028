//! Foreign texts without the tokens in them: whatever has the shape of a JWS (RFC 7515 §3.1) is not shown.

use std::borrow::Cow;

/// What stands in place of a token.
const INSTEAD: &str = "(a token)";

/// How many bytes of white space JSON may begin with, and an object after its brace, to be seen as one.
const MOST_SPACE: usize = 32;

/// How many bytes of the first member's name must be text.
const NAME: usize = 3;

/// A part of this length beside a dot is that of a token: a signature has 86 characters or more, a label of a host
/// at most 63.
const LONG_PART: usize = 80;

/// What follows a token on the next line goes on with it, if it has this length.
const CONTINUATION: usize = 12;

/// `text` with each token in it replaced by `(a token)`: one is found by a header or a payload that decodes to the
/// beginning of a JSON object, wherever it begins and however it ends, or by the length of its parts.
pub fn redact(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut shown = String::new();
    let mut from = 0;
    while let Some(start) = find(bytes, from) {
        shown.push_str(text.get(from..start).unwrap_or_default());
        shown.push_str(INSTEAD);
        from = end(bytes, start);
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Where the first token at or behind `from` begins.
fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let mut run = from;
    for (place, byte) in bytes.iter().enumerate().skip(from) {
        let rest = bytes.get(place..).unwrap_or_default();
        if !is_joined(*byte) {
            run = place + 1;
        } else if begins_object(rest) {
            return Some(place);
        } else if is_dot(rest) {
            let before = bytes.get(run..place).unwrap_or_default();
            let after = rest.get(1..).unwrap_or_default();
            // Of `%2E` two characters are left.
            let after = after.strip_prefix(b"2E").unwrap_or(after);
            let after = after.strip_prefix(b"2e").unwrap_or(after);
            if is_long_part(before.rsplit(|byte| !is_base64url(*byte)).next())
                || is_long_part(after.split(|byte| !is_base64url(*byte)).next())
            {
                return Some(run);
            }
        }
    }
    None
}

/// Where the token that begins at `start` ends.
fn end(bytes: &[u8], start: usize) -> usize {
    let length = |from: usize, is: fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default().iter();
        rest.take_while(|byte| is(**byte)).count()
    };
    let mut end = start + length(start, is_joined);
    loop {
        // A token that was broken into lines goes on behind the break.
        let next = end + length(end, |byte| byte.is_ascii_whitespace() || byte == b'\\');
        if next == end || length(next, is_base64url) < CONTINUATION {
            return end;
        }
        end = next + length(next, is_joined);
    }
}

/// Whether `rest` begins with the base64url of a JSON object that has a member.
fn begins_object(rest: &[u8]) -> bool {
    // Of `{` and of each white space; it spares nearly all texts the rest.
    if !matches!(rest.first(), Some(b'e' | b'I' | b'C' | b'D')) {
        return false;
    }
    let mut decoded = decode(rest).peekable();
    let mut after_space = || {
        let mut most = MOST_SPACE;
        while most > 0 && decoded.next_if(|byte| b" \t\r\n".contains(byte)).is_some() {
            most -= 1;
        }
        decoded.next()
    };
    if after_space() != Some(b'{') || after_space() != Some(b'"') {
        return false;
    }
    let name = decoded.take(NAME).filter(|byte| !byte.is_ascii_control());
    name.count() == NAME
}

/// The bytes whose base64url or base64 `text` begins with.
fn decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut sextets = text.iter().map_while(|byte| sextet(*byte));
    let (mut bits, mut held) = (0_u32, 0_u32);
    std::iter::from_fn(move || {
        while held < 8 {
            bits = (bits << 6 | u32::from(sextets.next()?)) & 0xffff;
            held += 6;
        }
        held -= 8;
        u8::try_from(bits >> held & 0xff).ok()
    })
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' | b'+' => Some(62),
        b'_' | b'/' => Some(63),
        _ => None,
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Whether it goes on with a token: also where that has padding, or is percent-encoded.
fn is_joined(byte: u8) -> bool {
    is_base64url(byte) || b".=+/%~".contains(&byte)
}

fn is_dot(rest: &[u8]) -> bool {
    rest.starts_with(b".") || rest.starts_with(b"%2E") || rest.starts_with(b"%2e")
}

/// Whether it is long, and as mixed as base64url of anything is.
fn is_long_part(part: Option<&[u8]>) -> bool {
    part.is_some_and(|part| {
        part.len() >= LONG_PART
            && part.iter().any(u8::is_ascii_uppercase)
            && part.iter().any(u8::is_ascii_lowercase)
            && part.iter().any(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// A token of these texts, with a signature of 64 bytes.
    fn token(header: &str, payload: &str) -> String {
        let signature: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(151)).collect();
        let parts = [header.as_bytes(), payload.as_bytes(), &signature];
        parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }

    const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"https://ci.example","sub":"repo:acme/shop","jti":"6fd3f0b2"}"#;

    #[test]
    fn no_part_of_a_token_is_left_wherever_it_stands() {
        let plain = token(HEADER, CLAIMS);
        let (header, rest) = plain.split_once('.').unwrap();
        let spaced = HEADER.replace(':', " : ").replace('{', "{ ");
        let lines = HEADER.replace('{', "{\n  ");
        let cut = |place: usize| plain.get(..place).unwrap().to_owned();
        let table = [
            (plain.clone(), "(a token)"),
            (format!("Bearer {plain}"), "Bearer (a token)"),
            (token(&spaced, CLAIMS), "(a token)"),
            (token(&lines, CLAIMS), "(a token)"),
            (token(&format!(" \t\r\n{HEADER}"), CLAIMS), "(a token)"),
            (token(&format!("\n{spaced}"), &lines), "(a token)"),
            (
                token(HEADER, "not JSON, but signed all the same"),
                "(a token)",
            ),
            (token("{}", CLAIMS), "(a token)"),
            // Inside other words, with nothing between.
            (
                format!("https://x/?t={plain}#end"),
                "https://x/?t=(a token)#end",
            ),
            (
                format!("<{plain}>, \"{plain}\""),
                "<(a token)>, \"(a token)\"",
            ),
            (format!("token{plain}"), "token(a token)"),
            (format!("é{plain}é"), "é(a token)é"),
            (format!("{header}==.{rest}"), "(a token)"),
            (plain.replace('.', "%2E"), "(a token)"),
            (plain.replace('.', "%2e"), "(a token)"),
            (plain.replace('.', ".\n "), "(a token)"),
            (plain.replace('.', ".\\n"), "(a token)"),
            // Cut at the end, and at the beginning.
            (cut(header.len() + 1 + 40), "(a token)"),
            (cut(12), "(a token)"),
            (format!("{}...", cut(20)), "(a token)"),
            (rest.to_owned(), "(a token)"),
            (plain.get(60..).unwrap().to_owned(), "(a token)"),
            (plain.get(60..).unwrap().replace('.', "%2e"), "(a token)"),
        ];
        for (text, expected) in table {
            assert_eq!(redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_stays() {
        for text in [
            "",
            "https://sts.example.com",
            "system:serviceaccount:default:builder-eyJude",
            "repo:acme/shop:ref:refs/heads/release-1.2.3-with-a-name-that-somebody-typed-in-very-many-words-and-more",
            "sha256.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "I C D e eye Ie CgogCQ DQo",
            "urn:ietf:params:oauth:token-type:jwt",
            "é, 漢字 and {\"alg\": 1}",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }
}
