//! How many files this process may have open: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is open beside connections: listeners, files, fetches of keys.
const OTHERS: u64 = 100;

/// Raises the limit of open files as far as this process may, and warns where it stays below what
/// `connections` take.
pub(super) fn raise(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let needed = OTHERS.saturating_add(connections.try_into().unwrap_or(u64::MAX));
    if let Some(current) = current.filter(|current| *current < needed) {
        tracing::warn!(
            limit = current,
            needed,
            "fewer files may be open than limits.max_connections can take; raise `ulimit -n` (systemd: LimitNOFILE=), or set it lower"
        );
    }
}
