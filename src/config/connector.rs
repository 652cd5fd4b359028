//! `[[connectors]]`: whose tokens are accepted, on which conditions, and what becomes of them.

use std::path::PathBuf;
use std::time::Duration;

use super::replay::{ReplayMode, read_mode};
use super::section::Section;

/// One issuer whose tokens are exchanged.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the file"
)]
pub struct Connector {
    /// Where it stands, such as `connectors[0]`: the beginning of the path of every finding about it.
    pub path: String,
    /// Its name in requests, logs and metrics; unique.
    pub id: String,
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are; with neither this nor `jwks_file`, OIDC discovery finds them.
    pub jwks_uri: Option<String>,
    /// A file with its keys, instead of fetching them.
    pub jwks_file: Option<PathBuf>,
    /// How long fetched keys are fresh; absent: what the response says.
    pub jwks_max_age: Option<Duration>,
    /// The longest that one fetch may take.
    pub timeout: Duration,
    /// Sent with every fetch; names as written, values possibly secret.
    pub headers: Vec<(String, String)>,
    /// A file with a bearer token for the host of the keys.
    pub bearer_file: Option<PathBuf>,
    /// PEM roots that replace the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Hosts (`host` or `host:port`) besides the issuer's own that discovery may name.
    pub jwks_hosts: Vec<String>,
    /// Lets its userinfo endpoint vouch for opaque access tokens.
    pub get_user_info: bool,
    /// Where that endpoint is; absent: where discovery says.
    pub userinfo_uri: Option<String>,
    /// Signature algorithms accepted from it.
    pub algorithms: Vec<String>,
    /// `aud` values accepted in its tokens; `["*"]` is any.
    pub audiences: Vec<String>,
    /// The longest time since `iat` of its tokens.
    pub max_token_age: Option<Duration>,
    /// The longest time from `iat` to `exp` of its tokens.
    pub max_subject_lifetime: Option<Duration>,
    /// How often each of its tokens can be used.
    pub replay: ReplayMode,
    /// CEL conditions that must all hold.
    pub allow: Vec<String>,
    /// What may be asked as audience, the first by default; absent: the subject token's own `aud`.
    pub targets: Option<Vec<String>>,
    /// Claims copied by name.
    pub clone_claims: Vec<String>,
    /// Put before `sub`.
    pub subject_prefix: Option<String>,
    /// CEL conditions, any of which admits an actor token.
    pub actors: Vec<String>,
    /// Header `typ` values accepted besides an absent one.
    pub types: Vec<String>,
    /// The longest life of a token that comes from it.
    pub lifetime: Option<Duration>,
    /// Forces the signing algorithm.
    pub alg: Option<String>,
    /// Lets a new token outlive the token that it was traded for.
    pub outlive_subject_token: bool,
    /// Whether the scope `groups` releases upstream groups.
    pub groups: bool,
    /// Scopes that may be asked for besides the standard ones.
    pub scopes: Vec<String>,
    /// The claim that `name` comes from under the scope `profile`.
    pub user_name_key: String,
    /// Allows plain http to hosts that are not loopback.
    pub insecure_http: bool,
    /// Allows a shared issuer without a pinned tenant.
    pub allow_anyone: bool,
    /// Allows Remint's own tokens as subject tokens.
    pub allow_self: bool,
    /// Whether a client must authenticate; absent: once any client is configured.
    pub require_client: Option<bool>,
    /// Computed claims: name and CEL, in the order of the file.
    pub claims: Vec<(String, String)>,
    /// The first whose `when` holds is in force; with rules and none that holds, the token is refused.
    pub rules: Vec<Rule>,
}

