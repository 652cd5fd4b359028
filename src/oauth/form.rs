//! The `application/x-www-form-urlencoded` body of a token request (RFC 6749 §3.2).

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};

use super::{Reason, Refusal, cut};

/// Parameters that may stand more than once (RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["audience", "resource"];

/// How many parameters a form may have; no request needs nearly as many.
const MOST_PAIRS: usize = 100;

/// A parsed form whose single-valued parameters are known to stand at most once.
///
/// Empty parameters count as absent, and unknown ones are ignored (RFC 6749 §3.2).
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    is_braced: bool,
}

impl<'a> Form<'a> {
    /// Parses a body; refuses one that is not UTF-8 or repeats a single-valued parameter.
    pub fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, value) in pieces(body).filter_map(pair) {
            if pairs.len() == MOST_PAIRS {
                return Err(Refusal::new(
                    Reason::ParameterMalformed,
                    format!("the form has more than {MOST_PAIRS} parameters"),
                ));
            }
            // The parser puts U+FFFD where bytes were not UTF-8, and nobody sends one on purpose.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(Refusal::new(
                    Reason::ParameterMalformed,
                    "the form is not valid UTF-8: percent-encode the UTF-8 bytes of each value",
                ));
            }
            let repeated = pairs.iter().any(|(known, _)| *known == name);
            if repeated && !REPEATABLE.contains(&name.as_ref()) {
                return Err(Refusal::new(
                    Reason::ParameterRepeated,
                    format!("the parameter `{}` stands more than once", cut(&name)),
                ));
            }
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self {
            pairs,
            // curl's --data-urlencode encodes the brace.
            is_braced: [&b"{"[..], b"%7B"]
                .iter()
                .any(|brace| body.trim_ascii_start().starts_with(brace)),
        })
    }

    /// Whether the body begins as a JSON object does.
    pub fn looks_like_json(&self) -> bool {
        self.is_braced
    }

    /// The value of a parameter, `None` when it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of a parameter that must be there.
    pub fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::new(
                Reason::ParameterMissing,
                format!("the parameter `{name}` is missing or empty"),
            )
        })
    }

    /// The values of a parameter, in the order of the form.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_ref())
    }

    /// The scopes that the form asks for (RFC 6749 §3.3).
    pub fn scopes(&self) -> Vec<String> {
        let scopes = self.get("scope").unwrap_or_default().split(' ');
        scopes
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// All parameters, in the order of the form.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// The encoded parameters of a form.
fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (piece, behind) = match memchr(b'&', rest) {
            Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
            None if rest.is_empty() => return None,
            None => (rest, &[][..]),
        };
        rest = behind;
        Some(piece)
    })
}

/// Name and value of one parameter, if there is one.
fn pair(piece: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    // A token is most of a request and has nothing to decode, so it is not taken byte by byte.
    if memchr2(b'%', b'+', piece).is_none()
        && let Ok(plain) = std::str::from_utf8(piece)
        && !plain.is_empty()
    {
        let (name, value) = plain.split_once('=').unwrap_or((plain, ""));
        return Some((name.into(), value.into()));
    }
    form_urlencoded::parse(piece).next()
}

// Values may be tokens and secrets.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.pairs.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_absent_and_order_is_kept() {
        let form = Form::parse(b"scope=&audience=b&audience=a&resource=&x=1").unwrap();
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.all("audience").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(
            form.require("scope").unwrap_err().reason,
            Reason::ParameterMissing
        );
    }

    #[test]
    fn repeats_are_refused_even_when_empty_or_equal() {
        for body in ["scope=a&scope=a", "scope=&scope=a", "unknown=1&unknown=2"] {
            let refusal = Form::parse(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.reason, Reason::ParameterRepeated, "{body}");
        }
    }

    #[test]
    fn a_form_is_read_as_the_standard_reads_it() {
        for body in [
            "",
            "&",
            "a",
            "a&b=1&&c=",
            "=x&a==b=&",
            "a=b+c&d%3De=%26%c3%a9&f=é",
            "a=%zz&b=%&c=%2",
        ] {
            let standard = form_urlencoded::parse(body.as_bytes());
            let read = pieces(body.as_bytes()).filter_map(pair);
            assert!(read.eq(standard), "{body}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        for body in [&b"a=\xff"[..], b"a=%ff", b"%ff=a"] {
            let refusal = Form::parse(body).unwrap_err();
            assert_eq!(refusal.reason, Reason::ParameterMalformed);
        }
    }
}
