//! What a running server cannot change: where it listens, and how much room the accept loops have.

use crate::config::Settings;

/// The keys with another value in `new` than at the start; they need a restart.
pub(super) fn changed(started: &Settings, new: &Settings) -> Vec<&'static str> {
    let (old_server, new_server) = (&started.server, &new.server);
    let mut changed = vec![
        ("server.listen", old_server.listen != new_server.listen),
        (
            "server.metadata_listen",
            old_server.metadata_listen != new_server.metadata_listen,
        ),
        (
            "server.admin_listen",
            old_server.admin_listen != new_server.admin_listen,
        ),
        (
            "server.socket_mode",
            old_server.socket_mode != new_server.socket_mode,
        ),
        (
            "limits.max_connections",
            started.limits.max_connections != new.limits.max_connections,
        ),
    ];
    match (&old_server.tls, &new_server.tls) {
        (None, None) => {}
        (Some(old), Some(new)) => changed.extend([
            ("server.tls.listen", old.listen != new.listen),
            (
                "server.tls.metadata_listen",
                old.metadata_listen != new.metadata_listen,
            ),
        ]),
        _ => changed.push(("server.tls", true)),
    }
    let changed = changed.into_iter().filter(|(_, is_other)| *is_other);
    changed.map(|(key, _)| key).collect()
}
