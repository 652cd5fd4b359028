//! Secrets that were hashed before they came into the configuration: argon2id (RFC 9106) and bcrypt.

use std::str::FromStr;

use argon2::password_hash::{PasswordHash, PasswordHashString, PasswordVerifier};
use argon2::{Argon2, Params};
use bcrypt::HashParts;

/// The longest secret that a bcrypt hash can be of, in bytes: bcrypt does not read what comes after.
const LONGEST_FOR_BCRYPT: usize = 72;

/// A checked hash.
pub(super) enum Hash {
    Argon2id(PasswordHashString),
    Bcrypt(String),
}

/// More would let a few guesses take the memory of the machine.
const MOST_KIB: u32 = 256 * 1024;
/// With the most memory, some seconds.
const MOST_PASSES: u32 = 16;
/// Some seconds; each step doubles it.
const MOST_COST: u32 = 16;

impl Hash {
    /// Checks a hash as written; what is wrong is said without showing it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split('$').nth(1) {
            Some("argon2id") => check_argon2id(text).map(Self::Argon2id),
            Some("2a" | "2b" | "2y") => check_bcrypt(text).map(|()| Self::Bcrypt(text.to_owned())),
            Some(other @ ("argon2i" | "argon2d" | "2x" | "1" | "5" | "6" | "scrypt" | "y")) => {
                Err(format!("found a hash of the kind ${other}$, {EXPECTED}"))
            }
            _ => Err(format!("found something else, {EXPECTED}")),
        }
    }

    /// Whether it was written like this.
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Argon2id(hash) => hash.as_str() == text,
            Self::Bcrypt(hash) => hash == text,
        }
    }

    /// Why this cannot be the hash of `secret`, whatever it is; `None` where only hashing can tell.
    pub(super) fn excludes(&self, secret: &str) -> Option<String> {
        let cuts = matches!(self, Self::Bcrypt(_)) && secret.len() > LONGEST_FOR_BCRYPT;
        cuts.then(|| {
            format!("a secret of more than {LONGEST_FOR_BCRYPT} bytes, of which bcrypt would ignore the rest (an argon2id hash has no such limit)")
        })
    }

    /// Whether this is the hash of `secret`; it takes its time.
    pub(super) fn matches(&self, secret: &str) -> bool {
        match self {
            Self::Argon2id(hash) => Argon2::default()
                .verify_password(secret.as_bytes(), &hash.password_hash())
                .is_ok(),
            Self::Bcrypt(hash) => {
                self.excludes(secret).is_none() && bcrypt::verify(secret, hash).unwrap_or(false)
            }
        }
    }
}

const EXPECTED: &str = "expected an argon2id hash ($argon2id$v=19$...) or a bcrypt hash ($2b$..., $2y$... or $2a$...), such as `htpasswd -nBC 12 NAME` prints after the colon";

fn check_argon2id(text: &str) -> Result<PasswordHashString, String> {
    const MALFORMED: &str = "the argon2id hash is not well-formed";
    let hash =
        PasswordHash::new(text).map_err(|error| format!("{MALFORMED} ({error}): {EXPECTED}"))?;
    let params =
        Params::try_from(&hash).map_err(|error| format!("{MALFORMED} ({error}): {EXPECTED}"))?;
    let is_whole = hash.hash.is_some()
        && matches!(hash.version, Some(0x10 | 0x13))
        && ["m", "t", "p"]
            .into_iter()
            .all(|name| hash.params.get(name).is_some());
    let is_salted = hash.salt.is_some_and(|salt| {
        let mut bytes = [0; 64];
        salt.decode_b64(&mut bytes)
            .is_ok_and(|salt| salt.len() >= argon2::MIN_SALT_LEN)
    });
    if !is_whole || !is_salted {
        return Err(format!("{MALFORMED}: {EXPECTED}"));
    }
    if params.m_cost() > MOST_KIB {
        return Err(format!(
            "the argon2id hash takes {} KiB of memory, expected at most {MOST_KIB} (256 MiB): hash the secret again with less, such as m=19456",
            params.m_cost()
        ));
    }
    if params.t_cost() > MOST_PASSES {
        return Err(format!(
            "the argon2id hash takes {} passes, expected at most {MOST_PASSES}: hash the secret again with fewer, such as t=2",
            params.t_cost()
        ));
    }
    Ok(hash.serialize())
}

