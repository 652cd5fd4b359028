//! Base64url without padding, read strictly (RFC 7515 §2): one value has one spelling.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encodes `bytes`.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the encoding of `bytes` to `text`.
pub fn encode_onto(bytes: impl AsRef<[u8]>, text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Decodes `text`; `None` where it has padding, white space, trailing bits or a foreign character.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lax_spellings_are_refused() {
        assert_eq!(decode("AA"), Some(vec![0]));
        for lax in ["AA==", "AB", "A", "A A", "AA\n", "+/8", "AA="] {
            assert_eq!(decode(lax), None, "{lax:?}");
        }
    }
}
