//! The tokens and wishes on which every way in must decide alike.

use serde_json::{Value, json};

use super::{NOBODY, Wish};
use crate::support::keys::{OTHER_RSA, P384, RSA};
use crate::support::server::Site;
use crate::support::shapes::{gitlab, with};
use crate::support::{now, tokens};
use crate::{CI, job};

/// In the place of a reason where there is none.
pub(super) const ISSUED: &str = "issued";

/// A reason, the token, and what is asked for it.
type Row = (&'static str, String, Wish<'static>);

fn by(client: &'static str) -> Wish<'static> {
    Wish {
        client: Some((client, "s")),
        ..NOBODY
    }
}

/// By a public client, which proves nothing.
fn open() -> Wish<'static> {
    Wish {
        client: Some(("open", "")),
        ..NOBODY
    }
}

fn to(audience: &'static str) -> Wish<'static> {
    Wish {
        audience: Some(audience),
        ..NOBODY
    }
}

fn scope(client: &'static str, scope: &'static str) -> Wish<'static> {
    Wish {
        scope: Some(scope),
        ..by(client)
    }
}

fn in_name_of(connector: &'static str, wish: Wish<'static>) -> Wish<'static> {
    Wish {
        connector: Some(connector),
        ..wish
    }
}

fn at(host: &str, changes: Value) -> String {
    let issuer = format!("https://{host}.example");
    job(with(json!({ "iss": issuer }), changes))
}

fn staging() -> String {
    job(json!({"environment": "staging"}))
}

