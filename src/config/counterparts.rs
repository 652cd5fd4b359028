//! Keys that other programs' configurations have, Dex's and oidc-token-proxy's above all, and what they are called here.

use std::fmt;

/// What there is here for a key that Remint does not have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counterpart {
    /// The same thing; what to write.
    Is(&'static str),
    /// No such thing; why none is needed, or what to do instead.
    None(&'static str),
    /// Part of the cargo feature `provider`.
    Provider,
}

impl fmt::Display for Counterpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(what) => write!(f, "here it is {what}"),
            Self::None(why) => f.write_str(why),
            Self::Provider => f.write_str(
                "not in this build: browser login, its sessions, refresh tokens and storage need the cargo feature `provider`; remove it to exchange tokens only",
            ),
        }
    }
}

/// What stands for `key` in the table `table`, a path without indices such as `connectors.config`.
pub(super) fn counterpart(table: &str, key: &str) -> Option<Counterpart> {
    let inner = format!("{table}.config");
    let fits = |place: &str| place == "*" || place == table || place == inner;
    // A row that names the table itself comes before one for the options that Dex nests below it.
    let find = |exact: bool| {
        let mut rows = ROWS.iter();
        rows.find(|(place, name, _)| *name == key && fits(place) && (!exact || *place != inner))
    };
    find(true)
        .or_else(|| find(false))
        .map(|(_, _, counterpart)| *counterpart)
}

/// Whether the keys inside the unknown table at `path` have counterparts of their own.
pub(super) fn has_inner(path: &str) -> bool {
    ROWS.iter().any(|(place, _, _)| *place == path)
}

use Counterpart::{Is, None as No, Provider};

