//! Scopes, the claims that they give, and what wins where several give one (design §2.1, §2.4).

use serde_json::{Value, json};

use crate::support::server::{Server, Site};
use crate::{basic, exchange, job, refused};

/// Claims that scopes release, as an upstream may have them.
fn person() -> Value {
    json!({
        "name": "Ada L", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true,
        "groups": ["builders", "ops"],
    })
}

fn server(lines: &str) -> Server {
    Site::new()
        .connector("ci", lines)
        .client("app", "secret = \"s\"")
        .start()
}

/// Claims and `scope` of the reply to an exchange that asks for `scope`.
fn ask(server: &Server, changes: Value, scope: &str) -> (Value, Value) {
    let reply = exchange(
        server,
        &basic("app", "s"),
        &job(changes),
        &[("scope", scope)],
    );
    let claims = server.read(&reply).1;
    let body = reply.json();
    assert!(body.get("id_token").is_none(), "{body}");
    assert!(body.get("refresh_token").is_none(), "{body}");
    (claims, body.get("scope").cloned().unwrap_or_default())
}

/// Only what is asked for is released.
#[track_caller]
fn gives(claims: &Value, expected: &Value) {
    const RELEASED: [&str; 7] = [
        "name",
        "preferred_username",
        "email",
        "email_verified",
        "groups",
        "federated_claims",
        "scope",
    ];
    for name in RELEASED {
        assert_eq!(claims.get(name), expected.get(name), "{name} in {claims}");
    }
}

#[test]
fn each_scope_gives_its_claims_and_no_others() {
    let server =
        server("groups = true\nscopes = [\"deploy\", \"read:x\"]\nuser_name_key = \"name\"");
    let ids =
        json!({"connector_id": "ci", "user_id": "project_path:acme/shop:ref_type:branch:ref:main"});
    let everything = json!({
        "name": "Ada L", "preferred_username": "ada", "email": "ada@example.com", "email_verified": true,
        "groups": ["builders", "ops"], "federated_claims": ids, "scope": "deploy read:x",
    });
    for (scope, expected) in [
        ("", json!({})),
        ("openid", json!({})),
        (
            "profile",
            json!({"name": "Ada L", "preferred_username": "ada"}),
        ),
        (
            "email",
            json!({"email": "ada@example.com", "email_verified": true}),
        ),
        ("groups", json!({"groups": ["builders", "ops"]})),
        ("federated:id", json!({"federated_claims": ids})),
        ("deploy", json!({"scope": "deploy"})),
        ("read:x openid deploy", json!({"scope": "read:x deploy"})),
        (
            "openid profile email groups federated:id deploy read:x",
            everything,
        ),
    ] {
        let (claims, said) = ask(&server, person(), scope);
        gives(&claims, &expected);
        assert_eq!(said, Value::Null, "{scope}: all of it is granted");
    }
}

#[test]
fn what_the_upstream_lacks_is_left_out() {
    let server = server("groups = true");
    let all = "openid profile email groups federated:id";
    let (claims, said) = ask(&server, json!({"sub": "x"}), all);
    let ids = json!({"connector_id": "ci", "user_id": "x"});
    gives(
        &claims,
        &json!({"email_verified": false, "federated_claims": ids}),
    );
    assert_eq!(said, Value::Null);
    // Nor is anything of another type passed on.
    let odd = json!({"sub": "x", "name": 1, "preferred_username": {}, "email": ["a"], "email_verified": "true", "groups": "builders"});
    let (claims, _) = ask(&server, odd, "email groups");
    gives(&claims, &json!({"email_verified": false}));
    let (claims, _) = ask(
        &server,
        json!({"name": 1, "preferred_username": {}}),
        "profile",
    );
    gives(&claims, &json!({}));
    let (claims, _) = ask(&server, json!({"groups": ["a", 1]}), "groups");
    gives(&claims, &json!({}));
}

#[test]
fn groups_are_dropped_and_said_to_be_where_the_connector_does_not_release_them() {
    let server = server("scopes = [\"deploy\"]");
    for (scope, said) in [
        ("openid groups federated:id", json!("openid federated:id")),
        ("groups deploy", json!("deploy")),
        ("openid openid", json!("openid")),
        ("deploy openid deploy groups", json!("deploy openid")),
        ("openid  deploy", Value::Null),
    ] {
        let (claims, echo) = ask(&server, person(), scope);
        assert_eq!(echo, said, "{scope}");
        assert!(claims.get("groups").is_none(), "{claims}");
    }
    let (claims, echo) = ask(&server, person(), "groups");
    assert!(claims.get("groups").is_none(), "{claims}");
    assert_eq!(echo, "", "none is granted");
}

