//! What a key file is that is not a JWKS with private keys.

use serde_json::Value;

/// What every key in DER begins with: an ASN.1 SEQUENCE.
const DER_SEQUENCE: u8 = 0x30;

/// Why the bytes of the file `name` are no JWKS, in words that say what to do; `None` where they are one, or
/// where nothing better can be said than where the syntax is wrong.
pub(super) fn not_a_jwks(bytes: &[u8], name: &str) -> Option<String> {
    if bytes.trim_ascii().is_empty() {
        return Some(format!(
            "is empty: remove it, and `remint keys generate --alg RS256 --file {name}` makes it"
        ));
    }
    if is_pem(bytes) && !has_private_key(bytes) {
        return Some(
            "is PEM without a private key, and nothing can be signed with it: name a JWKS of `remint keys generate`, or import the private key with `remint keys import`"
                .to_owned(),
        );
    }
    if is_pem(bytes) {
        return Some(format!(
            "is PEM, and a JWKS is expected: `remint keys import --file jwks.json {name}` puts its key into jwks.json, which is then the key file"
        ));
    }
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Some(format!(
            "is DER, and a JWKS is expected: `openssl pkey -inform DER -in {name} -out key.pem`, then `remint keys import --file jwks.json key.pem`"
        ));
    }
    match serde_json::from_slice(bytes).ok()? {
        Value::Array(_) => Some(
            "is a list, and a JWKS is expected: write {\"keys\": in front of it and } behind it"
                .to_owned(),
        ),
        Value::Object(members) if members.contains_key("keys") => None,
        Value::Object(members) if members.contains_key("kty") => Some(
            "is a single key (JWK), and a set of them is expected: write {\"keys\": [ in front of it and ]} behind it"
                .to_owned(),
        ),
        _ => Some("has no list `keys`: a JWKS is expected, such as {\"keys\": [...]}".to_owned()),
    }
}

/// Whether a JWKS has keys, all of them without a private part: a published one, taken for the key file.
pub(super) fn is_public(bytes: &[u8]) -> bool {
    let set: Option<Value> = serde_json::from_slice(bytes).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    let is_public = |key: &Value| {
        let kty = key.get("kty").and_then(Value::as_str);
        matches!(kty, Some("RSA" | "EC" | "OKP")) && key.get("d").is_none()
    };
    keys.is_some_and(|keys| !keys.is_empty() && keys.iter().all(is_public))
}

/// Whether a PEM or JWKS file may hold a private key, by its text alone.
pub(super) fn has_private_key(bytes: &[u8]) -> bool {
    if is_pem(bytes) {
        let text = String::from_utf8_lossy(bytes);
        return text.contains("PRIVATE KEY-----");
    }
    !is_public(bytes)
}

fn is_pem(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let mut lines = bytes.split(|byte| *byte == b'\n');
    lines.any(|line| line.trim_ascii_start().starts_with(BEGIN))
}