/// Table (`*` for any), key, counterpart: one row a line, so that they can be read.
#[rustfmt::skip]
const ROWS: &[(&str, &str, Counterpart)] = &[
    // oidc-token-proxy.
    ("*", "upstream_issuer", Is("`issuer` under [[connectors]], one connector for each issuer whose tokens are accepted")),
    ("*", "upstream_jwks_uri", Is("`jwks_uri` under [[connectors]]")),
    ("*", "upstream_jwks_file", Is("`jwks_file` under [[connectors]]")),
    ("*", "upstream_jwks_cache_max_age", Is("`jwks_max_age` under [[connectors]], with a unit, such as jwks_max_age = \"300s\"")),
    ("*", "upstream_timeout", Is("`timeout` under [[connectors]], with a unit, such as timeout = \"30s\"")),
    ("*", "clone_upstream_claims", Is("`clone_claims` under [[connectors]], a list such as [\"sub\", \"ref\"]")),
    ("*", "extra_request_headers", Is("`headers` under [[connectors]], such as headers = { user-agent = \"remint\" }")),
    ("*", "signing_key_ids", Is("the table [keys.signing], with lines such as RS256 = \"kid\"")),
    ("*", "default_signing_alg", Is("`default_alg` under [keys]")),
    ("", "jwks_file", Is("`file` under [keys], for the keys that sign; the keys of an upstream issuer are `jwks_file` under [[connectors]]")),
    ("keys", "jwks_file", Is("`file`")),
    // Dex: the top.
    ("", "storage", No("without browser login (the cargo feature `provider`) Remint needs no database; keys are in the file that `file` under [keys] names")),
    ("", "web", Is("[server]: http is `listen`, https is `listen` under [server.tls]")),
    ("web", "http", Is("`listen` under [server], a list such as [\"0.0.0.0:5556\"]")),
    ("web", "https", Is("`listen` under [server.tls], a list such as [\"0.0.0.0:5554\"]")),
    ("web", "tlsCert", Is("`cert_file` under [server.tls]")),
    ("web", "tlsKey", Is("`key_file` under [server.tls]")),
    ("web", "tlsMinVersion", No("TLS 1.2 and 1.3 are spoken, nothing older")),
    ("web", "tlsMaxVersion", No("TLS 1.2 and 1.3 are spoken")),
    ("web", "allowedOrigins", No("metadata and keys can be read from every origin, and /token from none")),
    ("web", "allowedHeaders", No("no cross-origin request to /token is answered")),
    ("web", "headers", No("there are no pages that would need them")),
    ("web", "clientRemoteIP", Is("`trusted_proxies` under [server]")),
    ("", "telemetry", Is("`admin_listen` under [server], such as admin_listen = \"127.0.0.1:9090\"")),
    ("telemetry", "http", Is("`admin_listen` under [server], such as admin_listen = \"127.0.0.1:9090\"")),
    ("telemetry", "enableProfiling", No("nothing is profiled over HTTP")),
    ("", "grpc", Provider),
    ("", "oauth2", No("each of its keys has its own place or none")),
    ("oauth2", "grantTypes", Is("`grants` under [[clients]], such as grants = [\"token-exchange\"]; token exchange is always there")),
    ("oauth2", "responseTypes", Provider),
    ("oauth2", "skipApprovalScreen", Provider),
    ("oauth2", "alwaysShowLoginScreen", Provider),
    ("oauth2", "passwordConnector", Provider),
    ("oauth2", "pkce", Provider),
    ("", "expiry", Is("`max_lifetime` under [tokens], and `lifetime` under [[connectors]]")),
    ("expiry", "idTokens", Is("`max_lifetime` under [tokens], such as max_lifetime = \"1h\", and `lifetime` under [[connectors]]")),
    ("expiry", "signingKeys", No("`remint keys rotate` rotates keys, when you run it")),
    ("expiry", "refreshTokens", Provider),
    ("expiry", "authRequests", Provider),
    ("expiry", "deviceRequests", Provider),
    ("", "signer", Is("`file` under [keys]; `remint keys generate` makes keys, `remint keys rotate` rotates them")),
    ("", "enablePasswordDB", Provider),
    ("", "staticPasswords", Provider),
    ("", "logger", No("RUST_LOG sets the level, such as RUST_LOG=debug, and --log-format the format")),
    ("logger", "level", No("set the variable RUST_LOG, such as RUST_LOG=debug")),
    ("logger", "format", No("give `--log-format json` on the command line")),
    ("", "frontend", Provider),
    ("", "sessions", Provider),
    ("", "mfa", Provider),
    ("", "provider", Provider),
    ("", "staticClients", Is("[[clients]]: id, name, secret and public are the same; secretEnv is `secret_env`, trustedPeers is `trusted_peers`, redirectURIs go (browser login needs the cargo feature `provider`)")),
    // Dex: connectors, and the options that it nests below `config`.
    ("connectors", "type", No("every connector is an OIDC issuer; other types log people in and need the cargo feature `provider`")),
    ("connectors", "name", No("`id` is the name of a connector")),
    ("connectors", "grantTypes", Is("`grants` under [[clients]]; every connector serves token exchange")),
    ("connectors", "config", No("its keys are written in the connector itself, in snake_case")),
    ("connectors", "login", Provider),
    ("connectors.config", "issuer", Is("`issuer` in the connector itself")),
    ("connectors.config", "userNameKey", Is("`user_name_key` in the connector itself")),
    ("connectors.config", "userIDKey", Is("a computed `sub`, such as sub = \"claims.user_id\" under [connectors.claims]")),
    ("connectors.config", "getUserInfo", Is("`get_user_info` in the connector itself, for opaque access tokens")),
    ("connectors.config", "clientID", No("Remint needs no client at the upstream to exchange its tokens (browser login does, in the cargo feature `provider`)")),
    ("connectors.config", "client_id", No("Remint needs no client at the upstream to exchange its tokens; those who may ask Remint are `id` under [[clients]]")),
    ("connectors.config", "clientSecret", No("Remint needs no client at the upstream to exchange its tokens (browser login does, in the cargo feature `provider`)")),
    ("connectors.config", "client_secret", No("Remint needs no client at the upstream to exchange its tokens; those who may ask Remint have a `secret` under [[clients]]")),
    ("connectors.config", "redirectURI", Provider),
    ("connectors.config", "scopes", No("nothing is asked of the upstream; `scopes` in the connector itself lists further scopes that callers of Remint may ask for, and groups = true releases upstream groups")),
    ("connectors.config", "insecureSkipVerify", No("certificates are always verified; name the CA with `ca_file`")),
    ("connectors.config", "rootCAs", Is("`ca_file` in the connector itself, one PEM file")),
    ("connectors.config", "rootCA", Is("`ca_file` in the connector itself, a PEM file")),
    ("connectors.config", "insecureEnableGroups", Is("`groups = true` in the connector itself")),
    ("connectors.config", "insecureSkipEmailVerified", No("`email_verified` is what the upstream says")),
    ("connectors.config", "hostedDomains", Is("a condition of `allow`, such as allow = [\"claims.hd == 'example.com'\"]")),
    ("connectors.config", "allowedGroups", Is("a condition of `allow`, such as allow = [\"claims.groups.exists(g, g in ['admins'])\"]")),
    ("connectors.config", "claimMapping", Is("[connectors.claims], with lines such as email = \"claims.mail\"")),
    ("connectors.config", "claimModifications", Is("[connectors.claims], with lines such as email = \"claims.mail\"")),
    ("connectors.config", "overrideClaimMapping", No("what [connectors.claims] computes always wins")),
    ("connectors.config", "providerDiscoveryOverrides", Is("`jwks_uri` in the connector itself")),
    ("connectors.config", "basicAuthUnsupported", No("Remint needs no client at the upstream to exchange its tokens")),
    ("connectors.config", "acrValues", Provider),
    ("connectors.config", "promptType", Provider),
    // Other names that people try.
    ("connectors", "aud", Is("`audiences`, a list")),
    ("connectors", "condition", Is("`allow`, a list of conditions")),
    ("connectors", "conditions", Is("`allow`")),
    ("connectors", "url", Is("`issuer`, the exact `iss` of its tokens")),
    ("connectors", "issuer_url", Is("`issuer`, the exact `iss` of its tokens")),
    ("connectors", "discovery_url", No("the keys are found from `issuer`; `jwks_uri` names them where they are not")),
    ("connectors", "jwks", Is("`jwks_uri` for a URL, `jwks_file` for a file")),
    ("connectors", "ca", Is("`ca_file`, a PEM file")),
    ("connectors", "ca_cert", Is("`ca_file`, a PEM file")),
    ("connectors", "root_ca", Is("`ca_file`, a PEM file")),
    ("connectors", "ttl", Is("`lifetime`, such as lifetime = \"15m\"")),
    ("tokens", "ttl", Is("`max_lifetime`, such as max_lifetime = \"1h\"")),
    ("tokens", "lifetime", Is("`max_lifetime`; `lifetime` is one connector's")),
    ("clients", "client_id", Is("`id`")),
    ("clients", "clientID", Is("`id`")),
    ("clients", "idEnv", No("write the id itself: it is no secret")),
    ("clients", "client_secret", Is("`secret`, or better `secret_file`")),
    ("clients", "clientSecret", Is("`secret`, or better `secret_file`")),
    ("clients", "grant_types", Is("`grants`")),
    ("clients", "grantTypes", Is("`grants`")),
    ("clients", "allowedConnectors", Is("`connectors`")),
    ("clients", "clientCredentialsClaims", Is("`claims`, such as claims = { groups = [\"ci\"] }")),
    ("clients", "scopes", Is("`scopes` of the connectors whose tokens the client exchanges")),
    ("clients", "redirectURIs", Provider),
    ("clients", "redirect_uris", Provider),
    ("clients", "postLogoutRedirectURIs", Provider),
    ("clients", "post_logout_redirect_uris", Provider),
    ("clients", "backchannelLogoutURI", Provider),
    ("clients", "backchannel_logout_uri", Provider),
    ("clients", "logoURL", Provider),
    ("clients", "logo_uri", Provider),
    ("clients", "refreshTokenLifetime", Provider),
    ("clients", "mfaChain", Provider),
    ("clients", "ssoSharedWith", Provider),
    ("server", "port", Is("part of `listen`, a list such as [\"0.0.0.0:8080\"]")),
    ("server", "host", Is("part of `listen`, a list such as [\"0.0.0.0:8080\"]")),
    ("server", "address", Is("`listen`, a list such as [\"0.0.0.0:8080\"]")),
    ("server", "bind", Is("`listen`, a list such as [\"0.0.0.0:8080\"]")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_hidden_by_another_or_by_a_key_that_exists() {
        for (index, (table, key, _)) in ROWS.iter().enumerate() {
            let same = |row: &(&str, &str, Counterpart)| (row.0, row.1) == (*table, *key);
            assert_eq!(ROWS.iter().position(same), Some(index), "{table}.{key}");
            let path = format!("{}.{key}", table.replace("connectors", "connectors[]"));
            let path = path.replace("clients", "clients[]");
            let known = crate::config::known_keys();
            assert!(
                !known.contains(&path.trim_start_matches('.').to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn options_that_dex_nests_are_known_in_the_connector_itself_too() {
        for table in ["connectors", "connectors.config"] {
            let found = counterpart(table, "rootCAs").unwrap().to_string();
            assert!(found.contains("`ca_file`"), "{found}");
        }
        assert!(counterpart("clients", "rootCAs").is_none());
        assert!(matches!(counterpart("connectors", "config"), Some(No(_))));
        assert!(has_inner("connectors.config") && has_inner("expiry") && !has_inner("storage"));
    }
}
