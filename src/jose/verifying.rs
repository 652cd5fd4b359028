//! One public key of an upstream issuer, parsed once and used for many signatures (RFC 7517 §4).

use std::fmt;

use aws_lc_rs::digest::Digest;
use serde_json::{Map, Value};

use super::Algorithm;
use super::jwk::{KeyRejected, optional_text, printable, rejected, thumbprint_of};
use super::material::{Material, rsa_parameters};

/// A public key that checks signatures; private members of its JWK are never kept.
pub struct VerifyingKey {
    kid: Option<String>,
    restriction: Option<Algorithm>,
    material: Material,
    thumbprint: Digest,
}

impl VerifyingKey {
    /// Reads a JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2); the error says what makes it unusable.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyRejected> {
        let jwk = jwk
            .as_object()
            .ok_or_else(|| rejected("it is not a JSON object"))?;
        check_purpose(jwk)?;
        let restriction = match optional_text(jwk, "alg")? {
            None => None,
            Some(name) => Some(name.parse::<Algorithm>().map_err(|_| {
                rejected(format!(
                    "its `alg` {} is not a signature algorithm accepted from upstream",
                    printable(name)
                ))
            })?),
        };
        let key = Self {
            kid: optional_text(jwk, "kid")?.map(str::to_owned),
            restriction,
            material: Material::from_jwk(jwk, restriction)?,
            thumbprint: thumbprint_of(jwk)?,
        };
        match restriction {
            Some(algorithm) if !key.fits(algorithm) => Err(rejected(format!(
                "its `alg` {algorithm} does not fit its type and curve"
            ))),
            _ => Ok(key),
        }
    }

    /// The key's id, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The SHA-256 thumbprint (RFC 7638 §3): 32 bytes that no other key has.
    pub(super) fn thumbprint(&self) -> &[u8] {
        self.thumbprint.as_ref()
    }

    /// Whether the key's type, curve and own `alg` allow signatures by `algorithm`.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.restriction.is_none_or(|only| only == algorithm)
            && match &self.material {
                Material::Rsa(_) => rsa_parameters(algorithm).is_some(),
                Material::P256(_) => algorithm == Algorithm::Es256,
                Material::P384(_) => algorithm == Algorithm::Es384,
                Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
            }
    }

    /// Whether `signature` over `message` was made by `algorithm` and this key; ECDSA signatures are `r || s` (RFC 7518 §3.4).
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let key = match &self.material {
            Material::Rsa(rsa) => rsa.parsed(algorithm),
            Material::P256(key) | Material::P384(key) | Material::Ed25519(key) => Some(key),
        };
        key.is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match &self.material {
            Material::Rsa(_) => "RSA",
            Material::P256(_) => "P-256",
            Material::P384(_) => "P-384",
            Material::Ed25519(_) => "Ed25519",
        };
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("family", &family)
            .field("restriction", &self.restriction)
            .finish_non_exhaustive()
    }
}