#[test]
fn the_name_comes_from_the_claim_that_the_connector_names() {
    for (lines, name) in [
        (
            "user_name_key = \"sub\"",
            json!("project_path:acme/shop:ref_type:branch:ref:main"),
        ),
        ("user_name_key = \"user_login\"", json!("ada")),
        ("user_name_key = \"absent\"", Value::Null),
        ("user_name_key = \"runner_id\"", Value::Null),
    ] {
        let (claims, _) = ask(&server(lines), json!({}), "profile");
        assert_eq!(claims["name"], name, "{lines}");
        assert_eq!(claims.get("preferred_username"), None);
    }
}

#[test]
fn computed_wins_over_scope_given_and_that_over_copied() {
    let lines = "groups = true\nclone_claims = [\"sub\", \"email\", \"groups\", \"name\", \"preferred_username\"]\n\
        user_name_key = \"user_login\"\n[connectors.claims]\ngroups = \"['computed']\"\npreferred_username = \"null\"";
    let server = server(lines);
    let (claims, _) = ask(&server, person(), "profile email groups");
    assert_eq!(claims["groups"], json!(["computed"]));
    assert_eq!(claims["name"], "ada", "given by the scope, not copied");
    assert_eq!(claims["email"], "ada@example.com");
    assert!(
        claims.get("preferred_username").is_none(),
        "a computed null keeps it out: {claims}"
    );
    let (claims, _) = ask(&server, person(), "");
    assert_eq!(
        (&claims["groups"], &claims["name"]),
        (&json!(["computed"]), &json!("Ada L"))
    );
    assert_eq!(claims["email"], "ada@example.com");
}

#[test]
fn unknown_scopes_and_those_that_promise_more_are_refused() {
    let server = server("scopes = [\"deploy\"]");
    for scope in [
        "offline_access",
        "openid offline_access",
        "Deploy",
        "OPENID",
        "admin",
        "deploy,openid",
        "federated:id2",
        "phone",
    ] {
        let reply = exchange(
            &server,
            &basic("app", "s"),
            &job(json!({})),
            &[("scope", scope)],
        );
        refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    }
}

#[test]
fn a_rule_adds_scopes_of_its_own() {
    let lines = "scopes = [\"read\"]\n[[connectors.rules]]\nname = \"main\"\nwhen = \"claims.ref == 'main'\"\nscopes = [\"deploy\"]\n\
        [[connectors.rules]]\nname = \"rest\"\nwhen = \"true\"";
    let server = server(lines);
    assert_eq!(
        ask(&server, json!({}), "deploy read").0["scope"],
        "deploy read"
    );
    assert_eq!(ask(&server, json!({"ref": "x"}), "read").0["scope"], "read");
    let reply = exchange(
        &server,
        &basic("app", "s"),
        &job(json!({"ref": "x"})),
        &[("scope", "deploy")],
    );
    refused(&server, &reply, 400, "invalid_scope", "scope_refused");
}

#[test]
fn subjects_are_written_as_dex_writes_them() {
    for (connector, sub, expected) in [
        ("bar", "foo", "CgNmb28SA2Jhcg"),
        ("mock", "0-385-28089-0", "Cg0wLTM4NS0yODA4OS0wEgRtb2Nr"),
        (
            "github-actions",
            "repo:octo/x:ref:refs/heads/main",
            "Ch9yZXBvOm9jdG8veDpyZWY6cmVmcy9oZWFkcy9tYWluEg5naXRodWItYWN0aW9ucw",
        ),
    ] {
        let server = Site::new()
            .tables("[tokens]\nsubject_format = \"dex\"")
            .connector(connector, "issuer = \"https://ci.example\"")
            .client("app", "secret = \"s\"")
            .start();
        let (claims, _) = ask(&server, json!({"sub": sub}), "federated:id");
        assert_eq!(claims["sub"], expected);
        let ids = json!({"connector_id": connector, "user_id": sub});
        assert_eq!(claims["federated_claims"], ids);
    }
}

#[test]
fn the_metadata_lists_the_standard_scopes_and_the_operators() {
    let server = server("scopes = [\"write\", \"deploy\"]");
    let metadata = server.get("/.well-known/openid-configuration").json();
    assert_eq!(
        metadata["scopes_supported"],
        json!([
            "openid",
            "profile",
            "email",
            "groups",
            "federated:id",
            "deploy",
            "write"
        ])
    );
    let methods = &metadata["token_endpoint_auth_methods_supported"];
    assert_eq!(
        *methods,
        json!(["client_secret_basic", "client_secret_post", "none"])
    );
}
