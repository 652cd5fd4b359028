//! Checks of the clients: each by itself, against each other, and against the connectors.

use std::collections::{HashMap, HashSet};

use crate::config::client::{Client, GRANTS};
use crate::config::connector::{Connector, Rule};
use crate::config::problems::{Problems, child_path};
use crate::config::section::near;
use crate::config::settings::Settings;

pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    let mut clients: HashMap<&str, &Client> = HashMap::new();
    for client in settings.clients.iter().filter(|one| !one.id.is_empty()) {
        check_id(client, &clients, problems);
        clients.entry(&client.id).or_insert(client);
    }
    let connectors = settings.connectors.iter().map(|one| one.id.as_str());
    let connectors = Names::new("connector", connectors);
    let ids = Names::new("client", settings.clients.iter().map(|one| one.id.as_str()));
    for client in &settings.clients {
        check_grants(client, problems);
        check_connectors(client, &connectors, problems);
        check_audiences(client, problems);
        warn_of_bound_audiences(client, &settings.connectors, problems);
        check_peers(client, &ids, &clients, problems);
    }
    check_usable(settings, problems);
}

/// The ids that a list may name.
struct Names<'a> {
    what: &'static str,
    ids: HashSet<&'a str>,
    order: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn new(what: &'static str, ids: impl Iterator<Item = &'a str>) -> Self {
        let order: Vec<_> = ids.filter(|id| !id.is_empty()).collect();
        let ids = order.iter().copied().collect();
        Self { what, ids, order }
    }

    /// Records an error for each of `listed` that is none of them.
    fn check(&self, listed: &[String], path: &str, problems: &mut Problems) {
        for (index, id) in listed.iter().enumerate() {
            if id.is_empty() || self.ids.contains(id.as_str()) {
                continue;
            }
            let hint = match near(id, self.order.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write the id of one, or add it under [[{}s]]", self.what),
            };
            problems.error(
                format!("{path}[{index}]"),
                format!("no {} has the id {id:?}: {hint}", self.what),
            );
        }
    }
}

fn check_id(client: &Client, earlier: &HashMap<&str, &Client>, problems: &mut Problems) {
    let path = child_path(&client.path, "id");
    let id = &client.id;
    // What a scope may hold (RFC 6749 §3.3), since `audience:server:client_id:ID` is one.
    let is_allowed = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if !id.chars().all(is_allowed) {
        problems.error(
            path,
            format!("found {id:?}, expected only visible ASCII characters other than `\"` and `\\`, without spaces, such as \"my-app\""),
        );
    } else if let Some(first) = earlier.get(id.as_str()) {
        problems.error(
            path,
            format!(
                "{id:?} is already the id of {}: give each client its own",
                first.path
            ),
        );
    }
}

fn check_grants(client: &Client, problems: &mut Problems) {
    let path = child_path(&client.path, "grants");
    let names = || GRANTS.into_iter().map(|(short, _)| short);
    for (index, grant) in client.grants.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if grant.is_empty() {
            continue;
        }
        if !names().any(|name| name == grant) {
            let hint = match near(grant, names()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "expected \"token-exchange\" or \"client_credentials\"".to_owned(),
            };
            problems.error(path, format!("no grant is called {grant:?}: {hint}"));
        } else if grant == "client_credentials" && client.public {
            problems.warning(path, "cannot succeed, since the client is public and so proves nothing: remove it, or public = true");
        }
    }
    if client.grants.is_empty() {
        problems.note(
            path,
            "the client may ask for no token; it is only an audience of others",
        );
    }
}

fn check_connectors(client: &Client, connectors: &Names<'_>, problems: &mut Problems) {
    let path = child_path(&client.path, "connectors");
    let Some(listed) = &client.connectors else {
        return;
    };
    connectors.check(listed, &path, problems);
    if listed.is_empty() && exchanges(client) {
        problems.warning(path, "an empty list, so the client may exchange no token: list connectors, or leave the key out for all of them");
    }
}

fn check_audiences(client: &Client, problems: &mut Problems) {
    let wildcards = client.audiences.iter().enumerate();
    for (index, _) in wildcards.filter(|(_, audience)| *audience == "*") {
        problems.warning(
            format!("{}[{index}]", child_path(&client.path, "audiences")),
            "\"*\" means only itself here, not any audience: list what the client may ask for",
        );
    }
}

/// An audience that a rule binds is bound in exchanges of that rule's connector only: who may get it otherwise is said.
fn warn_of_bound_audiences(client: &Client, connectors: &[Connector], problems: &mut Problems) {
    for (index, audience) in client.audiences.iter().enumerate() {
        let binding = |connector: &Connector| {
            let binds = |rule: &&Rule| rule.targets.iter().flatten().any(|one| one == audience);
            let rule = connector.rules.iter().find(binds);
            rule.map(|rule| rule.name.clone())
        };
        let bound = connectors.iter().find_map(|one| Some((one, binding(one)?)));
        let Some((connector, rule)) = bound else {
            continue;
        };
        let usable = |one: &&Connector| {
            let listed = client.connectors.as_ref();
            listed.is_none_or(|listed| listed.contains(&one.id)) && binding(one).is_none()
        };
        let mut ways = Vec::new();
        if exchanges(client)
            && let Some(other) = connectors.iter().find(usable)
        {
            ways.push(format!("an exchange through the connector {:?}", other.id));
        }
        if !client.public
            && client
                .grants
                .iter()
                .any(|grant| grant == "client_credentials")
        {
            ways.push("client_credentials".to_owned());
        }
        let effect = if ways.is_empty() {
            "so it has no effect here: remove it".to_owned()
        } else {
            let ways = ways.join(" and ");
            format!(
                "but {ways} can grant it to this client without that rule: remove it here unless that is meant"
            )
        };
        problems.warning(
            format!("{}[{index}]", child_path(&client.path, "audiences")),
            format!(
                "the rule {rule:?} of the connector {:?} lists {audience:?} too, and through that connector only the rule grants it, {effect}",
                connector.id
            ),
        );
    }
}

fn check_peers(
    client: &Client,
    ids: &Names<'_>,
    clients: &HashMap<&str, &Client>,
    problems: &mut Problems,
) {
    let path = child_path(&client.path, "trusted_peers");
    ids.check(&client.trusted_peers, &path, problems);
    for (index, peer) in client.trusted_peers.iter().enumerate() {
        if clients.get(peer.as_str()).is_some_and(|peer| peer.public) {
            problems.warning(
                format!("{path}[{index}]"),
                format!("{peer:?} is a public client: whoever knows its id can pass for it, so it gets nothing from being trusted unless it proves a secret"),
            );
        }
    }
}

fn exchanges(client: &Client) -> bool {
    client.grants.iter().any(|grant| grant == "token-exchange")
}

/// Warns of each connector that lets nobody in because no client may use it.
fn check_usable(settings: &Settings, problems: &mut Problems) {
    let some_take_all = settings
        .clients
        .iter()
        .any(|client| exchanges(client) && client.connectors.is_none());
    let listed = settings.clients.iter().filter(|client| exchanges(client));
    let listed: HashSet<&str> = listed
        .flat_map(|client| client.connectors.iter().flatten())
        .map(String::as_str)
        .collect();
    for connector in &settings.connectors {
        let default = !settings.clients.is_empty();
        let required = connector.require_client.unwrap_or(default);
        if !required || some_take_all || listed.contains(connector.id.as_str()) {
            continue;
        }
        problems.warning(
            child_path(&connector.path, "require_client"),
            "a client must authenticate, and none may use this connector, so every request is refused: add one under [[clients]], or set require_client = false",
        );
    }
}
