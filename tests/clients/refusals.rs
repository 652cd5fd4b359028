//! Every row of the refusal table of design §2.1, through the socket: status, `error`, and the audit's reason.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::issuer::nobody;
use crate::support::keys::{OTHER_RSA, RSA};
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::support::shapes::{gitlab, with};
use crate::support::tokens::token;
use crate::{CI, basic, exchange, job, refused};

const TOKEN: [(&str, &str); 2] = [("grant_type", EXCHANGE), ("subject_token_type", JWT)];

fn site() -> Site {
    let rules = "allow = [\"claims.ref_protected == 'true'\"]\ntargets = [\"t\"]\nscopes = [\"deploy\"]\n\
        [[connectors.rules]]\nname = \"main\"\nwhen = \"claims.ref == 'main'\"";
    Site::new()
        .connector("ci", rules)
        .connector("other", "")
        .connector(
            "down",
            &format!("issuer = \"{}\"\njwks_uri = \"{}/k\"", nobody(), nobody()),
        )
        .client("app", "secret = \"s\"\nconnectors = [\"ci\", \"down\"]")
        .client("own", "secret = \"s\"\ngrants = [\"client_credentials\"]")
        .client(
            "open",
            "public = true\ngrants = [\"client_credentials\", \"token-exchange\"]",
        )
}

/// Asks as `app`, and wants this refusal.
#[track_caller]
fn refuses(server: &Server, pairs: &[(&str, &str)], status: u16, error: &str, reason: &str) {
    let reply = server.form_with(&[("Authorization", &basic("app", "s"))], pairs);
    refused(server, &reply, status, error, reason);
    assert_eq!(reply.header("retry-after").is_some(), status == 503);
}

#[test]
fn parameters_missing_repeated_or_malformed() {
    let server = site().start();
    let good = job(json!({}));
    let own = |further: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        [&TOKEN, &[("subject_token", good.as_str())][..], further].concat()
    };
    for (pairs, reason) in [
        (vec![], "parameter_missing"),
        (TOKEN.to_vec(), "parameter_missing"),
        (
            vec![("grant_type", EXCHANGE), ("subject_token", &good)],
            "parameter_missing",
        ),
        (own(&[("subject_token", "x")]), "parameter_repeated"),
        (own(&[("scope", "a"), ("scope", "b")]), "parameter_repeated"),
        (
            own(&[("requested_token_type", "saml")]),
            "parameter_malformed",
        ),
        (own(&[("actor_token", "x")]), "parameter_missing"),
        (own(&[("actor_token_type", JWT)]), "parameter_missing"),
        (own(&[("client_id", "own")]), "parameter_malformed"),
        (own(&[("client_secret", "s")]), "parameter_malformed"),
        (own(&[("connector_id", "none")]), "connector_unknown"),
        (own(&[("connector_id", "other")]), "issuer_mismatch"),
    ] {
        refuses(&server, &pairs, 400, "invalid_request", reason);
    }
}

#[test]
fn tokens_that_are_not_accepted() {
    let server = site().start();
    let now = crate::support::now();
    let forged = token(&gitlab(CI), &OTHER_RSA, "RS256", "k1");
    let unknown_key = token(&gitlab(CI), &RSA, "RS256", "k9");
    for (subject, reason) in [
        ("garbage".to_owned(), "token_malformed"),
        (job(json!({"exp": now - 1})), "token_expired"),
        (job(json!({"exp": null})), "token_malformed"),
        (job(json!({"nbf": now + 300})), "token_not_yet_valid"),
        (forged, "signature_invalid"),
        (unknown_key, "key_unknown"),
        (
            job(json!({"iss": "https://stranger.example"})),
            "issuer_unknown",
        ),
        (job(json!({"aud": "x"})), "audience_mismatch"),
        (job(json!({"aud": null})), "audience_mismatch"),
        (job(json!({"ref_protected": "false"})), "condition_false"),
        (job(json!({"ref": "topic"})), "no_rule"),
    ] {
        let pairs = [&TOKEN, &[("subject_token", subject.as_str())][..]].concat();
        refuses(&server, &pairs, 400, "invalid_request", reason);
        // An actor token is measured in the same way, after the subject.
        let good = job(json!({}));
        let actor = [
            ("subject_token", good.as_str()),
            ("actor_token", &subject),
            ("actor_token_type", JWT),
        ];
        let pairs = [&TOKEN, &actor[..]].concat();
        refuses(&server, &pairs, 400, "invalid_request", reason);
    }
    let good = job(json!({}));
    let actor = [
        ("subject_token", good.as_str()),
        ("actor_token", &good),
        ("actor_token_type", JWT),
    ];
    refuses(
        &server,
        &[&TOKEN, &actor[..]].concat(),
        400,
        "invalid_request",
        "actor_refused",
    );
}

