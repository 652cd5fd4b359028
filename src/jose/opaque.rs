//! Opaque access tokens: texts that only their issuer can read.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{LONGEST_TOKEN, Malformed, mistakes};

/// Reads what a strict decoder would refuse, so that a JWT with a flaw is still seen to be one.
const LAX: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How much of a text is looked at to see whether it begins with a JOSE header; four characters are three bytes.
const LOOKED_AT: usize = 64;

/// An access token that is no JWT, fit to be sent in a header.
#[derive(Clone, Copy)]
pub struct OpaqueToken<'a>(&'a str);

/// Whether a text is a signed JWT, even a flawed or cut one, and so is never asked the issuer about.
///
/// An encrypted one (RFC 7516, five parts) can be read by its issuer alone, and so is opaque.
pub fn is_jwt_shaped(text: &str) -> bool {
    let mut parts = text.split('.');
    let header = parts.next().unwrap_or_default();
    (1..=3).contains(&parts.count()) && begins_as_json_object(header)
}

impl<'a> OpaqueToken<'a> {
    /// Takes a text for an opaque token, if a header can carry it (RFC 6749 §A.12, without the space).
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        if text.len() > LONGEST_TOKEN {
            return Err(Malformed::new("is longer than 16 KiB"));
        }
        if let Some(mistake) = mistakes::of_any_token(text) {
            return Err(Malformed::new(format!("cannot be used; {mistake}")));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Malformed::new(
                "holds characters that no access token has: visible ASCII is expected",
            ));
        }
        Ok(Self(text))
    }

    /// The token.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl std::fmt::Debug for OpaqueToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether a text is base64 of something that begins with `{"` or `{}`.
fn begins_as_json_object(text: &str) -> bool {
    let text = text.trim_ascii().trim_end_matches('=');
    let beginning: String = text.chars().take(LOOKED_AT).collect();
    let mut beginning = beginning.replace('+', "-").replace('/', "_");
    // One character more than whole bytes take, in a cut header.
    if beginning.len() % 4 == 1 {
        beginning.pop();
    }
    let Ok(bytes) = LAX.decode(beginning) else {
        return false;
    };
    let rest = bytes.trim_ascii_start().strip_prefix(b"{");
    rest.is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')))
}

#[cfg(test)]
mod tests {
    use super::super::base64url;
    use super::*;

    #[test]
    fn a_jwt_is_told_from_an_opaque_token() {
        let header = base64url::encode(r#"{"alg":"RS256"}"#);
        let spaced = base64url::encode("\r\n { \"alg\" : \"RS256\" }");
        for jwt in [
            format!("{header}.e30.c2ln"),
            format!("{header}=.e30.c2ln"),
            format!("{}.e30.c2ln", header.get(..17).unwrap()),
            format!(" {header}.e30.c2ln"),
            format!("{spaced}.e30.c2ln"),
            format!("{header}.e30"),
            format!("{header}.e30."),
            format!("{header}.e30.c2ln.x"),
            format!("{}.e30.", base64url::encode("{}")),
            format!(
                "{}.e30.x",
                base64url::encode(format!("{{\"alg\":{:9999}", 1))
            ),
        ] {
            assert!(is_jwt_shaped(&jwt), "{jwt:.99}");
        }
        for opaque in [
            header.clone(),
            format!("{header}..iv.text.tag"),
            "gho_16C7e42F292c6912E7710c838347Ae178B4a".to_owned(),
            "ya29.c.b0AXv0zTOQVzJ5kP".to_owned(),
            "e0.x".to_owned(),
            "a.b.c".to_owned(),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(!is_jwt_shaped(&opaque), "{opaque}");
        }
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        for good in ["a", "a~b+c/d=", "id|secret:!", &"a".repeat(LONGEST_TOKEN)] {
            assert!(OpaqueToken::parse(good).is_ok(), "{good:.99}");
        }
        let long = "a".repeat(LONGEST_TOKEN + 1);
        for bad in [
            "",
            "a b",
            "a\r\nX-Admin: 1",
            "a\n",
            "\u{7f}",
            "ä",
            "a\0",
            &long,
        ] {
            assert!(OpaqueToken::parse(bad).is_err(), "{bad:.99}");
        }
        assert_eq!(
            format!("{:?}", OpaqueToken::parse("secret").unwrap()),
            "[redacted]"
        );
    }
}