fn check_bcrypt(text: &str) -> Result<(), String> {
    const MALFORMED: &str = "the bcrypt hash is not well-formed";
    let parts = HashParts::from_str(text).map_err(|_| format!("{MALFORMED}: {EXPECTED}"))?;
    match parts.get_cost() {
        0..=3 | 32.. => Err(format!(
            "{MALFORMED}, its cost is not among 4 to 31: {EXPECTED}"
        )),
        cost if cost > MOST_COST => Err(format!(
            "the bcrypt hash has the cost {cost}, expected at most {MOST_COST}: hash the secret again with less, such as 12"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by the reference implementations (argon2-cffi, libxcrypt) from "s3cret".
    const ARGON2ID: &str = "$argon2id$v=19$m=64,t=1,p=2$GjFUsu5I1zz3+nqud76g0A$RTP886N+8gcp5TYcdcr9LCC74gpb02nHR9b3y0FC+Lc";
    const ARGON2I: &str = "$argon2i$v=19$m=64,t=1,p=2$zk54N8JD/OTNxO1cvfK7vg$TOQZNKe4whoBeSv8yFuhgszZd33pPULZf88OrycUvdY";
    const BCRYPT: &str = "$2b$04$NLxdtSTIqscThONzUGOt8Om0lMuz6ScOF1JH7jRdj9eCtBvav1C66";

    #[test]
    fn hashes_of_others_verify() {
        let table = [
            ARGON2ID.to_owned(),
            BCRYPT.to_owned(),
            BCRYPT.replace("2b", "2a"),
            BCRYPT.replace("2b", "2y"),
        ];
        for text in table {
            let hash = Hash::parse(&text).unwrap();
            assert!(hash.matches("s3cret"), "{text}");
            assert!(!hash.matches("S3cret") && !hash.matches(""), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_shown() {
        let table = [
            ("hunter2", "something else"),
            ("", "something else"),
            ("$argon2id$", "not well-formed"),
            (ARGON2I, "kind $argon2i$"),
            (&ARGON2I.replace("2i", "2d"), "kind $argon2d$"),
            (&ARGON2ID.replace("v=19$", ""), "not well-formed"),
            (&ARGON2ID.replace("v=19", "v=18"), "not well-formed"),
            (&ARGON2ID.replace("m=64,", ""), "not well-formed"),
            (&ARGON2ID.replace("m=64", "m=1"), "not well-formed"),
            (
                &ARGON2ID.replace("$GjFUsu5I1zz3+nqud76g0A", "$GjFU"),
                "not well-formed",
            ),
            (
                &ARGON2ID.replace("$RTP886N+8gcp5TYcdcr9LCC74gpb02nHR9b3y0FC+Lc", ""),
                "not well-formed",
            ),
            (&ARGON2ID.replace("m=64", "m=262145"), "262145 KiB"),
            (&ARGON2ID.replace("t=1", "t=17"), "17 passes"),
            (&BCRYPT.replace("2b", "2x"), "kind $2x$"),
            (&BCRYPT.replace("2b$04", "2b$03"), "cost"),
            (&BCRYPT.replace("2b$04", "2b$17"), "the cost 17"),
            (&BCRYPT.replace("2b$04", "2b$99"), "cost"),
            (&BCRYPT.replace("C66", "C6"), "not well-formed"),
            (&BCRYPT.replace("C66", "C6é"), "not well-formed"),
            (&BCRYPT.replace("NLx", "N!x"), "not well-formed"),
        ];
        for (text, words) in table {
            let message = Hash::parse(text).err().unwrap();
            assert!(message.contains(words), "{text}: {message}");
            assert!(!message.contains("hunter2") && !message.contains("dtSTIqscTh"));
            assert!(!message.contains("GjFU") && !message.contains("zk54N8JD"));
        }
        assert!(Hash::parse(&ARGON2ID.replace("m=64", "m=262144")).is_ok());
    }
}
