//! For whom a client may ask (design §2.1, "Audience of the new token").

use serde_json::{Value, json};

use crate::support::server::{Server, Site};
use crate::{basic, exchange, job, refused};

const CLIENT: &str = "secret = \"s\"\naudiences = [\"internal-api\", \"https://r.example/x\"]";

fn server(lines: &str) -> Server {
    Site::new()
        .connector("ci", lines)
        .client("app", CLIENT)
        .client("plain", "secret = \"s\"")
        .client("open", "public = true\naudiences = [\"internal-api\"]")
        .client(
            "said",
            "public = true\nsecret = \"s\"\naudiences = [\"internal-api\"]",
        )
        .start()
}

fn given(server: &Server, client: (&str, &str), wish: &[(&str, &str)], expected: &Value) {
    let reply = exchange(server, &basic(client.0, client.1), &job(json!({})), wish);
    let claims = server.read(&reply).1;
    assert_eq!(claims["aud"], *expected, "{client:?} {wish:?}");
    assert!(claims.get("azp").is_none(), "{claims}");
}

fn not_given(server: &Server, client: (&str, &str), wish: &[(&str, &str)]) {
    let reply = exchange(server, &basic(client.0, client.1), &job(json!({})), wish);
    refused(server, &reply, 400, "invalid_target", "target_refused");
}

#[test]
fn without_a_wish_it_is_the_client_itself() {
    for lines in ["", "targets = [\"t\"]"] {
        let server = server(lines);
        for client in [("app", "s"), ("plain", "s"), ("open", ""), ("said", "s")] {
            given(&server, client, &[], &json!(client.0));
            given(&server, client, &[("audience", "")], &json!(client.0));
        }
    }
}

#[test]
fn its_id_its_audiences_and_the_targets_may_be_asked_together() {
    let server = server("targets = [\"t\", \"u\"]");
    let app = ("app", "s");
    for (wish, expected) in [
        (&["app"][..], json!("app")),
        (&["internal-api"], json!("internal-api")),
        (&["u"], json!("u")),
        (
            &["t", "internal-api", "app", "t"],
            json!(["t", "internal-api", "app"]),
        ),
        (&["app", "app"], json!("app")),
    ] {
        let wish: Vec<_> = wish.iter().map(|aud| ("audience", *aud)).collect();
        given(&server, app, &wish, &expected);
    }
    given(
        &server,
        app,
        &[("resource", "https://r.example/x"), ("audience", "app")],
        &json!(["https://r.example/x", "app"]),
    );
    for wish in ["plain", "internal-api ", "INTERNAL-API", "*"] {
        not_given(&server, app, &[("audience", wish)]);
        not_given(&server, app, &[("audience", "app"), ("audience", wish)]);
    }
    // One client's audiences are not another's.
    not_given(&server, ("plain", "s"), &[("audience", "internal-api")]);
    not_given(&server, ("plain", "s"), &[("audience", "app")]);
}

#[test]
fn without_a_client_there_are_only_the_targets() {
    let server = server("require_client = false\ntargets = [\"t\"]");
    let reply = server.exchange(&job(json!({})), &[]);
    assert_eq!(server.read(&reply).1["aud"], "t");
    for wish in ["app", "internal-api"] {
        let reply = server.exchange(&job(json!({})), &[("audience", wish)]);
        refused(&server, &reply, 400, "invalid_target", "target_refused");
    }
}

#[test]
fn who_proves_nothing_gets_its_own_id_and_the_targets_alone() {
    let server = server("targets = [\"t\"]");
    given(
        &server,
        ("open", ""),
        &[("audience", "open")],
        &json!("open"),
    );
    given(&server, ("open", ""), &[("audience", "t")], &json!("t"));
    not_given(&server, ("open", ""), &[("audience", "internal-api")]);
    // A public client that has a secret proves it.
    given(
        &server,
        ("said", "s"),
        &[("audience", "internal-api")],
        &json!("internal-api"),
    );
}

#[test]
fn a_wildcard_in_a_clients_audiences_is_only_itself() {
    let server = Site::new()
        .connector("ci", "")
        .client("app", "secret = \"s\"\naudiences = [\"*\"]")
        .start();
    given(&server, ("app", "s"), &[("audience", "*")], &json!("*"));
    not_given(&server, ("app", "s"), &[("audience", "anything")]);
}

/// `prod` and `vault` are bound to a rule that the token of `ref` `main` passes and others do not.
fn bound() -> Server {
    let rules = "targets = [\"t\"]\n\
        [[connectors.rules]]\nname = \"main\"\nwhen = \"claims.ref == 'main'\"\ntargets = [\"vault\", \"prod\"]\n\
        [[connectors.rules]]\nname = \"rest\"\nwhen = \"true\"";
    Site::new()
        .connector("ci", rules)
        .connector("free", "")
        .client(
            "prod",
            "secret = \"s\"\naudiences = [\"vault\", \"own\"]\ntrusted_peers = [\"app\"]",
        )
        .client(
            "app",
            "secret = \"s\"\naudiences = [\"vault\"]\ntrusted_peers = [\"prod\"]",
        )
        .start()
}

#[test]
fn an_audience_of_a_rule_is_never_granted_through_a_client() {
    let server = bound();
    let ask = |client: &str, changes: Value, wish: &[(&str, &str)]| {
        exchange(&server, &basic(client, "s"), &job(changes), wish)
    };
    let other = || json!({"ref": "topic"});
    for wish in [
        &[][..],
        &[("audience", "prod")],
        &[("audience", "vault")],
        &[("audience", "own"), ("audience", "prod")],
    ] {
        let reply = ask("prod", other(), wish);
        refused(&server, &reply, 400, "invalid_target", "target_refused");
    }
    assert_eq!(
        server.read(&ask("prod", other(), &[("audience", "own")])).1["aud"],
        "own"
    );
    assert_eq!(server.read(&ask("app", other(), &[])).1["aud"], "app");
    // The rule itself grants them, and a connector whose rules do not speak of them lets the client have them.
    for wish in ["prod", "vault"] {
        let reply = ask("prod", json!({}), &[("audience", wish)]);
        assert_eq!(server.read(&reply).1["aud"], wish);
        let elsewhere = json!({"iss": "https://free.example", "ref": "topic"});
        let reply = ask("prod", elsewhere, &[("audience", wish)]);
        assert_eq!(server.read(&reply).1["aud"], wish);
    }
    assert_eq!(server.read(&ask("prod", json!({}), &[])).1["aud"], "prod");
}

#[test]
fn an_audience_of_a_rule_is_never_granted_through_a_scope() {
    let server = bound();
    let scope = |peer: &str| format!("audience:server:client_id:{peer}");
    let ask = |client: &str, changes: Value, further: &[(&str, &str)]| {
        exchange(&server, &basic(client, "s"), &job(changes), further)
    };
    let prod = scope("prod");
    let reply = ask("app", json!({"ref": "topic"}), &[("scope", &prod)]);
    refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    let reply = ask("app", json!({}), &[("scope", &prod)]);
    assert_eq!(server.read(&reply).1["aud"], json!(["prod", "app"]));
    // Nor is the asking client's own id, which would follow the others.
    let app = scope("app");
    let reply = ask(
        "prod",
        json!({"ref": "topic"}),
        &[("audience", "own"), ("scope", &app)],
    );
    refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    let own = scope("prod");
    let reply = ask(
        "prod",
        json!({"ref": "topic"}),
        &[("audience", "own"), ("scope", &own)],
    );
    refused(&server, &reply, 400, "invalid_scope", "scope_refused");
}
