//! Checks of names that come from a fixed set: algorithms, claims, headers.

use http::{HeaderName, HeaderValue};

use crate::config::problems::{Problems, child_path};
use crate::config::settings::Keys;

/// What Remint signs with.
pub(super) const SIGNING: [&str; 2] = ["RS256", "ES256"];

const VERIFYING: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Claims that only Remint writes: neither copied nor computed.
const RESERVED: [&str; 18] = [
    "iss",
    "iat",
    "nbf",
    "exp",
    "jti",
    "aud",
    "azp",
    "act",
    "may_act",
    "cnf",
    "nonce",
    "scope",
    "client_id",
    "federated_claims",
    "at_hash",
    "c_hash",
    "sid",
    "auth_time",
];

/// AWS takes session tags and source identities from here, so an issuer must not be able to choose them.
const AWS_CLAIMS: &str = "https://aws.amazon.com/";

/// Checks an algorithm that is to sign: one that Remint has, and that `[keys.signing]` does not exclude.
pub(super) fn check_signing_alg(alg: &str, keys: &Keys, path: &str, problems: &mut Problems) {
    if alg.is_empty() {
        return;
    }
    if !SIGNING.contains(&alg) {
        problems.error(path, format!("found {alg:?}, expected \"RS256\" or \"ES256\", the algorithms that Remint signs with"));
        return;
    }
    if let Some(signing) = &keys.signing
        && !signing.iter().any(|(listed, _)| listed == alg)
    {
        problems.error(
            path,
            format!("found {alg:?}, but [keys.signing] lists no key for it and only what is listed there signs: add {alg} = \"kid\" there"),
        );
    }
}

/// Checks the algorithms accepted from an issuer.
pub(super) fn check_algorithms(algorithms: &[String], path: &str, problems: &mut Problems) {
    if algorithms.is_empty() {
        problems.error(path, "found an empty list, so no token could be accepted: list algorithms such as [\"RS256\"], or leave the key out");
    }
    let all = VERIFYING.join(", ");
    for (index, alg) in algorithms.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let upper = alg.to_ascii_uppercase();
        if alg.is_empty() || VERIFYING.contains(&alg.as_str()) {
            continue;
        }
        if upper == "NONE" {
            problems.error(
                path,
                format!("found {alg:?}: unsigned tokens are never accepted; expected one of {all}"),
            );
        } else if upper.starts_with("HS") {
            problems.error(path, format!("found {alg:?}: a shared secret would let anyone who can verify also mint, so it is never accepted; expected one of {all}"));
        } else {
            problems.error(path, format!("found {alg:?}, expected one of {all}"));
        }
    }
}

/// Checks the names of claims that are copied.
pub(super) fn check_cloned(claims: &[String], path: &str, problems: &mut Problems) {
    for (index, claim) in claims.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if claim.starts_with(AWS_CLAIMS) {
            problems.error(
                path,
                format!("{claim:?} cannot be copied, since the issuer would then choose what AWS trusts; compute it under claims instead"),
            );
        } else if RESERVED.contains(&claim.as_str()) {
            problems.error(path, reserved(claim));
        }
    }
}

/// Checks the names of claims that are computed.
pub(super) fn check_computed(claims: &[(String, String)], path: &str, problems: &mut Problems) {
    for (claim, _) in claims {
        if RESERVED.contains(&claim.as_str()) {
            problems.error(child_path(path, claim), reserved(claim));
        }
    }
}

fn reserved(claim: &str) -> String {
    format!(
        "{claim:?} is written by Remint itself and can be neither copied nor computed: remove it, or choose another name"
    )
}

/// Checks headers for requests to an issuer; their values are never shown.
pub(super) fn check_headers(headers: &[(String, String)], path: &str, problems: &mut Problems) {
    for (index, (name, value)) in headers.iter().enumerate() {
        let path = child_path(path, name);
        if let Some((first, _)) = headers
            .iter()
            .take(index)
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            problems.error(&path, format!("the same header as {first:?}: remove one"));
        }
        match name.to_ascii_lowercase().as_str() {
            "authorization" => problems.error(
                &path,
                "a credential does not belong into the configuration: put the bearer token into a file and name it with bearer_file",
            ),
            "host" | "connection" | "content-length" | "transfer-encoding" | "upgrade" | "te" => {
                problems.error(&path, "is set by the HTTP client and cannot be chosen: remove it");
            }
            _ if HeaderName::from_bytes(name.as_bytes()).is_err() => problems.error(
                &path,
                format!("{name:?} is not a valid HTTP header name: use letters, digits and `-`"),
            ),
            _ => {}
        }
        if HeaderValue::from_str(value).is_err() {
            problems.error(path, "the value is not a valid HTTP header value: use visible ASCII characters and spaces, on one line");
        }
    }
}
