//! Tokens for other clients: cross-client scopes, `trusted_peers` and `azp` (design §2.1; as Dex).

use serde_json::{Value, json};

use crate::support::server::{Server, Site};
use crate::{basic, exchange, job, own_token, refused};

/// `web` lets `app` and `open` ask for its tokens; nobody lets `web`.
fn server() -> Server {
    let both = "grants = [\"token-exchange\", \"client_credentials\"]";
    Site::new()
        .connector("ci", "targets = [\"t\"]")
        .client(
            "app",
            &format!("secret = \"s\"\naudiences = [\"api\"]\n{both}"),
        )
        .client(
            "web",
            &format!("secret = \"s\"\ntrusted_peers = [\"app\", \"open\"]\n{both}"),
        )
        .client("shop", "secret = \"s\"\ntrusted_peers = [\"app\"]")
        .client("open", "public = true")
        .start()
}

fn peers(ids: &[&str]) -> String {
    let scope = |id: &&str| format!("audience:server:client_id:{id}");
    ids.iter().map(scope).collect::<Vec<_>>().join(" ")
}

#[test]
fn peers_follow_the_audiences_asked_and_the_client_comes_last() {
    let server = server();
    let rows: &[(&[&str], &[&str], Value, bool)] = &[
        (&[], &["web"], json!(["web", "app"]), true),
        (&[], &["shop", "web"], json!(["shop", "web", "app"]), true),
        (&[], &["web", "web"], json!(["web", "app"]), true),
        (&["t"], &["web"], json!(["t", "web", "app"]), true),
        (
            &["api", "t"],
            &["web", "shop"],
            json!(["api", "t", "web", "shop", "app"]),
            true,
        ),
        (&["app"], &["web"], json!(["app", "web"]), true),
        // For itself it needs nobody's trust; alone that is nothing new.
        (&[], &["app"], json!("app"), false),
        (&["t"], &["app"], json!(["t", "app"]), true),
        (&[], &["app", "web"], json!(["app", "web"]), true),
    ];
    for (audiences, ids, expected, azp) in rows {
        let scope = peers(ids);
        let mut pairs: Vec<_> = audiences.iter().map(|aud| ("audience", *aud)).collect();
        pairs.push(("scope", &scope));
        let reply = exchange(&server, &basic("app", "s"), &job(json!({})), &pairs);
        let claims = server.read(&reply).1;
        assert_eq!(claims["aud"], *expected, "{audiences:?} {ids:?}");
        assert_eq!(claims.get("azp"), azp.then_some(&json!("app")), "{claims}");
        // The scopes of others are no scopes of the token.
        assert!(claims.get("scope").is_none(), "{claims}");
    }
}

#[test]
fn trust_is_given_by_the_other_client_and_one_way() {
    let server = server();
    let ask = |id: &str, secret: &str, ids: &[&str]| {
        let scope = peers(ids);
        exchange(
            &server,
            &basic(id, secret),
            &job(json!({})),
            &[("scope", &scope)],
        )
    };
    for (id, secret, ids) in [
        ("web", "s", &["app"][..]),
        ("web", "s", &["shop"]),
        ("app", "s", &["web", "open"]),
        ("app", "s", &["nobody"]),
        ("app", "s", &[""]),
        // Anybody can say that it is a public client.
        ("open", "", &["web"]),
    ] {
        let reply = ask(id, secret, ids);
        refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    }
    let reply = ask("open", "", &["open"]);
    assert_eq!(server.read(&reply).1["aud"], "open");
}

#[test]
fn a_public_client_that_proves_its_secret_is_trusted() {
    let server = Site::new()
        .connector("ci", "")
        .client("web", "secret = \"s\"\ntrusted_peers = [\"half\"]")
        .client("half", "public = true\nsecret = \"h\"")
        .start();
    let scope = peers(&["web"]);
    let reply = exchange(
        &server,
        &basic("half", "h"),
        &job(json!({})),
        &[("scope", &scope)],
    );
    let claims = server.read(&reply).1;
    assert_eq!(
        (&claims["aud"], &claims["azp"]),
        (&json!(["web", "half"]), &json!("half"))
    );
}

#[test]
fn without_a_client_there_are_no_peers() {
    let server = Site::new()
        .connector("ci", "require_client = false")
        .client("web", "secret = \"s\"\ntrusted_peers = [\"web\"]")
        .start();
    let reply = server.exchange(&job(json!({})), &[("scope", &peers(&["web"]))]);
    refused(&server, &reply, 400, "invalid_scope", "scope_refused");
}

#[test]
fn client_credentials_know_peers_the_same_way() {
    let server = server();
    let ask = |id: &str, pairs: &[(&str, &str)]| own_token(&server, &basic(id, "s"), pairs);
    let (web, app) = (peers(&["web"]), peers(&["app"]));
    for (pairs, aud, azp) in [
        (&[("scope", web.as_str())][..], json!(["web", "app"]), true),
        (
            &[("scope", &web), ("audience", "api")],
            json!(["api", "web", "app"]),
            true,
        ),
        (&[("scope", &app)], json!("app"), false),
    ] {
        let claims = server.read(&ask("app", pairs)).1;
        assert_eq!(claims["aud"], aud);
        assert_eq!(claims.get("azp"), azp.then_some(&json!("app")), "{claims}");
    }
    for (id, scope) in [
        ("web", app),
        ("app", peers(&["open"])),
        ("app", peers(&["nobody"])),
    ] {
        let reply = ask(id, &[("scope", &scope)]);
        refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    }
}

#[test]
fn conditions_on_the_audience_see_what_scopes_bring_in() {
    let only_public =
        "targets = [\"public\", \"inner\"]\nallow = [\"request.audience.all(a, a == 'public')\"]";
    let server = Site::new()
        .connector("ci", only_public)
        .client("app", "secret = \"s\"")
        .client("web", "secret = \"s\"\ntrusted_peers = [\"app\"]")
        .start();
    let ask =
        |further: &[(&str, &str)]| exchange(&server, &basic("app", "s"), &job(json!({})), further);
    assert_eq!(ask(&[("audience", "public")]).status, 200);
    let web = peers(&["web"]);
    for further in [
        &[("audience", "inner")][..],
        &[("audience", "public"), ("scope", &web)],
        &[("scope", &web)],
    ] {
        refused(
            &server,
            &ask(further),
            400,
            "invalid_request",
            "condition_false",
        );
    }
    // Neither audience nor peer is asked: the condition would say nothing.
    refused(
        &server,
        &ask(&[]),
        400,
        "invalid_target",
        "audience_required",
    );
}
