//! Tokens of foreign issuers, down to the bytes that they are made of, and the reading of our own.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::Key;

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A token of any header and payload bytes, rightly signed.
pub(crate) fn compact(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    key: &Key,
    alg: &str,
) -> String {
    seal(&format!("{}.{}", b64(header), b64(payload)), key, alg)
}

/// Any two parts, rightly signed as they stand.
pub(crate) fn seal(input: &str, key: &Key, alg: &str) -> String {
    format!("{input}.{}", b64(key.sign(alg, input.as_bytes())))
}

/// A token with an ordinary header.
pub(crate) fn token(claims: &Value, key: &Key, alg: &str, kid: &str) -> String {
    let header = json!({"alg": alg, "kid": kid, "typ": "JWT"});
    compact(header.to_string(), claims.to_string(), key, alg)
}

/// Header and claims of one of Remint's tokens, its signature checked against the published keys.
pub(crate) fn read(token: &str, jwks: &Value) -> (Value, Value) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&unb64(header)).unwrap();
    let claims = serde_json::from_slice(&unb64(claims)).unwrap();
    let signing: Vec<&Value> = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["kid"] == header["kid"] && key["alg"] == header["alg"])
        .collect();
    assert_eq!(signing.len(), 1, "{header}");
    let member = |name: &str| unb64(signing[0][name].as_str().unwrap());
    let (input, signature) = (input.as_bytes(), unb64(signature));
    if header["alg"] == "RS256" {
        let (n, e) = (member("n"), member("e"));
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, input, &signature)
            .unwrap();
    } else {
        let point = [vec![4], member("x"), member("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(input, &signature)
            .unwrap();
    }
    (header, claims)
}
