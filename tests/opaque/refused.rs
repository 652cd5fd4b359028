//! What is refused before the issuer is asked.

use crate::support::keys::OTHER_RSA;
use crate::support::server::{EXCHANGE, JWT};
use crate::support::shapes::gitlab;
use crate::support::tokens::{b64, token};
use crate::{ACCESS_TOKEN, TOKEN, USERINFO, exchange, issuer, refusal, simple, site};

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

#[test]
fn a_jwt_is_verified_as_one_whatever_it_is_called() {
    let issuer = issuer();
    let lines = "allow = [\"claims.ref == 'main'\"]";
    let server = site(&issuer, lines).start();
    let good = token(
        &gitlab(&issuer.url),
        &crate::support::keys::RSA,
        "RS256",
        "k",
    );
    assert_eq!(exchange(&server, &good, &[]).status, 200);
    let forged = token(&gitlab(&issuer.url), &OTHER_RSA, "RS256", "k");
    let (input, _) = good.rsplit_once('.').unwrap();
    let spaced = format!("{}.{}.x", b64(" {\"alg\":\"RS256\"}"), b64("{}"));
    let padded = format!("{}==.e30.x", b64("{\"alg\":\"RS256\"}"));
    for (sent, reason) in [
        (forged, "signature_invalid"),
        (input.to_owned(), "token_malformed"),
        (format!("{good}.x"), "token_malformed"),
        // An issuer that reads only the first three parts would vouch for these.
        (format!("{good}.."), "token_malformed"),
        (format!("{good}.x.y"), "token_malformed"),
        (format!("{good}..."), "token_malformed"),
        (spaced, "token_malformed"),
        (padded, "token_malformed"),
    ] {
        let form = exchange(&server, &sent, &[]);
        assert_eq!(form.refusal(), refusal(400, "invalid_request", reason));
        let simple = simple(&server, &sent);
        assert_eq!(simple.refusal(), refusal(403, "access_denied", reason));
    }
    assert_eq!(issuer.hits(USERINFO), 0);
}

#[test]
fn each_refusal_says_what_is_needed() {
    let issuer = issuer();
    let server = site(&issuer, "").connector("ci", "").start();
    let access = ACCESS_TOKEN;
    for (kind, connector, reason, words) in [
        (JWT, Some("idp"), "token_malformed", "is not a JWT"),
        (ID_TOKEN, Some("idp"), "token_malformed", "is not a JWT"),
        (access, None, "token_malformed", "needs `connector_id`"),
        (
            access,
            Some("nobody"),
            "token_malformed",
            "no connector nobody",
        ),
        (access, Some("ci"), "token_malformed", "`get_user_info`"),
    ] {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", TOKEN),
            ("subject_token_type", kind),
        ];
        form.extend(connector.map(|id| ("connector_id", id)));
        let reply = server.form(&form);
        let expected = refusal(400, "invalid_request", reason);
        assert_eq!(reply.refusal(), expected, "{kind} {connector:?}");
        let said = reply.description();
        assert!(said.contains(words), "{words}: {said}");
        assert_eq!(server.audit(&reply)["outcome"], "refused");
    }
    assert_eq!(issuer.hits(USERINFO), 0);
}

#[test]
fn what_is_no_token_is_not_sent() {
    let issuer = issuer();
    let server = site(&issuer, "").start();
    let long = "a".repeat(16 * 1024 + 1);
    for (token, words) in [
        ("two words", "white space"),
        ("x\r\nX-Admin: 1", "line breaks"),
        ("x\ny", "line breaks"),
        ("$ACCESS_TOKEN", "a variable"),
        ("Bearer abc", "send the token alone"),
        ("t\u{f6}ken", "characters"),
        ("t\u{7f}ken", "characters"),
        (&long, "longer than 16 KiB"),
    ] {
        let reply = exchange(&server, token, &[]);
        let expected = refusal(400, "invalid_request", "token_malformed");
        assert_eq!(reply.refusal(), expected, "{token:.40}");
        let said = reply.description();
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(issuer.hits(USERINFO), 0);
    // As long as a token may be, and of every kind of character.
    let longest = "a".repeat(16 * 1024);
    for good in [longest.as_str(), "a~b+c/d-e_f.g=", "id|secret:!"] {
        assert_eq!(exchange(&server, good, &[]).status, 200, "{good:.40}");
        let heads = issuer.heads(USERINFO);
        assert!(heads.last().unwrap().contains(&format!("Bearer {good}\n")));
    }
}

#[test]
fn without_a_connector_a_simple_exchange_takes_no_opaque_token() {
    let issuer = issuer();
    let server = site(&issuer, "").start();
    let reply = server.simple(&serde_json::json!({ "token": TOKEN }));
    assert_eq!(
        reply.refusal(),
        refusal(403, "access_denied", "token_malformed")
    );
    assert_eq!(issuer.hits(USERINFO), 0);
}

#[test]
fn a_client_is_checked_before_its_issuer_is_asked() {
    let issuer = issuer();
    let server = site(&issuer, "")
        .client("app", "secret = \"s3cret\"")
        .client("other", "secret = \"s3cret\"\nconnectors = []")
        .start();
    let anonymous = exchange(&server, TOKEN, &[]);
    assert_eq!(
        anonymous.refusal(),
        refusal(401, "invalid_client", "client_required")
    );
    let secret = ("client_secret", "s3cret");
    let other = exchange(&server, TOKEN, &[("client_id", "other"), secret]);
    assert_eq!(
        other.refusal(),
        refusal(400, "unauthorized_client", "connector_refused")
    );
    assert_eq!(issuer.hits(USERINFO), 0);
    assert_eq!(
        exchange(&server, TOKEN, &[("client_id", "app"), secret]).status,
        200
    );
}

/// An encrypted token can be read by its issuer alone, so it is as opaque as any.
#[test]
fn an_encrypted_token_is_the_issuers_to_read() {
    let issuer = issuer();
    let server = site(&issuer, "").start();
    let jwe = format!(
        "{}..aXY.dGV4dA.dGFn",
        b64("{\"alg\":\"dir\",\"enc\":\"A256GCM\"}")
    );
    assert_eq!(exchange(&server, &jwe, &[]).status, 200);
    let refused = server.exchange(&jwe, &[("connector_id", "idp")]);
    assert_eq!(
        refused.refusal(),
        refusal(400, "invalid_request", "token_malformed")
    );
}
