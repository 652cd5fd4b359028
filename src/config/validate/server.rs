//! Checks of the listeners against each other.

use crate::config::address::Address;
use crate::config::problems::Problems;
use crate::config::settings::Server;
use crate::config::tls::{ClientAuth, Tls};

pub(super) fn check(server: &Server, problems: &mut Problems) {
    let over_tls = server
        .tls
        .as_ref()
        .is_some_and(|tls| !tls.listen.is_empty());
    if server.listen.is_empty() && !over_tls {
        problems.error(
            "server.listen",
            "found an empty list: write at least one address, such as [\"127.0.0.1:8080\"]",
        );
    }
    if let Some(tls) = &server.tls {
        check_tls(tls, problems);
        check_required(server, tls, problems);
    }
    if let Some(everybody) = server.trusted_proxies.widest() {
        problems.warning(
            "server.trusted_proxies",
            format!("{everybody} is everybody, so every caller chooses the address that is logged for it: write the networks of your proxies"),
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

fn check_tls(tls: &Tls, problems: &mut Problems) {
    if tls.listen.is_empty() && tls.metadata_listen.is_empty() {
        problems.warning(
            "server.tls",
            "nothing listens with TLS, unless systemd passes a socket: write listen or metadata_listen, such as listen = [\"0.0.0.0:8443\"]",
        );
    }
    for (path, address) in tls_addresses(tls) {
        if matches!(address, Address::Unix(_)) {
            problems.error(
                path,
                format!("found \"{address}\", expected \"host:port\": a unix socket needs no TLS, and stands under [server]"),
            );
        }
    }
    if tls.client_ca_file.is_some() && tls.client_auth == ClientAuth::Optional {
        problems.note(
            "server.tls.client_auth",
            "\"optional\" serves clients without a certificate, too: \"required\" refuses them",
        );
    }
}

/// What `client_auth = "required"` does not reach, and whom it shuts out.
fn check_required(server: &Server, tls: &Tls, problems: &mut Problems) {
    if tls.client_auth != ClientAuth::Required {
        return;
    }
    for (index, address) in server.listen.iter().enumerate() {
        if matches!(address, Address::Tcp(_)) {
            problems.warning(
                format!("server.listen[{index}]"),
                format!("\"{address}\" (the default, if you wrote none) exchanges tokens without TLS and client certificates, though server.tls.client_auth = \"required\": write listen = [] if all callers come over TLS"),
            );
        }
    }
    let plain = server.listen.len() + server.metadata_listen.len() + tls.metadata_listen.len();
    if plain == 0 && server.admin_listen.is_none() {
        problems.warning(
            "server.admin_listen",
            "is not set, and all other listeners require client certificates, which `remint health` has none of: write one for it, such as \"unix:/run/remint/admin.sock\"",
        );
    }
}

/// Every listener with TLS and its path.
fn tls_addresses(tls: &Tls) -> impl Iterator<Item = (String, &Address)> {
    let list =
        |key: &'static str| move |(index, address)| (format!("server.tls.{key}[{index}]"), address);
    let main = tls.listen.iter().enumerate().map(list("listen"));
    let metadata = tls.metadata_listen.iter().enumerate();
    main.chain(metadata.map(list("metadata_listen")))
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
        .chain(server.tls.iter().flat_map(tls_addresses))
        .collect()
}
