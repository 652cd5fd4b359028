//! All cryptography: reading and verifying foreign tokens, keeping and using our own keys. No I/O.

mod algorithm;
pub mod base64url;
mod json;
mod keyring;
mod keyset;
mod private_jwk;
mod public_jwk;
mod signing;
mod token;
mod verifying;

pub use algorithm::{Algorithm, SigningAlgorithm, UnknownAlgorithm};
pub use json::{NotStrict, strict_object};
pub use keyring::{Choice, Keyring, etag};
pub use keyset::{CandidateKeys, Candidates, KeySet, KeySetError, Skipped};
pub use private_jwk::{PrivateJwk, UnusableKey};
pub use public_jwk::{PublicJwk, PublicKey};
pub use signing::{SigningFailed, SigningKey};
pub use token::{Claims, LONGEST_TOKEN, Malformed, Presumption, Unverified, Verified};
pub use verifying::{KeyRejected, VerifyingKey};
