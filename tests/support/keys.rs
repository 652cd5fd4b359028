//! Keys of foreign issuers: made once per run, so that no private key lies in the repository.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};

use super::tokens::b64;

/// A key pair that signs tokens.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    /// RSA of 1024 bits.
    Weak(Box<rsa::RsaPrivateKey>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) static RSA: LazyLock<Key> = LazyLock::new(Key::rsa);
pub(crate) static OTHER_RSA: LazyLock<Key> = LazyLock::new(Key::rsa);
pub(crate) static P256: LazyLock<Key> = LazyLock::new(Key::p256);
pub(crate) static OTHER_P256: LazyLock<Key> = LazyLock::new(Key::p256);
pub(crate) static P384: LazyLock<Key> =
    LazyLock::new(|| Key::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));
pub(crate) static ED25519: LazyLock<Key> =
    LazyLock::new(|| Key::Ed25519(Ed25519KeyPair::generate().unwrap()));
pub(crate) static WEAK: LazyLock<Key> = LazyLock::new(|| {
    let key = rsa::RsaPrivateKey::new(&mut rand::rngs::OsRng, 1024).unwrap();
    Key::Weak(Box::new(key))
});

impl Key {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The public JWK, without `use` and `alg`.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let ec = |crv: &str, pair: &EcdsaKeyPair| {
            let point = &pair.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y), "kid": kid})
        };
        let rsa = |n: &[u8]| json!({"kty": "RSA", "n": b64(n), "e": "AQAB", "kid": kid});
        match self {
            // PKCS #1 DER: a 9-byte head ending in the sign byte, then the modulus.
            Self::Rsa(pair) => rsa(&pair.public_key().as_ref()[9..265]),
            Self::Weak(key) => rsa(&key.n().to_bytes_be()),
            Self::P256(pair) => ec("P-256", pair),
            Self::P384(pair) => ec("P-384", pair),
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key()), "kid": kid})
            }
        }
    }

    /// The signature over `message` as `alg` makes it; a key that has only one way of signing ignores `alg`.
    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(alg), &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Weak(key) => key
                .sign(rsa::Pkcs1v15Sign::new_unprefixed(), &digest_info(message))
                .unwrap(),
            Self::P256(pair) | Self::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A MAC under a public key's modulus: what a verifier that lets the token choose the algorithm would take for good.
pub(crate) fn hs256(public: &Value, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, public["n"].as_str().unwrap().as_bytes());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// A JWKS document.
pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn rsa_encoding(alg: &str) -> &'static dyn RsaEncoding {
    match alg {
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => &RSA_PKCS1_SHA256,
    }
}

/// The DER `DigestInfo` of SHA-256 (RFC 8017 §9.2).
fn digest_info(message: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let digest = digest::digest(&digest::SHA256, message);
    [&HEAD, digest.as_ref()].concat()
}
