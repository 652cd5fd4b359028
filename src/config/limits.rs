//! `[limits]`: what callers may take up.

use super::section::Section;

/// The default of `max_connections`.
const CONNECTIONS: usize = 10_000;
/// The largest value of it: each connection is a descriptor and some memory.
const MOST_CONNECTIONS: usize = 1_000_000;

/// `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections the main listeners have open together, and as many the metadata listeners.
    pub max_connections: usize,
}

/// Reads the table.
pub(super) fn read_limits(limits: &mut Section<'_>) -> Limits {
    Limits {
        max_connections: read_connections(limits),
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
