//! Keys of Dex, of oidc-token-proxy and of guesses: each is told what it is called here.

use super::{GOOD, errors, only};

/// What a user of Dex pastes: the configuration of its page on token exchange, and more of its keys.
const DEX: &str = "
issuer: https://dex.example.com
storage:
  type: sqlite3
  config:
    file: dex.db
web:
  http: 0.0.0.0:8001
  tlsCert: tls.pem
telemetry:
  http: 0.0.0.0:5558
grpc:
  addr: 127.0.0.1:5557
oauth2:
  grantTypes:
    - urn:ietf:params:oauth:grant-type:token-exchange
  responseTypes: [code]
  skipApprovalScreen: true
  passwordConnector: local
expiry:
  idTokens: 24h
  signingKeys: 6h
  refreshTokens:
    reuseInterval: 3s
logger:
  level: debug
  format: json
frontend:
  theme: dark
enablePasswordDB: true
staticPasswords:
  - email: admin@example.com
connectors:
  - name: My Upstream
    type: oidc
    id: my-upstream
    config:
      issuer: https://token.example.com
      clientID: remint
      clientSecret: hunter2
      redirectURI: https://dex.example.com/callback
      scopes: [groups]
      userNameKey: sub
      getUserInfo: true
      insecureSkipVerify: true
      rootCAs: [ca.pem]
      unheardOf: true
staticClients:
  - name: My App
    id: my-app
    secret: my-secret
    public: true
";

