//! `Accept` (RFC 9110 §12.5.1), as far as the two forms of a token reply need it.

use warp::http::HeaderMap;
use warp::http::header::ACCEPT;

/// The two forms of a successful token reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/json`: the object of RFC 8693 §2.2.1.
    Object,
    /// `application/jwt`: the bare token.
    Bare,
}

/// The form that the caller prefers by name, else `default`; wildcards prefer nothing.
pub(super) fn preferred(headers: &HeaderMap, default: Form) -> Form {
    let (mut object, mut bare) = (0.0, 0.0);
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            match kind.as_str() {
                "application/json" => object = quality,
                "application/jwt" => bare = quality,
                _ => {}
            }
        }
    }
    if object > bare {
        Form::Object
    } else if bare > object {
        Form::Bare
    } else {
        default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_and_wildcards_do_not() {
        for (accept, expected) in [
            ("*/*", None),
            ("application/jwt", Some(Form::Bare)),
            ("Application/JSON", Some(Form::Object)),
            ("application/json;q=0.5, application/jwt", Some(Form::Bare)),
            ("application/json, application/jwt;q=0", Some(Form::Object)),
            ("application/json, application/jwt", None),
            ("text/html", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            for default in [Form::Object, Form::Bare] {
                assert_eq!(
                    preferred(&headers, default),
                    expected.unwrap_or(default),
                    "{accept}"
                );
            }
        }
    }
}
