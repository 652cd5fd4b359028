//! Private keys in PEM, as OpenSSL writes them: PKCS#8, PKCS#1 (RSA) and SEC1 (EC).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use p256::pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::private_jwk::{Key, PrivateJwk};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// What begins and ends the name of a part of a PEM file.
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The labels of keys that can be read.
const READABLE: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

const WRONG_CURVE: &str = "is an EC key of another curve; ES256 signs with P-256 (`openssl ecparam -name prime256v1 -genkey -noout`, or `remint keys generate --alg ES256`)";

impl PrivateJwk {
    /// The one private key of a PEM file, complete and fit to sign; the error says what the file holds instead, and goes
    /// on from the file's name.
    pub fn from_pem(pem: &[u8], kid: Option<String>) -> Result<Self, String> {
        let text = String::from_utf8_lossy(pem);
        let labels: Vec<_> = text.lines().filter_map(label).collect();
        check_labels(&labels, &text)?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            "is damaged: what stands between the lines -----BEGIN and -----END is not base64"
                .to_owned()
        })?;
        let jwk = Self {
            kid,
            key: decode(&key)?,
        };
        let unfit = |error: super::UnusableKey| format!("cannot be used: {error}");
        let whole = Self::from_json(&jwk.to_json()).map_err(unfit)?;
        whole.into_signing_key().map_err(unfit)?;
        Ok(jwk)
    }
}

fn label(line: &str) -> Option<&str> {
    line.trim().strip_prefix(BEGIN)?.strip_suffix(DASHES)
}

/// Whether there is exactly one key that can be read.
fn check_labels(labels: &[&str], text: &str) -> Result<(), String> {
    if labels.contains(&"ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("is encrypted with a password: decrypt it with `openssl pkey -in FILE -out plain.pem`, import plain.pem, and delete that".to_owned());
    }
    match labels
        .iter()
        .filter(|label| READABLE.contains(label))
        .count()
    {
        1 => return Ok(()),
        0 => {}
        several => {
            return Err(format!(
                "holds {several} private keys: write each into a file of its own, and import the one that is to sign"
            ));
        }
    }
    let Some(label) = labels.first() else {
        return Err("is not PEM: a line such as -----BEGIN PRIVATE KEY----- is expected (`openssl pkey -inform DER -in FILE -out key.pem` converts DER)".to_owned());
    };
    Err(match *label {
        "CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            "holds a certificate and no private key: import the file with its private key".to_owned()
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "holds a certificate request and no private key: import the file with its private key".to_owned()
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            "holds a public key: signing takes the private one that belongs to it".to_owned()
        }
        "OPENSSH PRIVATE KEY" => {
            "is a key of OpenSSH: convert a copy of it with `ssh-keygen -p -m PKCS8 -f FILE`".to_owned()
        }
        "EC PARAMETERS" => "holds only the name of a curve and no key".to_owned(),
        // What stands in the file is not repeated: a key may have lost its line breaks.
        _ => "holds no private key that can be read: PKCS#8 (PRIVATE KEY), PKCS#1 (RSA PRIVATE KEY) or SEC1 (EC PRIVATE KEY) is expected".to_owned(),
    })
}

fn decode(key: &PrivateKeyDer<'_>) -> Result<Key, String> {
    match key {
        PrivateKeyDer::Pkcs1(der) => rsa::RsaPrivateKey::from_pkcs1_der(der.secret_pkcs1_der())
            .map(|key| Key::Rsa(Box::new(key)))
            .map_err(|_| damaged("PKCS#1")),
        PrivateKeyDer::Sec1(der) => {
            let der = der.secret_sec1_der();
            // The p256 crate does not look at the curve that is named here.
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .map_err(|_| WRONG_CURVE.to_owned())?;
            let key = p256::SecretKey::from_sec1_der(der);
            key.map(Key::Ec).map_err(|_| damaged("SEC1"))
        }
        PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
        _ => Err(damaged("PKCS#8")),
    }
}

fn pkcs8(der: &[u8]) -> Result<Key, String> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| damaged("PKCS#8"))?;
    match info.algorithm.oid {
        RSA => rsa::RsaPrivateKey::from_pkcs8_der(der)
            .map(|key| Key::Rsa(Box::new(key)))
            .map_err(|_| damaged("PKCS#8")),
        EC if info.algorithm.parameters_oid() != Ok(P256) => Err(WRONG_CURVE.to_owned()),
        EC => p256::SecretKey::from_pkcs8_der(der)
            .map(Key::Ec)
            .map_err(|_| damaged("PKCS#8")),
        other => Err(format!(
            "is a key of another kind ({}): Remint signs with RSA of 2048 bits or more (RS256) and P-256 (ES256)",
            kind(other)
        )),
    }
}

fn kind(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.3.101.112" => "Ed25519".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        "1.3.101.110" => "X25519".to_owned(),
        "1.2.840.113549.1.1.10" => "RSA-PSS".to_owned(),
        "1.2.840.10040.4.1" => "DSA".to_owned(),
        other => format!("OID {other}"),
    }
}

fn damaged(format: &str) -> String {
    format!("is damaged: it is not a private key in {format}")
}