#[test]
fn a_configuration_of_dex_is_told_what_its_keys_are_called_here() {
    let found = errors("site.yaml", DEX);
    let rows = [
        ("3:1: storage: ", "no database"),
        ("8:3: web.http: ", "`listen` under [server]"),
        ("9:3: web.tlsCert: ", "`cert_file` under [server.tls]"),
        ("11:3: telemetry.http: ", "`admin_listen` under [server]"),
        ("12:1: grpc: ", "cargo feature `provider`"),
        ("15:3: oauth2.grantTypes: ", "`grants` under [[clients]]"),
        ("17:3: oauth2.responseTypes: ", "cargo feature `provider`"),
        ("18:3: oauth2.skipApprovalScreen: ", "not in this build"),
        ("19:3: oauth2.passwordConnector: ", "not in this build"),
        ("21:3: expiry.idTokens: ", "`max_lifetime` under [tokens]"),
        ("22:3: expiry.signingKeys: ", "`remint keys rotate`"),
        ("23:3: expiry.refreshTokens: ", "cargo feature `provider`"),
        ("26:3: logger.level: ", "RUST_LOG"),
        ("27:3: logger.format: ", "--log-format json"),
        ("28:1: frontend: ", "cargo feature `provider`"),
        ("30:1: enablePasswordDB: ", "cargo feature `provider`"),
        ("31:1: staticPasswords: ", "cargo feature `provider`"),
        ("34:5: connectors[0].name: ", "`id`"),
        ("35:5: connectors[0].type: ", "OIDC"),
        (
            "38:7: connectors[0].config.issuer: ",
            "`issuer` in the connector itself",
        ),
        ("39:7: connectors[0].config.clientID: ", "needs no client"),
        (
            "40:7: connectors[0].config.clientSecret: ",
            "needs no client",
        ),
        (
            "41:7: connectors[0].config.redirectURI: ",
            "cargo feature `provider`",
        ),
        ("42:7: connectors[0].config.scopes: ", "groups = true"),
        (
            "43:7: connectors[0].config.userNameKey: ",
            "`user_name_key`",
        ),
        (
            "44:7: connectors[0].config.getUserInfo: ",
            "`get_user_info`",
        ),
        (
            "45:7: connectors[0].config.insecureSkipVerify: ",
            "`ca_file`",
        ),
        ("46:7: connectors[0].config.rootCAs: ", "`ca_file`"),
        ("47:7: connectors[0].config.unheardOf: ", "in snake_case"),
        ("48:1: staticClients: ", "[[clients]]"),
        ("34:5: connectors[0].issuer: ", "missing"),
        ("34:5: connectors[0].audiences: ", "missing"),
        ("34:5: connectors[0].allow: ", "missing"),
    ];
    for (start, words) in rows {
        let start = format!("error: site.yaml:{start}");
        let error = found.iter().find(|error| error.starts_with(&start));
        let error = error.unwrap_or_else(|| panic!("{start} is not in {found:#?}"));
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    assert_eq!(found.len(), rows.len(), "{found:#?}");
    assert!(!found.concat().contains("hunter2"));
}

/// Where a line stands, and what is said of it.
#[test]
fn each_key_of_another_program_or_of_a_guess_has_its_counterpart() {
    for row in ROWS.trim().lines() {
        let (line, rest) = row.split_once(" => ").unwrap();
        let (table, rest) = rest.split_once(": ").unwrap();
        let words: Vec<_> = rest.split(" | ").collect();
        let key = line.split_once(" = ").unwrap().0.trim();
        let (text, path) = match table {
            "top" => (format!("{line}\n{GOOD}"), key.to_owned()),
            "connector" => (format!("{GOOD}{line}\n"), format!("connectors[0].{key}")),
            "client" => {
                let client = "[[clients]]\nid = \"app\"\npublic = true";
                (
                    format!("{GOOD}{client}\n{line}\n"),
                    format!("clients[0].{key}"),
                )
            }
            "server" => {
                let text = GOOD.replace("[server]", &format!("[server]\n{line}"));
                (text, format!("server.{key}"))
            }
            table => (
                format!("{GOOD}[{table}]\n{line}\n"),
                format!("{table}.{key}"),
            ),
        };
        let start = format!(": {path}: unknown key: ");
        only(
            "site.toml",
            &text,
            &[&[start.as_str()], words.as_slice()].concat(),
        );
    }
}

const ROWS: &str = r#"
upstream_issuer = "x" => top: `issuer` under [[connectors]]
upstream_issuer = "x" => connector: `issuer` under [[connectors]]
upstream_jwks_uri = "x" => top: `jwks_uri` under [[connectors]]
upstream_jwks_file = "x" => top: `jwks_file` under [[connectors]]
upstream_jwks_cache_max_age = 300 => top: jwks_max_age = "300s"
upstream_timeout = 30 => connector: timeout = "30s"
clone_upstream_claims = ["sub"] => top: `clone_claims` under [[connectors]]
extra_request_headers = { a = "b" } => top: `headers` under [[connectors]]
jwks_file = "jwks.json" => top: `file` under [keys]
jwks_file = "jwks.json" => keys: `file`
signing_key_ids = { RS256 = "k" } => top: [keys.signing]
default_signing_alg = "RS256" => top: `default_alg` under [keys]
default_signing_alg = "RS256" => keys: `default_alg` under [keys]
provider = { store = "memory:" } => top: not in this build | cargo feature `provider`
signer = { type = "local" } => top: `remint keys generate`
sessions = {} => top: cargo feature `provider`
storage = { type = "memory" } => top: no database
oauth2 = {} => top: each of its keys
expiry = "24h" => top: `max_lifetime` under [tokens]
jwks_url = "x" => connector: did you mean `jwks_uri`?
audience = "x" => connector: did you mean `audiences`?
aud = "x" => connector: `audiences`
client_id = "x" => connector: needs no client
clientID = "x" => connector: needs no client
rootCAs = ["x"] => connector: `ca_file`
insecureSkipVerify = true => connector: always verified
insecureEnableGroups = true => connector: `groups = true`
userNameKey = "x" => connector: `user_name_key`
jwksUri = "x" => connector: did you mean `jwks_uri`?
subjectPrefix = "x" => connector: did you mean `subject_prefix`?
cloneClaims = ["x"] => connector: did you mean `clone_claims`?
hostedDomains = ["x"] => connector: `allow`
claimMapping = { a = "b" } => connector: [connectors.claims]
login = { client_id = "x" } => connector: cargo feature `provider`
conditions = ["x"] => connector: `allow`
ttl = "5m" => connector: `lifetime`
ttl = "5m" => tokens: `max_lifetime`
idTokens = "5m" => tokens: the keys here are
client_id = "x" => client: `id`
client_secret = "x" => client: `secret`
secretEnv = "X" => client: did you mean `secret_env`?
trustedPeers = ["x"] => client: did you mean `trusted_peers`?
redirectURIs = ["x"] => client: not in this build | cargo feature `provider`
redirect_uris = ["x"] => client: cargo feature `provider`
grantTypes = ["x"] => client: `grants`
allowedConnectors = ["x"] => client: `connectors`
logoURL = "x" => client: cargo feature `provider`
port = 8080 => server: `listen`
metadataListen = ["x"] => server: did you mean `metadata_listen`?
"#;