/// One rule of a connector.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands, such as `connectors[0].rules[1]`.
    pub path: String,
    /// Its name in logs; unique within the connector.
    pub name: String,
    /// The CEL condition that puts it in force.
    pub when: String,
    /// May be asked as audience besides the connector's; absent: none of its own.
    pub targets: Option<Vec<String>>,
    /// Copied besides the connector's.
    pub clone_claims: Vec<String>,
    /// Computed besides the connector's; wins where both give one.
    pub claims: Vec<(String, String)>,
    /// Scopes that may be asked for besides the connector's.
    pub scopes: Vec<String>,
    /// CEL conditions that must hold besides the connector's.
    pub allow: Vec<String>,
    /// Replaces the connector's.
    pub lifetime: Option<Duration>,
    /// Replaces the connector's.
    pub alg: Option<String>,
}

pub(super) fn read_connector(table: &mut Section<'_>) -> Connector {
    Connector {
        path: table.path().to_owned(),
        id: table.required("id", "write a short name of your choice, such as id = \"gitlab\""),
        issuer: table.required("issuer", "write the exact `iss` of the tokens to accept, such as issuer = \"https://gitlab.example.com\""),
        jwks_uri: table.optional("jwks_uri"),
        jwks_file: table.optional("jwks_file"),
        jwks_max_age: table.optional("jwks_max_age"),
        timeout: table.optional("timeout").unwrap_or(Duration::from_secs(5)),
        headers: table.optional("headers").unwrap_or_default(),
        bearer_file: table.optional("bearer_file"),
        ca_file: table.optional("ca_file"),
        jwks_hosts: table.optional("jwks_hosts").unwrap_or_default(),
        get_user_info: table.optional("get_user_info").unwrap_or(false),
        userinfo_uri: table.optional("userinfo_uri"),
        algorithms: table.optional("algorithms").unwrap_or_else(|| strings(&["RS256", "ES256"])),
        audiences: table.required("audiences", "list the `aud` values to accept in the subject token, such as audiences = [\"https://sts.example.com\"]"),
        max_token_age: table.optional("max_token_age"),
        replay: read_mode(table),
        max_subject_lifetime: table.optional("max_subject_lifetime"),
        allow: table.required("allow", "list the conditions that every token must meet, such as allow = [\"claims.ref_protected == 'true'\"]; [\"true\"] admits every token of this issuer"),
        targets: table.optional("targets"),
        clone_claims: table.optional("clone_claims").unwrap_or_else(|| strings(&["sub"])),
        subject_prefix: table.optional("subject_prefix"),
        actors: table.optional("actors").unwrap_or_default(),
        types: table.optional("types").unwrap_or_else(|| strings(&["JWT", "at+jwt"])),
        lifetime: table.optional("lifetime"),
        alg: table.optional("alg"),
        outlive_subject_token: table.optional("outlive_subject_token").unwrap_or(false),
        groups: table.optional("groups").unwrap_or(false),
        scopes: table.optional("scopes").unwrap_or_default(),
        user_name_key: table.optional("user_name_key").unwrap_or_else(|| "name".to_owned()),
        insecure_http: table.optional("insecure_http").unwrap_or(false),
        allow_anyone: table.optional("allow_anyone").unwrap_or(false),
        allow_self: table.optional("allow_self").unwrap_or(false),
        require_client: table.optional("require_client"),
        claims: table.optional("claims").unwrap_or_default(),
        rules: table.tables("rules", read_rule),
    }
}

fn read_rule(table: &mut Section<'_>) -> Rule {
    Rule {
        path: table.path().to_owned(),
        name: table.required("name", "write a name, such as name = \"production\": it appears in the logs"),
        when: table.required("when", "write the condition that puts this rule in force, such as when = \"claims.environment == 'production'\"; \"true\" is always"),
        targets: table.optional("targets"),
        clone_claims: table.optional("clone_claims").unwrap_or_default(),
        claims: table.optional("claims").unwrap_or_default(),
        scopes: table.optional("scopes").unwrap_or_default(),
        allow: table.optional("allow").unwrap_or_default(),
        lifetime: table.optional("lifetime"),
        alg: table.optional("alg"),
    }
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}
