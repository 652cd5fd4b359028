//! The key itself: what of a JWK its type and curve need (RFC 7518 §6, RFC 8037 §2).

use std::sync::OnceLock;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::Algorithm;
use super::jwk::{KeyRejected, coordinate, integer, rejected, text, unsupported};

/// A public key of one of the supported kinds.
pub(super) enum Material {
    Rsa(Box<RsaKey>),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

impl Material {
    pub(super) fn from_jwk(
        jwk: &Map<String, Value>,
        restriction: Option<Algorithm>,
    ) -> Result<Self, KeyRejected> {
        let kty = text(jwk, "kty")?;
        match kty {
            "RSA" => Ok(Self::Rsa(Box::new(RsaKey::from_jwk(jwk, restriction)?))),
            "EC" => match text(jwk, "crv")? {
                "P-256" => ec_point(jwk, 32, &ECDSA_P256_SHA256_FIXED).map(Self::P256),
                "P-384" => ec_point(jwk, 48, &ECDSA_P384_SHA384_FIXED).map(Self::P384),
                other => Err(unsupported("crv", other)),
            },
            "OKP" => match text(jwk, "crv")? {
                "Ed25519" => ParsedPublicKey::new(&ED25519, coordinate(jwk, "x", 32)?)
                    .map(Self::Ed25519)
                    .map_err(|_| rejected("its `x` is not an Ed25519 public key")),
                other => Err(unsupported("crv", other)),
            },
            "oct" => Err(rejected(
                "it is a symmetric key, which anybody who verifies could sign with",
            )),
            other => Err(unsupported("kty", other)),
        }
    }
}

/// An RSA key, parsed once per algorithm that is really used with it: the library binds padding and digest to the parsed key.
pub(super) struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
    parsed: [OnceLock<Option<ParsedPublicKey>>; 6],
}

impl RsaKey {
    fn from_jwk(
        jwk: &Map<String, Value>,
        restriction: Option<Algorithm>,
    ) -> Result<Self, KeyRejected> {
        let n = integer(jwk, "n")?;
        let e = integer(jwk, "e")?;
        check_rsa(&n, &e)?;
        let key = Self {
            n,
            e,
            parsed: Default::default(),
        };
        let first = restriction
            .filter(|algorithm| rsa_parameters(*algorithm).is_some())
            .unwrap_or(Algorithm::Rs256);
        if key.parsed(first).is_none() {
            return Err(rejected("its `n` and `e` are not an RSA public key"));
        }
        Ok(key)
    }

    pub(super) fn parsed(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let (slot, parameters) = rsa_parameters(algorithm)?;
        self.parsed
            .get(slot)?
            .get_or_init(|| {
                let components = RsaPublicKeyComponents {
                    n: &self.n,
                    e: &self.e,
                };
                components.to_parsed_public_key(parameters).ok()
            })
            .as_ref()
    }
}

/// The slot and the parameters of an RSA algorithm.
pub(super) fn rsa_parameters(algorithm: Algorithm) -> Option<(usize, &'static RsaParameters)> {
    Some(match algorithm {
        Algorithm::Rs256 => (0, &RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => (1, &RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => (2, &RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => (3, &RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => (4, &RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => (5, &RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

/// `n` and `e` without leading zeros: the library checks them only at the first signature, which is too late.
fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyRejected> {
    let bits = n
        .first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if bits < 2048 {
        return Err(rejected(format!(
            "its RSA modulus has {bits} bits, fewer than 2048"
        )));
    }
    if bits > 8192 {
        return Err(rejected(format!(
            "its RSA modulus has {bits} bits, more than 8192"
        )));
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(rejected("its RSA modulus is even"));
    }
    if e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
        return Err(rejected("its RSA exponent is even or 1"));
    }
    if e.len() > 4 {
        return Err(rejected("its RSA exponent is longer than 32 bits"));
    }
    Ok(())
}

fn ec_point(
    jwk: &Map<String, Value>,
    length: usize,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Result<ParsedPublicKey, KeyRejected> {
    // SEC 1 §2.3.3: 4 marks an uncompressed point.
    let mut point = vec![4];
    point.extend(coordinate(jwk, "x", length)?);
    point.extend(coordinate(jwk, "y", length)?);
    ParsedPublicKey::new(algorithm, point).map_err(|_| rejected("its point is not on its curve"))
}