fn check_purpose(jwk: &Map<String, Value>) -> Result<(), KeyRejected> {
    if let Some(usage) = optional_text(jwk, "use")?
        && usage != "sig"
    {
        return Err(rejected(format!(
            "its `use` is {}, not sig",
            printable(usage)
        )));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|name| name == "verify") => Ok(()),
        Some(_) => Err(rejected("its `key_ops` lacks verify")),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA512,
        RsaKeyPair,
    };
    use serde_json::json;

    use super::super::base64url;
    use super::*;

    const MESSAGE: &[u8] = b"header.claims";

    fn reason(jwk: &Value) -> String {
        VerifyingKey::from_jwk(jwk).unwrap_err().to_string()
    }

    fn signs_nothing_else(key: &VerifyingKey, algorithm: Algorithm, signature: &[u8]) {
        for other in Algorithm::ALL {
            let right = other == algorithm;
            assert_eq!(key.verify(other, MESSAGE, signature), right, "{other}");
            assert!(!key.verify(other, b"header.other", signature), "{other}");
        }
        assert!(!key.verify(algorithm, MESSAGE, &[]));
    }

    /// A signature that was good is remembered by the thumbprint, so a member less would let one key answer for another.
    #[test]
    fn a_thumbprint_is_of_all_that_makes_a_key() {
        const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let print = |jwk: Value| {
            let key = VerifyingKey::from_jwk(&jwk).unwrap_or_else(|error| panic!("{jwk}: {error}"));
            base64url::encode(key.thumbprint())
        };
        let rsa = |n: &str, e: &str| print(json!({"kty": "RSA", "n": n, "e": e}));
        let okp = |x: u8| {
            let x = base64url::encode([x; 32]);
            print(json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
        };
        // The other of two points of P-256 with the same x: y taken from the field's prime.
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let [x, y] = [1..33, 33..65].map(|range| pair.public_key().as_ref()[range].to_vec());
        let prime = [&[255_u8; 4][..], &[0, 0, 0, 1], &[0; 12], &[255; 12]].concat();
        let mut borrowed = false;
        let mut other_y: Vec<u8> = prime
            .iter()
            .zip(&y)
            .rev()
            .map(|(p, y)| {
                let difference = i16::from(*p) - i16::from(*y) - i16::from(borrowed);
                borrowed = difference < 0;
                difference.to_le_bytes()[0]
            })
            .collect();
        other_y.reverse();
        let [x, y, other_y] = [x, y, other_y].map(base64url::encode);
        let ec = |y: &str| print(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}));
        // The first is the example of RFC 7638 §3.1.
        assert_eq!(
            rsa(N, "AQAB"),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let mut all = vec![
            rsa(N, "AQAB"),
            rsa(N, "Aw"),
            rsa(&N.replace("jF44", "jF45"), "AQAB"),
        ];
        all.extend([ec(&y), ec(&other_y), okp(1), okp(3)]);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        // What does not make the key does not count.
        let same = print(json!({"kty": "RSA", "n": N, "e": "AQAB", "kid": "k", "alg": "RS512"}));
        assert_eq!(same, rsa(N, "AQAB"));
    }

    #[test]
    fn rsa_keys_verify_each_padding_and_digest_apart() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // PKCS #1 DER: an 8-byte head, then the modulus with its leading zero.
        let n = base64url::encode(&pair.public_key().as_ref()[8..265]);
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB", "d": "AA", "kid": "r"});
        let key = VerifyingKey::from_jwk(&jwk).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            MESSAGE,
            &mut signature,
        )
        .unwrap();
        signs_nothing_else(&key, Algorithm::Rs256, &signature);
        pair.sign(
            &RSA_PSS_SHA512,
            &SystemRandom::new(),
            MESSAGE,
            &mut signature,
        )
        .unwrap();
        signs_nothing_else(&key, Algorithm::Ps512, &signature);

        let mut restricted = jwk;
        restricted["alg"] = "RS256".into();
        let restricted = VerifyingKey::from_jwk(&restricted).unwrap();
        assert!(restricted.fits(Algorithm::Rs256) && !restricted.fits(Algorithm::Ps512));
        assert!(!restricted.verify(Algorithm::Ps512, MESSAGE, &signature));
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (Value, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
        let jwk =
            json!({"kty": "EC", "crv": crv, "x": base64url::encode(x), "y": base64url::encode(y)});
        let signature = pair.sign(&SystemRandom::new(), MESSAGE).unwrap();
        (jwk, signature.as_ref().to_vec())
    }

    #[test]
    fn elliptic_keys_verify_their_own_algorithm_only() {
        let (jwk, signature) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
        let key = VerifyingKey::from_jwk(&jwk).unwrap();
        signs_nothing_else(&key, Algorithm::Es256, &signature);
        let (jwk, signature) = ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
        let key = VerifyingKey::from_jwk(&jwk).unwrap();
        signs_nothing_else(&key, Algorithm::Es384, &signature);

        let pair = Ed25519KeyPair::generate().unwrap();
        let x = base64url::encode(pair.public_key());
        let key = VerifyingKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": x})).unwrap();
        signs_nothing_else(&key, Algorithm::EdDsa, pair.sign(MESSAGE).as_ref());
    }

    #[test]
    fn elliptic_keys_off_their_curve_or_of_the_wrong_size_are_rejected() {
        let (good, _) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
        for (member, value, expected) in [
            (
                "y",
                json!(base64url::encode([1; 32])),
                "its point is not on its curve",
            ),
            (
                "x",
                json!(base64url::encode([1; 31])),
                "its `x` has 31 bytes instead of 32",
            ),
            (
                "x",
                json!("AA=="),
                "its `x` is not base64url without padding",
            ),
            ("x", json!(null), "its `x` is not a string"),
            ("crv", json!("P-384"), "its `x` has 32 bytes instead of 48"),
            (
                "crv",
                json!("secp256k1"),
                "its `crv` secp256k1 is not supported",
            ),
            (
                "kty",
                json!("EC\n\u{1b}"),
                "its `kty` EC?? is not supported",
            ),
            ("use", json!("enc"), "its `use` is enc, not sig"),
            ("key_ops", json!(["sign"]), "its `key_ops` lacks verify"),
            ("kid", json!(1), "its `kid` is not a string"),
            (
                "alg",
                json!("ES384"),
                "its `alg` ES384 does not fit its type and curve",
            ),
            (
                "alg",
                json!("HS256"),
                "its `alg` HS256 is not a signature algorithm accepted from upstream",
            ),
        ] {
            let mut jwk = good.clone();
            jwk[member] = value;
            assert_eq!(reason(&jwk), expected);
        }
    }

    #[test]
    fn weak_rsa_keys_are_rejected() {
        let rsa = |n: &[u8], e: &[u8]| {
            reason(&json!({"kty": "RSA", "n": base64url::encode(n), "e": base64url::encode(e)}))
        };
        let odd = |bytes: usize| vec![0xff; bytes];
        assert_eq!(
            rsa(&[&[0x7f], &odd(255)[..]].concat(), &[1, 0, 1]),
            "its RSA modulus has 2047 bits, fewer than 2048"
        );
        assert_eq!(
            rsa(&odd(1025), &[3]),
            "its RSA modulus has 8200 bits, more than 8192"
        );
        assert_eq!(
            rsa(&[&odd(255)[..], &[2]].concat(), &[3]),
            "its RSA modulus is even"
        );
        for exponent in [&[1][..], &[0, 1], &[2], &[0]] {
            assert_eq!(rsa(&odd(256), exponent), "its RSA exponent is even or 1");
        }
        assert_eq!(
            rsa(&odd(256), &[1, 0, 0, 0, 1]),
            "its RSA exponent is longer than 32 bits"
        );
    }
}
