//! The commands of Dex's pages, with only host, port and token changed.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::keys::RSA;
use crate::support::server::{Server, Site};
use crate::support::shapes::{github, with};
use crate::support::tokens::{self, token};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// "Performing a token exchange" of Dex's page on machine authentication.
const EXCHANGE: &str = r#"
curl https://dex.example.com/token \
  --user my-app:my-secret \
  --data-urlencode connector_id=my-upstream \
  --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  --data-urlencode scope="openid groups federated:id" \
  --data-urlencode requested_token_type=urn:ietf:params:oauth:token-type:access_token \
  --data-urlencode subject_token=$UPSTREAM_TOKEN \
  --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:access_token
"#;

/// The second half of the step in its GitHub workflow.
const WORKFLOW: &str = r#"
          # exchange it for a dex token
          DEX_TOKEN_RESPONSE=$(curl \
              http://127.0.0.1/token \
              --user my-app:my-secret \
              --data-urlencode "connector_id=github-actions" \
              --data-urlencode "grant_type=urn:ietf:params:oauth:grant-type:token-exchange" \
              --data-urlencode "scope=openid groups federated:id" \
              --data-urlencode "requested_token_type=urn:ietf:params:oauth:token-type:access_token" \
              --data-urlencode "subject_token=$GH_TOKEN" \
              --data-urlencode "subject_token_type=urn:ietf:params:oauth:token-type:access_token")
          DEX_TOKEN=$(jq -r .access_token <<< $DEX_TOKEN_RESPONSE)
"#;

/// What a script prints, run as GitHub runs a step.
fn bash(script: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .envs(environment.iter().copied())
        .env("no_proxy", "*")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A Remint as that page configures Dex.
fn server(connector: &str, further: &str) -> Server {
    let lines = format!(
        "issuer = \"{GITHUB}\"\nuser_name_key = \"sub\"\nallow = [\"claims.repository_owner_id == '123456'\"]\n{further}"
    );
    Site::new()
        .connector(connector, &lines)
        .client(
            "my-app",
            "name = \"My App\"\nsecret = \"my-secret\"\npublic = true",
        )
        .start()
}

fn job() -> (String, Value) {
    let claims = with(github(GITHUB), json!({}));
    (token(&claims, &RSA, "RS256", "k1"), claims)
}

/// What the page promises of the reply's token, and the claims of its scopes.
fn is_for_my_app(server: &Server, text: &str, subject: &Value, connector: &str) {
    let (_, claims) = tokens::read(text, &server.get("/keys").json());
    assert_eq!(claims["aud"], "my-app");
    assert_eq!(claims["sub"], subject["sub"]);
    assert_eq!(
        claims["exp"], subject["exp"],
        "it does not outlive the job's token"
    );
    let ids = json!({"connector_id": connector, "user_id": subject["sub"]});
    assert_eq!(claims["federated_claims"], ids);
    assert!(
        claims.get("groups").is_none(),
        "GitHub knows none: {claims}"
    );
}

#[test]
fn the_token_exchange_of_the_page_works() {
    for (further, scope) in [
        ("groups = true", Value::Null),
        // Said, where the connector does not release groups.
        ("", json!("openid federated:id")),
    ] {
        let server = server("my-upstream", further);
        let (token, claims) = job();
        let command = EXCHANGE.replace(
            "https://dex.example.com",
            &format!("http://{}", server.address),
        );
        let reply: Value =
            serde_json::from_str(&bash(&command, &[("UPSTREAM_TOKEN", &token)])).unwrap();
        let access = "urn:ietf:params:oauth:token-type:access_token";
        assert_eq!(reply["issued_token_type"], access);
        assert!(
            reply["token_type"]
                .as_str()
                .unwrap()
                .eq_ignore_ascii_case("bearer")
        );
        assert!(
            (1..=300).contains(&reply["expires_in"].as_u64().unwrap()),
            "{reply}"
        );
        assert_eq!(reply.get("scope").cloned().unwrap_or_default(), scope);
        is_for_my_app(
            &server,
            reply["access_token"].as_str().unwrap(),
            &claims,
            "my-upstream",
        );
    }
}

#[test]
fn the_github_workflow_of_the_page_works() {
    let server = server("github-actions", "groups = true");
    let (token, claims) = job();
    let step = WORKFLOW.replace("http://127.0.0.1/", &format!("http://{}/", server.address));
    let script = format!("{step}\nprintf '%s' \"$DEX_TOKEN\"");
    let given = bash(&script, &[("GH_TOKEN", &token)]);
    is_for_my_app(&server, &given, &claims, "github-actions");
}

#[test]
fn a_wrong_secret_of_that_page_is_refused() {
    let server = server("my-upstream", "");
    let command = EXCHANGE
        .replace(
            "https://dex.example.com",
            &format!("http://{}", server.address),
        )
        .replace("my-secret", "other");
    let reply: Value =
        serde_json::from_str(&bash(&command, &[("UPSTREAM_TOKEN", &job().0)])).unwrap();
    assert_eq!(reply["error"], "invalid_client");
}

/// Dex's pull request 4583 describes the grant in words: these are the requests that follow from them.
#[test]
fn client_credentials_work_as_dex_describes_them() {
    let server = Site::new()
        .connector("ci", "")
        .client("my-svc", "name = \"My Service\"\nsecret = \"s3cr+t/=\"\ngrants = [\"client_credentials\"]\nclaims = { groups = [\"ci\"] }")
        .client("open", "public = true\nsecret = \"s\"\ngrants = [\"client_credentials\"]")
        .start();
    let origin = format!("http://{}", server.address);
    let discover =
        format!("curl -s {origin}/.well-known/openid-configuration | jq .grant_types_supported");
    let grants: Value = serde_json::from_str(&bash(&discover, &[])).unwrap();
    assert!(
        grants
            .as_array()
            .unwrap()
            .contains(&json!("client_credentials"))
    );
    let ask = |user: &str, further: &str| -> Value {
        let command = format!(
            "curl -s {origin}/token --user '{user}' -d grant_type=client_credentials {further}"
        );
        serde_json::from_str(&bash(&command, &[])).unwrap()
    };
    let reply = ask(
        "my-svc:s3cr+t/=",
        "--data-urlencode scope='openid profile email groups' -d nonce=n-1",
    );
    assert!(reply.get("refresh_token").is_none(), "{reply}");
    let jwks = server.get("/keys").json();
    for name in ["access_token", "id_token"] {
        let claims = tokens::read(reply[name].as_str().unwrap(), &jwks).1;
        let expected = json!({
            "sub": "my-svc", "aud": "my-svc", "name": "My Service", "preferred_username": "My Service",
            "email_verified": false, "groups": ["ci"], "nonce": "n-1",
        });
        for (claim, value) in expected.as_object().unwrap() {
            assert_eq!(claims[claim], *value, "{name}: {claims}");
        }
    }
    assert!(ask("my-svc:s3cr+t/=", "").get("id_token").is_none());
    for (user, further, error) in [
        (
            "my-svc:s3cr+t/=",
            "-d scope=offline_access",
            "invalid_scope",
        ),
        ("my-svc:s3cr+t/=", "-d scope=federated:id", "invalid_scope"),
        ("my-svc:wrong", "", "invalid_client"),
        ("open:s", "", "unauthorized_client"),
    ] {
        assert_eq!(ask(user, further)["error"], error, "{user} {further}");
    }
}
