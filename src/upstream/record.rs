//! What a file of kept keys holds: one line about it, then the document as the upstream gave it.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::snapshot::LONGEST_USE;
use super::web::LARGEST_DOCUMENT;

/// The largest first line that is written or read, in bytes.
pub(super) const LARGEST_HEAD: usize = 4 * 1024;

/// The largest file that is read, in bytes.
pub(super) const LARGEST_FILE: usize = LARGEST_HEAD + LARGEST_DOCUMENT;

const KIND: &str = "upstream keys 1";

/// The most of a location that is noted; it is there for whoever looks into the file.
const LONGEST_LOCATION: usize = 500;

/// The first line, JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    remint: String,
    source: String,
    location: String,
    /// Seconds since the Unix epoch.
    fetched_at: u64,
    sha256: String,
}

/// A document and when it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Seconds since the Unix epoch.
    pub(super) fetched_at: u64,
    pub(super) document: Vec<u8>,
}

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it is not a file of kept keys")]
    Foreign,
    #[error("it is damaged: its digest is not that of its content")]
    Damaged,
    #[error("it holds the keys of another source")]
    OtherSource,
    #[error("it was written in the future: the clock of this machine went back")]
    Future,
    #[error("its keys were fetched more than 24 hours ago")]
    TooOld,
}

impl Record {
    /// The bytes of a file; `source` is the digest of the key source, `location` is for people.
    pub(super) fn encode(&self, source: &str, location: &str) -> Vec<u8> {
        let head = Head {
            remint: KIND.to_owned(),
            source: source.to_owned(),
            location: location.chars().take(LONGEST_LOCATION).collect(),
            fetched_at: self.fetched_at,
            sha256: seal(source, self.fetched_at, &self.document),
        };
        // A head of texts and numbers can always be written.
        let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.document);
        bytes
    }

    /// Reads a file that should be of `source` and not older than its keys may be at `now` (Unix time).
    pub(super) fn decode(bytes: &[u8], source: &str, now: Duration) -> Result<Self, Unfit> {
        let (head, document) = split(bytes).ok_or(Unfit::Foreign)?;
        if head.sha256 != seal(&head.source, head.fetched_at, document) {
            return Err(Unfit::Damaged);
        }
        if head.source != source {
            return Err(Unfit::OtherSource);
        }
        let age = now.checked_sub(Duration::from_secs(head.fetched_at));
        if age.ok_or(Unfit::Future)? >= LONGEST_USE {
            return Err(Unfit::TooOld);
        }
        Ok(Self {
            fetched_at: head.fetched_at,
            document: document.to_vec(),
        })
    }
}

/// Whether `beginning`, the first 4 KiB of a file, is of kept keys that are too old for any use at `now` (Unix time).
pub(super) fn is_spent(beginning: &[u8], now: Duration) -> bool {
    split(beginning).is_some_and(|(head, _)| {
        let age = now.checked_sub(Duration::from_secs(head.fetched_at));
        age.is_some_and(|age| age >= LONGEST_USE)
    })
}

/// The digest by which a change of the document is seen.
pub(super) fn digest(document: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digest = aws_lc_rs::digest::digest(&SHA256, document);
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    bytes
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn split(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let end = bytes
        .iter()
        .take(LARGEST_HEAD)
        .position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    let head: Head = serde_json::from_slice(line).ok()?;
    (head.remint == KIND).then_some((head, rest.get(1..)?))
}

/// Covers everything that is believed.
fn seal(source: &str, fetched_at: u64, document: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(format!("{KIND}\n{source}\n{fetched_at}\n").as_bytes());
    context.update(document);
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_800_000_000;

    fn record() -> Record {
        Record {
            fetched_at: AT,
            document: b"{\"keys\":\n[]}\n".to_vec(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_written_is_read_within_a_day() {
        let bytes = record().encode("s", &"l".repeat(10_000));
        for (now, expected) in [
            (at(AT), Ok(record())),
            (at(AT + 24 * 3600 - 1), Ok(record())),
            (at(AT + 24 * 3600), Err(Unfit::TooOld)),
            (Duration::from_millis(AT * 1000 - 1), Err(Unfit::Future)),
            (Duration::ZERO, Err(Unfit::Future)),
        ] {
            assert_eq!(Record::decode(&bytes, "s", now), expected);
            let spent = expected == Err(Unfit::TooOld);
            assert_eq!(is_spent(&bytes[..4096.min(bytes.len())], now), spent);
        }
        assert_eq!(Record::decode(&bytes, "t", at(AT)), Err(Unfit::OtherSource));
    }

    #[test]
    fn every_changed_bit_is_found() {
        let whole = record().encode("s", "l");
        let head = whole.iter().position(|byte| *byte == b'\n').unwrap();
        let text = std::str::from_utf8(&whole).unwrap();
        let value = |name: &str, length: usize| {
            let start = text.find(name).unwrap() + name.len();
            start..start + length
        };
        let location = value("\"location\":\"", 1);
        // Its first digit would become a zero, which no number begins with.
        let time = value("\"fetched_at\":1", 9);
        let sealed = [value("\"source\":\"", 1), time, value("\"sha256\":\"", 64)];
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            let expected = if location.contains(&place) {
                // The note for people is not believed, so it is not covered.
                Ok(record())
            } else if place > head || sealed.iter().any(|range| range.contains(&place)) {
                Err(Unfit::Damaged)
            } else {
                Err(Unfit::Foreign)
            };
            let read = Record::decode(&bytes, "s", at(AT));
            assert_eq!(read, expected, "{place}");
            let cut = if place > head {
                Unfit::Damaged
            } else {
                Unfit::Foreign
            };
            let read = Record::decode(&whole[..place], "s", at(AT));
            assert_eq!(read, Err(cut), "{place}");
        }
        for foreign in [&b""[..], b"\n", b"{}\n{}", b"{\"keys\":[]}\n"] {
            assert_eq!(Record::decode(foreign, "s", at(AT)), Err(Unfit::Foreign));
            assert!(!is_spent(foreign, Duration::MAX));
        }
    }
}