fn for_api(wish: Wish<'static>) -> Wish<'static> {
    Wish {
        audience: Some("api"),
        ..wish
    }
}

pub(super) fn site(down: &str) -> Site {
    let rules = "targets = [\"t\"]\nrequire_client = false\nscopes = [\"deploy\"]\nclone_claims = [\"sub\", \"ref\", \"email\"]\n\
        allow = [\"claims.ref_protected == 'true'\"]\nsubject_prefix = \"gitlab:\"\n\
        [connectors.claims]\nwho = \"client == null ? 'nobody' : client.id\"\nlevel = \"claims.runner_id + 1\"\n\
        [[connectors.rules]]\nname = \"production\"\nwhen = \"claims.environment == 'production'\"\ntargets = [\"vault\"]\nlifetime = \"5m\"\nalg = \"ES256\"\n\
        [[connectors.rules]]\nname = \"staging\"\nwhen = \"claims.environment == 'staging'\"\n[connectors.rules.claims]\nstage = \"true\"";
    let both = "issuer = \"https://shared.example\"";
    Site::new()
        .connector("ci", rules)
        .connector("asks", "require_client = false\nallow = [\"'t' in request.audience\"]\ntargets = [\"t\", \"u\"]")
        .connector("strict", "clone_claims = [\"sub\", \"groups\"]\ngroups = true")
        .connector("big", "require_client = false\n[connectors.claims]\nthrice = \"claims.sub + claims.sub + claims.sub\"")
        .connector("one", both)
        .connector("two", both)
        .connector("down", &format!("issuer = \"{down}\"\njwks_uri = \"{down}/k\"\nrequire_client = false"))
        .client("app", "secret = \"s\"\naudiences = [\"api\"]")
        .client("vault", "secret = \"s\"\ntrusted_peers = [\"app\"]")
        .client("web", "secret = \"s\"\nconnectors = [\"ci\"]\ntrusted_peers = [\"app\"]")
        .client("open", "public = true\naudiences = [\"api\"]\nconnectors = [\"strict\"]")
        .client("own", "secret = \"s\"\ngrants = [\"client_credentials\"]")
}

pub(super) fn all(down: &str) -> Vec<Row> {
    let all = [
        issued(),
        about_connectors_and_clients(),
        before_the_signature(down),
        after_the_signature(),
        about_wishes(),
    ];
    all.concat()
}

fn issued() -> Vec<Row> {
    let groups = || at("strict", json!({"groups": ["a"], "email": "a@example.com"}));
    let rows = [
        (job(json!({})), NOBODY),
        (job(json!({})), to("vault")),
        (job(json!({})), in_name_of("ci", NOBODY)),
        (staging(), to("t")),
        (staging(), by("app")),
        (staging(), scope("app", "deploy")),
        (at("shared", json!({})), in_name_of("two", by("app"))),
        (at("strict", json!({})), for_api(by("app"))),
        (at("strict", json!({})), open()),
        (
            at("strict", json!({})),
            scope("app", "audience:server:client_id:web"),
        ),
        (groups(), by("vault")),
        (groups(), scope("app", "openid groups email federated:id")),
        (at("asks", json!({})), to("t")),
    ];
    rows.map(|(token, wish)| (ISSUED, token, wish)).into()
}

fn about_connectors_and_clients() -> Vec<Row> {
    let (plain, strict) = (|| job(json!({})), || at("strict", json!({})));
    vec![
        ("issuer_unknown", at("stranger", json!({})), NOBODY),
        ("connector_unknown", plain(), in_name_of("x", NOBODY)),
        ("issuer_mismatch", plain(), in_name_of("strict", by("app"))),
        ("connector_required", at("shared", json!({})), by("app")),
        ("client_invalid", plain(), by("nobody")),
        ("client_required", strict(), NOBODY),
        ("connector_refused", strict(), by("web")),
        ("connector_refused", plain(), open()),
        ("grant_refused", plain(), by("own")),
        // The client is looked at before the token.
        ("grant_refused", "garbage".to_owned(), by("own")),
        ("client_invalid", "garbage".to_owned(), by("nobody")),
    ]
}

fn before_the_signature(down: &str) -> Vec<Row> {
    let header =
        |header: Value| tokens::compact(header.to_string(), gitlab(CI).to_string(), &RSA, "RS256");
    let signed = |issuer: &str, key| tokens::token(&gitlab(issuer), key, "RS256", "k1");
    let rows = [
        ("token_malformed", "garbage".to_owned()),
        ("token_malformed", job(json!({"exp": null}))),
        (
            "alg_refused",
            tokens::token(&gitlab(CI), &P384, "ES384", "k1"),
        ),
        (
            "type_refused",
            header(json!({"alg": "RS256", "kid": "k1", "typ": "dpop+jwt"})),
        ),
        ("token_expired", job(json!({"exp": now() - 1}))),
        ("key_unknown", header(json!({"alg": "RS256", "kid": "k9"}))),
        ("keys_unavailable", signed(down, &RSA)),
        ("signature_invalid", signed(CI, &OTHER_RSA)),
    ];
    rows.map(|(reason, token)| (reason, token, NOBODY)).into()
}

fn after_the_signature() -> Vec<Row> {
    let rows = [
        ("token_not_yet_valid", json!({"nbf": now() + 600})),
        ("token_not_yet_valid", json!({"iat": now() + 600})),
        ("audience_mismatch", json!({"aud": "x"})),
        ("audience_mismatch", json!({"aud": null})),
        ("condition_false", json!({"ref_protected": "false"})),
        ("condition_false", json!({"ref_protected": null})),
        ("no_rule", json!({"environment": "dev"})),
        ("claim_failed", json!({"runner_id": "x"})),
        ("claim_failed", json!({"sub": ""})),
        // Of several reasons the first counts.
        (
            "audience_mismatch",
            json!({"aud": "x", "environment": "dev", "runner_id": "x"}),
        ),
    ];
    rows.map(|(reason, changes)| (reason, job(changes), NOBODY))
        .into()
}

fn about_wishes() -> Vec<Row> {
    let to_vault = Wish {
        audience: Some("vault"),
        ..by("vault")
    };
    let (asks, strict) = (|| at("asks", json!({})), || at("strict", json!({})));
    let long = at("big", json!({"sub": "s".repeat(4_000)}));
    vec![
        ("audience_required", asks(), NOBODY),
        ("condition_false", asks(), to("u")),
        ("target_refused", job(json!({})), to("x")),
        ("target_refused", staging(), to_vault),
        ("target_refused", staging(), by("vault")),
        // A public client proves nothing.
        ("target_refused", strict(), for_api(open())),
        ("scope_refused", strict(), scope("app", "admin")),
        (
            "scope_refused",
            strict(),
            scope("vault", "audience:server:client_id:web"),
        ),
        ("token_too_large", long, NOBODY),
    ]
}
