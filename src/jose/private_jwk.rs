//! Our own private keys as they stand in the key file (RFC 7517 §4, RFC 7518 §6).

use std::fmt;

use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use serde_json::{Value, json};

use super::{PublicKey, SigningAlgorithm, SigningKey, base64url};

/// The shortest RSA modulus that signs (RFC 7518 §3.3), in bits.
const SHORTEST_RSA: usize = 2048;

/// A private key that is complete and consistent.
pub struct PrivateJwk {
    pub(super) kid: Option<String>,
    pub(super) key: Key,
}

pub(super) enum Key {
    Ec(p256::SecretKey),
    Rsa(Box<RsaPrivateKey>),
}

/// Why an entry of the key file cannot sign; the words never quote the key.
#[derive(Debug, thiserror::Error)]
pub enum UnusableKey {
    /// It is broken: somebody meant it to sign, and it cannot.
    #[error("{0}")]
    Broken(String),
    /// It is of a kind that Remint does not sign with.
    #[error("{0}")]
    Foreign(String),
}

impl fmt::Debug for PrivateJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateJwk({:?}, {})", self.kid, self.alg())
    }
}

impl PrivateJwk {
    /// A new key from the operating system's randomness: RSA of 2048 bits, or P-256.
    pub fn generate(alg: SigningAlgorithm, kid: Option<String>) -> Result<Self, UnusableKey> {
        let mut rng = rand::rngs::OsRng;
        let key = match alg {
            SigningAlgorithm::Es256 => Key::Ec(p256::SecretKey::random(&mut rng)),
            SigningAlgorithm::Rs256 => {
                let key = RsaPrivateKey::new(&mut rng, SHORTEST_RSA)
                    .map_err(|error| broken(format!("RSA key generation failed: {error}")))?;
                Key::Rsa(Box::new(key))
            }
        };
        Ok(Self { kid, key })
    }

    /// Reads one entry of the key file and checks that it is whole.
    pub fn from_json(entry: &Value) -> Result<Self, UnusableKey> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let kty = text("kty").ok_or_else(|| broken("it has no `kty`"))?;
        if !matches!(kty, "RSA" | "EC") {
            return Err(foreign(format!(
                "its kty is {kty:?}; only RSA and EC keys sign and are published"
            )));
        }
        if text("use").is_some_and(|usage| usage != "sig") {
            return Err(foreign("its `use` is not `sig`"));
        }
        if text("d").is_none() {
            return Err(foreign("it has no private part (`d`)"));
        }
        let key = if kty == "RSA" {
            Key::Rsa(Box::new(rsa(entry)?))
        } else {
            Key::Ec(p256(entry)?)
        };
        let key = Self {
            kid: text("kid").filter(|kid| !kid.is_empty()).map(str::to_owned),
            key,
        };
        match text("alg") {
            Some(alg) if alg != key.alg().name() => Err(foreign(format!(
                "its alg is {alg:?}; such a key signs with {}",
                key.alg()
            ))),
            _ => Ok(key),
        }
    }

    /// The entry for the key file, private members included.
    pub fn to_json(&self) -> Value {
        let mut entry = json!({ "use": "sig", "alg": self.alg().name(), "kid": self.kid() });
        let members = match (&self.key, self.public()) {
            (Key::Ec(key), PublicKey::Ec { crv, x, y }) => {
                json!({ "kty": "EC", "crv": crv, "x": x, "y": y, "d": base64url::encode(key.to_bytes()) })
            }
            (Key::Rsa(key), PublicKey::Rsa { n, e }) => rsa_members(key, &n, &e),
            _ => Value::Null,
        };
        if let (Value::Object(entry), Value::Object(members)) = (&mut entry, members) {
            entry.extend(members);
        }
        entry
    }

    /// The key's id: its own, or else its thumbprint (RFC 7638).
    pub fn kid(&self) -> String {
        self.kid
            .clone()
            .unwrap_or_else(|| self.public().thumbprint())
    }

    /// The algorithm that it signs with.
    pub fn alg(&self) -> SigningAlgorithm {
        match self.key {
            Key::Ec(_) => SigningAlgorithm::Es256,
            Key::Rsa(_) => SigningAlgorithm::Rs256,
        }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        match &self.key {
            Key::Ec(key) => {
                let point = key.public_key().to_encoded_point(false);
                let bytes = |coordinate: Option<&p256::FieldBytes>| {
                    coordinate.map(|bytes| bytes.to_vec()).unwrap_or_default()
                };
                PublicKey::p256(&bytes(point.x()), &bytes(point.y()))
            }
            Key::Rsa(key) => PublicKey::rsa(&key.n().to_bytes_be(), &key.e().to_bytes_be()),
        }
    }

    /// The key, parsed once and ready to sign.
    pub fn into_signing_key(self) -> Result<SigningKey, UnusableKey> {
        let (kid, public) = (self.kid(), self.public());
        let unfit = |what: &str| broken(format!("the signing library refuses it: {what}"));
        match &self.key {
            Key::Ec(key) => {
                let der = key
                    .to_pkcs8_der()
                    .map_err(|error| unfit(&error.to_string()))?;
                SigningKey::ec(der.as_bytes(), kid, public).map_err(|error| unfit(&error))
            }
            Key::Rsa(key) => {
                let der = key
                    .to_pkcs1_der()
                    .map_err(|error| unfit(&error.to_string()))?;
                SigningKey::rsa(der.as_bytes(), kid, public).map_err(|error| unfit(&error))
            }
        }
    }
}