#[test]
fn targets_and_scopes_that_are_not_allowed() {
    let server = site().start();
    let good = job(json!({}));
    for (name, value, error, reason) in [
        ("audience", "x", "invalid_target", "target_refused"),
        ("audience", "own", "invalid_target", "target_refused"),
        (
            "resource",
            "https://x.example",
            "invalid_target",
            "target_refused",
        ),
        ("resource", "not a uri", "invalid_target", "target_refused"),
        ("scope", "admin", "invalid_scope", "scope_refused"),
        ("scope", "offline_access", "invalid_scope", "scope_refused"),
        (
            "scope",
            "audience:server:client_id:own",
            "invalid_scope",
            "scope_refused",
        ),
    ] {
        let pairs = [
            &TOKEN,
            &[("subject_token", good.as_str()), (name, value)][..],
        ]
        .concat();
        refuses(&server, &pairs, 400, error, reason);
    }
    let asks = site()
        .connector(
            "asks",
            "allow = [\"'t' in request.audience\"]\ntargets = [\"t\"]\nrequire_client = false",
        )
        .start();
    let reply = asks.exchange(&job(json!({"iss": "https://asks.example"})), &[]);
    refused(&asks, &reply, 400, "invalid_target", "audience_required");
}

#[test]
fn clients_that_are_not_known_or_may_not() {
    let server = site().start();
    let good = job(json!({}));
    let by = |header: &str, token: &str| exchange(&server, header, token, &[]);
    let elsewhere = job(json!({"iss": "https://other.example"}));
    let refused_client =
        |reply: &Reply, reason| refused(&server, reply, 401, "invalid_client", reason);
    refused_client(&by(&basic("nobody", "s"), &good), "client_invalid");
    refused_client(&by(&basic("app", "x"), &good), "client_invalid");
    refused_client(&by("Bearer x", &good), "client_invalid");
    refused_client(&server.exchange(&good, &[]), "client_required");
    let may_not =
        |reply: &Reply, reason| refused(&server, reply, 400, "unauthorized_client", reason);
    may_not(&by(&basic("own", "s"), &good), "grant_refused");
    may_not(&by(&basic("app", "s"), &elsewhere), "connector_refused");
    let own = [("grant_type", "client_credentials")];
    may_not(
        &server.form_with(&[("Authorization", &basic("app", "s"))], &own),
        "grant_refused",
    );
    may_not(
        &server.form_with(&[("Authorization", &basic("open", ""))], &own),
        "grant_refused",
    );
}

#[test]
fn grants_that_are_not_enabled() {
    let server = site().start();
    for grant in [
        "password",
        "authorization_code",
        "refresh_token",
        "implicit",
        "token-exchange",
        "CLIENT_CREDENTIALS",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
    ] {
        refuses(
            &server,
            &[("grant_type", grant)],
            400,
            "unsupported_grant_type",
            "grant_unsupported",
        );
        // The grant is looked at before the client.
        let reply = server.form_with(&[("Authorization", "Bearer x")], &[("grant_type", grant)]);
        refused(
            &server,
            &reply,
            400,
            "unsupported_grant_type",
            "grant_unsupported",
        );
    }
}

#[test]
fn keys_that_cannot_be_had() {
    let down = nobody();
    let server = Site::new()
        .connector(
            "down",
            &format!("issuer = \"{down}\"\njwks_uri = \"{down}/k\""),
        )
        .client("app", "secret = \"s\"")
        .start();
    let claims: Value = with(gitlab(&down), json!({}));
    let subject = token(&claims, &RSA, "RS256", "k1");
    let pairs = [&TOKEN, &[("subject_token", subject.as_str())][..]].concat();
    refuses(
        &server,
        &pairs,
        503,
        "temporarily_unavailable",
        "keys_unavailable",
    );
}
