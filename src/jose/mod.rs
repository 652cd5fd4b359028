//! All cryptography: reading and verifying foreign tokens, keeping and using our own keys. No I/O.

mod algorithm;
pub mod base64url;
mod good_signatures;
mod json;
mod jwk;
mod keyring;
mod keyset;
mod material;
mod members;
mod mistakes;
mod outlook;
mod phases;
mod private_jwk;
mod public_jwk;
mod rotation;
mod signing;
mod timeline;
mod times;
mod token;
mod verifying;

pub use algorithm::{Algorithm, SigningAlgorithm, UnknownAlgorithm};
pub use good_signatures::GoodSignatures;
pub use json::NotStrict;
pub use jwk::KeyRejected;
pub use keyring::{Choice, Keyring, Moment, OwnKey, etag};
pub use keyset::{CandidateKeys, Candidates, KeySet, KeySetError, Skipped};
pub use members::{Member, Members};
pub use phases::KeyState;
pub use private_jwk::{PrivateJwk, UnusableKey};
pub use public_jwk::{PublicJwk, PublicKey};
pub use rotation::{NotRemoved, NotRotated, Removed, Rotated, Rotation, prune, remove, rotate};
pub use signing::{SigningFailed, SigningKey};
pub use timeline::Timeline;
pub use times::{Times, rfc3339};
pub use token::{Claims, LONGEST_TOKEN, Malformed, Presumption, Unverified, Verified};
pub use verifying::VerifyingKey;