fn broken(cause: impl Into<String>) -> UnusableKey {
    UnusableKey::Broken(cause.into())
}

fn foreign(cause: impl Into<String>) -> UnusableKey {
    UnusableKey::Foreign(cause.into())
}

/// A big-endian number in base64url, `None` where the member is absent.
fn number(entry: &Value, name: &str) -> Result<Option<BigUint>, UnusableKey> {
    let Some(member) = entry.get(name) else {
        return Ok(None);
    };
    member
        .as_str()
        .and_then(base64url::decode)
        .map(|bytes| Some(BigUint::from_bytes_be(&bytes)))
        .ok_or_else(|| broken(format!("its `{name}` is not base64url without padding")))
}

fn rsa(entry: &Value) -> Result<RsaPrivateKey, UnusableKey> {
    let required =
        |name: &str| number(entry, name)?.ok_or_else(|| broken(format!("it has no `{name}`")));
    let (modulus, exponent) = (required("n")?, required("e")?);
    let private = required("d")?;
    if modulus.bits() < SHORTEST_RSA {
        return Err(broken(format!(
            "it has {} bits; at least {SHORTEST_RSA} are needed: run `remint keys generate --alg RS256`",
            modulus.bits()
        )));
    }
    let primes = match (number(entry, "p")?, number(entry, "q")?) {
        (Some(p), Some(q)) => vec![p, q],
        // The primes can be found from n, e and d.
        _ => Vec::new(),
    };
    let key = RsaPrivateKey::from_components(modulus, exponent, private, primes)
        .and_then(|key| key.validate().map(|()| key));
    key.map_err(|error| broken(format!("its RSA numbers do not belong together ({error})")))
}

