//! `Authorization: Basic` as OAuth uses it (RFC 6749 §2.3.1, RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::credentials::Candidate;

/// What a header value can mean, the most likely first: form-urlencoded as RFC 6749 wants it, then as it is, since curl
/// and others do not encode. `None` where it is not Basic, or not well-formed.
pub(super) fn read(value: &[u8]) -> Option<Vec<Candidate>> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, encoded) = value.split_at_checked(space)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let text = STANDARD.decode(encoded.trim_ascii_start()).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (id, secret) = text.split_once(':')?;
    if id.is_empty() {
        return None;
    }
    let raw = Candidate::new(id, secret);
    let decoded = form_decoded(id).zip(form_decoded(secret));
    let decoded = decoded.map(|(id, secret)| Candidate { id, secret });
    Some(match decoded {
        Some(decoded) if decoded != raw => vec![decoded, raw],
        _ => vec![raw],
    })
}

/// Undoes `application/x-www-form-urlencoded`; `None` for text that was not encoded by it.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    let digit = |bytes: &mut std::str::Bytes<'_>| char::from(bytes.next()?).to_digit(16);
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => u8::try_from(digit(&mut bytes)? * 16 + digit(&mut bytes)?).ok()?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings(value: &[u8]) -> Option<Vec<(String, String)>> {
        let candidates = read(value)?.into_iter();
        Some(candidates.map(|one| (one.id, one.secret)).collect())
    }

    fn basic(credential: impl AsRef<[u8]>) -> String {
        format!("Basic {}", STANDARD.encode(credential))
    }

    #[test]
    fn decodes_first_and_keeps_what_stands_there() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("app:s3cret", &[("app", "s3cret")]),
            ("app:", &[("app", "")]),
            ("app:a:b", &[("app", "a:b")]),
            ("a%3Ab:c%3Ad", &[("a:b", "c:d"), ("a%3Ab", "c%3Ad")]),
            ("app:a+b", &[("app", "a b"), ("app", "a+b")]),
            ("app:%c3%A9", &[("app", "é"), ("app", "%c3%A9")]),
            ("app:é", &[("app", "é")]),
            ("app:100%", &[("app", "100%")]),
            ("app:%zz+", &[("app", "%zz+")]),
            ("app:%+1", &[("app", "%+1")]),
            ("app:%ff", &[("app", "%ff")]),
        ];
        for (credential, expected) in table {
            let expected = expected.iter();
            let expected: Vec<_> = expected
                .map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned()))
                .collect();
            let found = meanings(basic(credential).as_bytes());
            assert_eq!(found, Some(expected), "{credential}");
        }
    }

    #[test]
    fn the_scheme_is_of_any_case_and_the_base64_strict() {
        for value in ["basic YTpi", "BASIC YTpi", "Basic   YTpi", "Basic YTpiYw=="] {
            assert!(read(value.as_bytes()).is_some(), "{value}");
        }
        let no_colon = basic("app");
        let no_user = basic(":s3cret");
        let not_utf8 = basic(b"app:\xff");
        let refused: &[&[u8]] = &[
            b"",
            b"Basic",
            b"Basic ",
            b"BasicYTpi",
            b"Bearer YTpi",
            b"Basic YTpiYw",
            b"Basic YTpiYx==",
            b"Basic YTpi YTpi",
            b"Basic YT_-",
            b"Basic \xff\xff\xff\xff",
            b"Bas\xeec YTpi",
            no_colon.as_bytes(),
            no_user.as_bytes(),
            not_utf8.as_bytes(),
        ];
        for value in refused {
            assert_eq!(meanings(value), None, "{}", value.escape_ascii());
        }
    }
}
