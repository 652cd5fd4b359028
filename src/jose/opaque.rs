//! Opaque access tokens: texts that only their issuer can read.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use serde_json::Value;

use super::{LONGEST_TOKEN, Malformed, base64url, mistakes};

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

/// Whether a text is a signed JWT, even a flawed or cut one or one with something appended, and so is never asked the
/// issuer about: an issuer that reads only its first parts would vouch for what must be verified here.
///
/// An encrypted one (RFC 7516, five parts, `enc` in its header) can be read by its issuer alone, and so is opaque.
pub fn is_jwt_shaped(text: &str) -> bool {
    let Some((header, rest)) = text.split_once('.') else {
        return false;
    };
    let is_encrypted = rest.bytes().filter(|byte| *byte == b'.').count() == 3 && has_enc(header);
    begins_as_json_object(header) && !is_encrypted
}

/// Whether a part is a strict JOSE header that says how the content is encrypted (RFC 7516 §4.1.2).
fn has_enc(header: &str) -> bool {
    let json = base64url::decode(header);
    let header: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
    header.is_some_and(|header| header.get("enc").is_some_and(Value::is_string))
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
        let encrypted = base64url::encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
        for jwt in [
            format!("{header}.e30.c2ln"),
            format!("{header}=.e30.c2ln"),
            format!("{}.e30.c2ln", header.get(..17).unwrap()),
            format!(" {header}.e30.c2ln"),
            format!("{spaced}.e30.c2ln"),
            format!("{header}.e30"),
            format!("{header}.e30."),
            format!("{header}.e30.c2ln.x"),
            format!("{header}.e30.c2ln.."),
            format!("{header}.e30.c2ln.x.y"),
            format!("{header}.e30.c2ln..."),
            format!("{header}.e30.c2ln.x.y.z"),
            format!("{encrypted}.e30.c2ln"),
            format!("{encrypted}..iv.text.tag.x"),
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
            format!("{encrypted}..iv.text.tag"),
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