fn p256(entry: &Value) -> Result<p256::SecretKey, UnusableKey> {
    let crv = entry.get("crv").and_then(Value::as_str);
    if crv != Some("P-256") {
        return Err(foreign(format!(
            "its crv is {:?}; ES256 needs P-256",
            crv.unwrap_or("absent")
        )));
    }
    let coordinate = |name: &str| {
        let bytes = entry
            .get(name)
            .and_then(Value::as_str)
            .and_then(base64url::decode);
        bytes
            .filter(|bytes| bytes.len() == 32)
            .ok_or_else(|| broken(format!("its `{name}` is not 32 bytes of base64url")))
    };
    let (x, y, d) = (coordinate("x")?, coordinate("y")?, coordinate("d")?);
    let key = p256::SecretKey::from_slice(&d)
        .map_err(|_| broken("its `d` is not a private key of P-256"))?;
    let point = key.public_key().to_encoded_point(false);
    let same = |ours: Option<&p256::FieldBytes>, theirs: &[u8]| {
        ours.is_some_and(|ours| ours.iter().eq(theirs))
    };
    if same(point.x(), &x) && same(point.y(), &y) {
        Ok(key)
    } else {
        Err(broken("its `x` and `y` do not belong to its `d`"))
    }
}

fn rsa_members(key: &RsaPrivateKey, n: &str, e: &str) -> Value {
    let text = |number: &BigUint| base64url::encode(number.to_bytes_be());
    let public = json!({ "kty": "RSA", "n": n, "e": e, "d": text(key.d()) });
    let Value::Object(mut members) = public else {
        return public;
    };
    if let ([p, q], Some(dp), Some(dq), Some(qi)) =
        (key.primes(), key.dp(), key.dq(), key.crt_coefficient())
    {
        for (name, number) in [("p", p), ("q", q), ("dp", dp), ("dq", dq), ("qi", &qi)] {
            members.insert(name.to_owned(), text(number).into());
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_reads_back_and_signs() {
        for alg in SigningAlgorithm::ALL {
            let key = PrivateJwk::generate(alg, None).unwrap();
            let entry = key.to_json();
            let again = PrivateJwk::from_json(&entry).unwrap();
            assert_eq!(again.kid(), key.public().thumbprint());
            assert_eq!(again.public(), key.public());
            assert!(again.into_signing_key().unwrap().sign(b"{}").is_ok());
        }
    }

    #[test]
    fn primes_are_found_where_they_are_absent() {
        let mut entry = PrivateJwk::generate(SigningAlgorithm::Rs256, None)
            .unwrap()
            .to_json();
        for name in ["p", "q", "dp", "dq", "qi"] {
            entry.as_object_mut().unwrap().remove(name);
        }
        let key = PrivateJwk::from_json(&entry).unwrap();
        assert!(key.into_signing_key().unwrap().sign(b"{}").is_ok());
    }

    #[test]
    fn keys_that_cannot_sign_say_why() {
        let ec = PrivateJwk::generate(SigningAlgorithm::Es256, None)
            .unwrap()
            .to_json();
        let rsa = PrivateJwk::generate(SigningAlgorithm::Rs256, None)
            .unwrap()
            .to_json();
        let with = |base: &Value, name: &str, value: Value| {
            let mut entry = base.clone();
            entry[name] = value;
            PrivateJwk::from_json(&entry).unwrap_err()
        };
        for (error, cause) in [
            (with(&ec, "x", rsa["p"].clone()), "`x` is not 32 bytes"),
            (with(&ec, "d", ec["x"].clone()), "do not belong to its `d`"),
            (with(&rsa, "d", ec["d"].clone()), "do not belong together"),
            (with(&rsa, "n", ec["d"].clone()), "at least 2048"),
        ] {
            assert!(
                matches!(&error, UnusableKey::Broken(text) if text.contains(cause)),
                "{error}"
            );
        }
        for (error, cause) in [
            (with(&ec, "kty", "OKP".into()), "only RSA and EC"),
            (with(&ec, "use", "enc".into()), "not `sig`"),
            (with(&ec, "crv", "P-384".into()), "needs P-256"),
            (with(&rsa, "alg", "PS256".into()), "signs with RS256"),
            (with(&rsa, "d", Value::Null), "no private part"),
        ] {
            assert!(
                matches!(&error, UnusableKey::Foreign(text) if text.contains(cause)),
                "{error}"
            );
        }
    }
}
