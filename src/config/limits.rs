//! `[limits]`: what callers may take up.

use super::section::Section;
use super::size::Size;

/// The default of `max_connections`.
const CONNECTIONS: usize = 10_000;
/// The largest value of it: each connection is a descriptor and some memory.
const MOST_CONNECTIONS: usize = 1_000_000;

/// The default of `max_concurrent`.
const CONCURRENT: usize = 256;
/// The largest value of it.
const MOST_CONCURRENT: u32 = 100_000;
/// The largest body of a token request, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;
/// The default of `max_body_bytes`.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// The largest rate: more than any machine answers.
const MOST_RATE: u32 = 1_000_000;

/// `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections the main listeners have open together, and as many the metadata listeners.
    pub max_connections: usize,
    /// How many exchanges are worked on at once.
    pub max_concurrent: usize,
    /// How many bytes the bodies of all requests under way may hold together.
    pub max_body_bytes: usize,
    /// Token requests a second from one address; absent: any number.
    pub rate_per_address: Option<u32>,
    /// Token requests a second by one client; absent: any number.
    pub rate_per_client: Option<u32>,
}

/// Reads the table.
pub(super) fn read_limits(limits: &mut Section<'_>) -> Limits {
    Limits {
        max_connections: read_connections(limits),
        max_concurrent: read_number(limits, "max_concurrent", MOST_CONCURRENT)
            .and_then(|found| usize::try_from(found).ok())
            .unwrap_or(CONCURRENT),
        max_body_bytes: read_body_bytes(limits),
        rate_per_address: read_number(limits, "rate_per_address", MOST_RATE),
        rate_per_client: read_number(limits, "rate_per_client", MOST_RATE),
    }
}

fn read_connections(limits: &mut Section<'_>) -> usize {
    let Some(found) = limits.optional::<u64>("max_connections") else {
        return CONNECTIONS;
    };
    match usize::try_from(found) {
        Ok(found) if (1..=MOST_CONNECTIONS).contains(&found) => found,
        _ => {
            let message = format!("found {found}, expected 1 to {MOST_CONNECTIONS}");
            limits.error("max_connections", message);
            CONNECTIONS
        }
    }
}

fn read_body_bytes(limits: &mut Section<'_>) -> usize {
    const KEY: &str = "max_body_bytes";
    let Some(found) = limits.optional::<Size>(KEY) else {
        return BODY_BYTES;
    };
    match usize::try_from(found.0) {
        Ok(bytes) if bytes >= LARGEST_BODY => bytes,
        _ => {
            let least = Size(LARGEST_BODY as u64);
            let message = format!(
                "found {found}, expected \"{least}\" or more: one body can be as large, such as \"64MiB\" for a thousand of them"
            );
            limits.error(KEY, message);
            BODY_BYTES
        }
    }
}

/// A number from 1 to `most`; absent where it is left out, or wrong and reported.
fn read_number(limits: &mut Section<'_>, key: &'static str, most: u32) -> Option<u32> {
    let found = limits.optional::<u64>(key)?;
    let number = u32::try_from(found).ok();
    let number = number.filter(|number| (1..=most).contains(number));
    if number.is_none() {
        let message = format!("found {found}, expected 1 to {most}");
        limits.error(key, message);
    }
    number
}
