//! Reading the members of a JWK (RFC 7517 §4).

use aws_lc_rs::digest::{Digest, SHA256, digest};
use serde_json::{Map, Value};

use super::base64url;

/// Why a JWK is no key that upstream tokens can be verified with; never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyRejected(String);

/// The SHA-256 thumbprint (RFC 7638 §3) of the public key in `jwk`.
pub(super) fn thumbprint_of(jwk: &Map<String, Value>) -> Result<Digest, KeyRejected> {
    let member = |name| Ok::<_, KeyRejected>((name, text(jwk, name)?));
    Ok(match text(jwk, "kty")? {
        "RSA" => thumbprint([member("e")?, member("kty")?, member("n")?]),
        "EC" => thumbprint([member("crv")?, member("kty")?, member("x")?, member("y")?]),
        _ => thumbprint([member("crv")?, member("kty")?, member("x")?]),
    })
}

/// The same of its members, each with its name, in the order of these.
pub(super) fn thumbprint<const N: usize>(members: [(&str, &str); N]) -> Digest {
    let members = members.map(|(name, value)| (name.to_owned(), value.into()));
    let object = Value::Object(members.into_iter().collect());
    digest(&SHA256, object.to_string().as_bytes())
}

/// Foreign text made fit for a log line: printable ASCII, at most 100 characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(100)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect()
}

pub(super) fn coordinate(
    jwk: &Map<String, Value>,
    name: &str,
    length: usize,
) -> Result<Vec<u8>, KeyRejected> {
    let bytes = bytes(jwk, name)?;
    if bytes.len() == length {
        return Ok(bytes);
    }
    Err(rejected(format!(
        "its `{name}` has {} bytes instead of {length}",
        bytes.len()
    )))
}

/// A big-endian integer; leading zeros, which some issuers write against RFC 7518 §2, are dropped.
pub(super) fn integer(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyRejected> {
    let bytes = bytes(jwk, name)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

pub(super) fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeyRejected> {
    base64url::decode(text(jwk, name)?)
        .ok_or_else(|| rejected(format!("its `{name}` is not base64url without padding")))
}

pub(super) fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, KeyRejected> {
    optional_text(jwk, name)?.ok_or_else(|| rejected(format!("it has no `{name}`")))
}

pub(super) fn optional_text<'a>(
    jwk: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, KeyRejected> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(rejected(format!("its `{name}` is not a string"))),
    }
}

pub(super) fn unsupported(member: &str, value: &str) -> KeyRejected {
    rejected(format!(
        "its `{member}` {} is not supported",
        printable(value)
    ))
}

pub(super) fn rejected(reason: impl Into<String>) -> KeyRejected {
    KeyRejected(reason.into())
}
