//! Checks of the listeners against each other.

use crate::config::address::Address;
use crate::config::problems::Problems;
use crate::config::settings::Server;

pub(super) fn check(server: &Server, problems: &mut Problems) {
    if server.listen.is_empty() {
        problems.error(
            "server.listen",
            "found an empty list: write at least one address, such as [\"127.0.0.1:8080\"]",
        );
    }
    let all = addresses(server);
    for (index, (path, address)) in all.iter().enumerate() {
        let mut before = all.iter().take(index);
        if let Some((first, _)) = before.find(|(_, other)| other == address)
            && !address.is_blank()
            && address.is_exclusive()
        {
            problems.error(
                path,
                format!("\"{address}\" already stands at {first}: remove one, or choose another"),
            );
        }
    }
    if let Some(admin) = &server.admin_listen
        && !admin.is_blank()
        && !admin.is_local()
    {
        problems.warning(
            "server.admin_listen",
            format!("\"{admin}\" is open to other machines, and tells whose tokens are trusted and why their keys fail: listen on 127.0.0.1 or a unix socket, or let only your monitoring reach it"),
        );
    }
}

/// Every listener with its path, in the order of the roles.
fn addresses(server: &Server) -> Vec<(String, &Address)> {
    let list =
        |key: &'static str| move |(index, address)| (format!("server.{key}[{index}]"), address);
    let main = server.listen.iter().enumerate().map(list("listen"));
    let metadata = server.metadata_listen.iter().enumerate();
    let admin = server.admin_listen.iter();
    main.chain(metadata.map(list("metadata_listen")))
        .chain(admin.map(|address| ("server.admin_listen".to_owned(), address)))
        .collect()
}
