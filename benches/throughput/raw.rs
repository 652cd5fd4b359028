//! What the bare signature and verification cost: the limit that everything else is measured by.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};

use super::keys::{Key, P256, RSA};

/// The switch with which this program measures instead of driving.
pub(crate) const SWITCH: &str = "--raw";

/// As long as what is signed for a token with a job's claims.
const MESSAGE: [u8; 800] = [b'm'; 800];

/// Microseconds per operation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Costs {
    pub(crate) rsa_sign: f64,
    pub(crate) p256_sign: f64,
    pub(crate) rsa_verify: f64,
    pub(crate) p256_verify: f64,
}

impl Costs {
    pub(crate) fn sign(&self, alg: &str) -> f64 {
        if alg == "RS256" {
            self.rsa_sign
        } else {
            self.p256_sign
        }
    }

    pub(crate) fn verify(&self, alg: &str) -> f64 {
        if alg == "RS256" {
            self.rsa_verify
        } else {
            self.p256_verify
        }
    }

    fn mean(self, other: Self) -> Self {
        let mean = |a: f64, b: f64| f64::midpoint(a, b);
        Self {
            rsa_sign: mean(self.rsa_sign, other.rsa_sign),
            p256_sign: mean(self.p256_sign, other.p256_sign),
            rsa_verify: mean(self.rsa_verify, other.rsa_verify),
            p256_verify: mean(self.p256_verify, other.p256_verify),
        }
    }
}

/// Measures in a process that `on_core` puts where the server runs, and takes the mean with `before`.
pub(crate) fn measure(on_core: impl Fn() -> Command, before: Option<Costs>) -> Costs {
    let output = on_core()
        .arg(SWITCH)
        .output()
        .expect("this program starts again");
    let now: Costs = serde_json::from_slice(&output.stdout).expect("its costs");
    before.map_or(now, |before| now.mean(before))
}

/// What the process started by [`measure`] does.
pub(crate) fn print() {
    let costs = here(Duration::from_millis(250));
    println!("{}", serde_json::to_string(&costs).expect("numbers"));
}

fn here(length: Duration) -> Costs {
    let sign = |key: &Key, alg: &str| cost(length, || drop(black_box(key.sign(alg, &MESSAGE))));
    let verify = |key: &Key, alg: &str, public: &[u8], how: &'static dyn VerificationAlgorithm| {
        let parsed = ParsedPublicKey::new(how, public).expect("a public key");
        let signature = key.sign(alg, &MESSAGE);
        cost(length, || {
            parsed
                .verify_sig(&MESSAGE, &signature)
                .expect("a good signature");
        })
    };
    let (Key::Rsa(rsa), Key::P256(p256)) = (&*RSA, &*P256) else {
        panic!("the keys are of these types");
    };
    Costs {
        rsa_sign: sign(&RSA, "RS256"),
        p256_sign: sign(&P256, "ES256"),
        rsa_verify: verify(
            &RSA,
            "RS256",
            rsa.public_key().as_ref(),
            &RSA_PKCS1_2048_8192_SHA256,
        ),
        p256_verify: verify(
            &P256,
            "ES256",
            p256.public_key().as_ref(),
            &ECDSA_P256_SHA256_FIXED,
        ),
    }
}

/// Microseconds of processor time per call, so that what else runs on the core counts for little.
fn cost(length: Duration, mut operation: impl FnMut()) -> f64 {
    let (began, used) = (Instant::now(), cpu_us());
    let mut calls = 0.0;
    while began.elapsed() < length {
        operation();
        calls += 1.0;
    }
    match (used, cpu_us()) {
        (Some(before), Some(after)) => (after - before) / calls,
        _ => began.elapsed().as_secs_f64() * 1e6 / calls,
    }
}

/// The processor time of this thread in microseconds, where the kernel counts it.
fn cpu_us() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e3)
}
