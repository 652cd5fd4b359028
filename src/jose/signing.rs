//! Signing with our own keys, each parsed once at start: parsing an RSA key costs more than using it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use jsonwebtoken::crypto::JwtSigner;
use jsonwebtoken::signature::{Error, Signer};

use super::{PublicJwk, PublicKey, SigningAlgorithm, base64url};

/// A private key that is ready to sign, and what verifiers see of it.
pub struct SigningKey {
    pair: KeyPair,
    public: PublicJwk,
    alg: SigningAlgorithm,
    /// The encoded header with the dot behind it: it is the same for every token of the key.
    header: String,
}

enum KeyPair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

/// The signing library failed, which a sound key does not make it do.
#[derive(Debug, thiserror::Error)]
#[error("signing failed")]
pub struct SigningFailed;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.kid(), self.alg)
    }
}

impl SigningKey {
    /// An RSA key from its PKCS#1 DER.
    pub(super) fn rsa(der: &[u8], kid: String, public: PublicKey) -> Result<Self, String> {
        let pair = RsaKeyPair::from_der(der).map_err(|error| error.to_string())?;
        Self::new(KeyPair::Rsa(Box::new(pair)), kid, public)
    }

    /// A P-256 key from its PKCS#8 DER.
    pub(super) fn ec(der: &[u8], kid: String, public: PublicKey) -> Result<Self, String> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
            .map_err(|error| error.to_string())?;
        Self::new(KeyPair::Ec(Box::new(pair)), kid, public)
    }

    fn new(pair: KeyPair, kid: String, public: PublicKey) -> Result<Self, String> {
        let alg = public.alg();
        let mut header = jsonwebtoken::Header::new(wire(alg));
        header.kid = Some(kid.clone());
        let header = serde_json::to_vec(&header).map_err(|error| error.to_string())?;
        Ok(Self {
            pair,
            public: PublicJwk::new(public, kid),
            alg,
            header: base64url::encode(header) + ".",
        })
    }

    /// A compact JWS over `claims`, which is the JSON of a claims set (RFC 7515 §7.1).
    pub fn sign(&self, claims: &[u8]) -> Result<String, SigningFailed> {
        let mut token = String::with_capacity(self.token_length(claims.len()));
        token.push_str(&self.header);
        base64url::encode_onto(claims, &mut token);
        let signature = self.try_sign(token.as_bytes()).map_err(|_| SigningFailed)?;
        token.push('.');
        base64url::encode_onto(signature, &mut token);
        Ok(token)
    }

    /// The length of a token over a claims set of `claims` bytes.
    pub fn token_length(&self, claims: usize) -> usize {
        let signature = match &self.pair {
            KeyPair::Ec(_) => 64,
            KeyPair::Rsa(pair) => pair.public_modulus_len(),
        };
        let encoded = |bytes: usize| (bytes * 4).div_ceil(3);
        self.header.len() + encoded(claims) + 1 + encoded(signature)
    }

    /// The algorithm of its signatures.
    pub fn alg(&self) -> SigningAlgorithm {
        self.alg
    }

    /// Its id, as it stands in the header of each token.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// Its public half, as it is published.
    pub fn public(&self) -> &PublicJwk {
        &self.public
    }
}

impl Signer<Vec<u8>> for SigningKey {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.pair {
            KeyPair::Ec(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec()),
            KeyPair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map(|()| signature)
            }
        }
        .map_err(|_| Error::new())
    }
}

impl JwtSigner for SigningKey {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        wire(self.alg)
    }
}

fn wire(alg: SigningAlgorithm) -> jsonwebtoken::Algorithm {
    match alg {
        SigningAlgorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        SigningAlgorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
    }
}
