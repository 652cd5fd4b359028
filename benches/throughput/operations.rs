//! The cryptography of an exchange and nothing else, by aws-lc-rs.

use std::hint::black_box;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};

use super::keys::{Key, P256, RSA};

/// As long as what is signed for a token with a job's claims.
type Message = [u8; 800];

/// So many different messages that the processor cannot learn each by heart, as it cannot with tokens.
const MESSAGES: u16 = 1000;

/// The operations by name.
pub(crate) const NAMES: [&str; 4] = ["sign-RS256", "sign-ES256", "verify-RS256", "verify-ES256"];

/// Does an operation once, each time with another message.
pub(crate) type Operation = Box<dyn FnMut() + Send>;

/// Every operation, in the order of their names.
pub(crate) fn all() -> [(&'static str, Operation); 4] {
    let (Key::Rsa(rsa), Key::P256(p256)) = (&*RSA, &*P256) else {
        panic!("the keys are of these types");
    };
    let (rsa, p256) = (rsa.public_key().as_ref(), p256.public_key().as_ref());
    let [sign_rsa, sign_p256, verify_rsa, verify_p256] = NAMES;
    [
        (sign_rsa, sign(&RSA, "RS256")),
        (sign_p256, sign(&P256, "ES256")),
        (
            verify_rsa,
            verify(&RSA, "RS256", rsa, &RSA_PKCS1_2048_8192_SHA256),
        ),
        (
            verify_p256,
            verify(&P256, "ES256", p256, &ECDSA_P256_SHA256_FIXED),
        ),
    ]
}

fn messages() -> impl Iterator<Item = Message> + Clone + Send {
    (0..MESSAGES).map(|number| {
        let mut message = [b'm'; 800];
        message[..2].copy_from_slice(&number.to_be_bytes());
        message
    })
}

fn sign(key: &'static Key, alg: &'static str) -> Operation {
    let mut messages = messages().cycle();
    Box::new(move || {
        let message = messages.next().expect("it goes round");
        drop(black_box(key.sign(alg, &message)));
    })
}

fn verify(
    key: &Key,
    alg: &str,
    public: &[u8],
    how: &'static dyn VerificationAlgorithm,
) -> Operation {
    let public = ParsedPublicKey::new(how, public).expect("a public key");
    let signed = messages().map(|message| (message, key.sign(alg, &message)));
    let mut signed = signed.collect::<Vec<_>>().into_iter().cycle();
    Box::new(move || {
        let (message, signature) = signed.next().expect("it goes round");
        public
            .verify_sig(&message, &signature)
            .expect("a good signature");
    })
}
