//! What a caller reads whose body, token, grant or token type is wrong in one of the ways that people get it wrong:
//! status, `error`, `reason`, and the words that help.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{job, job_with, signed};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Status, `error` and `reason`.
pub(crate) type Refused<'a> = (u16, &'a str, &'a str);

const MALFORMED: Refused<'_> = (400, "invalid_request", "parameter_malformed");
const MISSING: Refused<'_> = (400, "invalid_request", "parameter_missing");
const BAD_TOKEN: Refused<'_> = (400, "invalid_request", "token_malformed");
const NOT_JSON: Refused<'_> = (415, "invalid_request", "content_type_unsupported");

fn server() -> Server {
    Site::new().connector("ci", "targets = [\"one\"]").start()
}

/// A refusal with these words in its description.
#[track_caller]
pub(crate) fn says(reply: &Reply, (status, error, reason): Refused<'_>, words: &str) {
    let refusal = (status, error.to_owned(), reason.to_owned());
    assert_eq!(reply.refusal(), refusal, "{}", reply.text());
    let said = reply.description();
    assert!(said.contains(words), "{words:?} is not in {said:?}");
}

#[test]
fn members_that_the_json_body_does_not_have() {
    let server = server();
    let token = signed(&job());
    let secret = "must-not-come-back";
    for (name, words) in [
        ("aud", "`aud`: did you mean `audience`?"),
        ("audiences", "did you mean `audience`?"),
        ("Audience", "did you mean `audience`?"),
        ("target", "did you mean `audience`?"),
        ("subject_token", "did you mean `token`?"),
        ("id_token", "did you mean `token`?"),
        ("access_token", "did you mean `token`?"),
        ("jwt", "did you mean `token`?"),
        ("Token", "did you mean `token`?"),
        ("algorithm", "did you mean `alg`?"),
        ("connector", "did you mean `connector_id`?"),
        ("connectorId", "did you mean `connector_id`?"),
        ("connector-id", "did you mean `connector_id`?"),
        ("resource", "`audience` says what the new token is for"),
        ("scope", "it takes the OAuth form"),
        ("subject_token_type", "it takes the OAuth form"),
        ("requested_token_type", "it takes the OAuth form"),
        ("actor_token", "it takes the OAuth form"),
        ("client_id", "authenticates with Basic"),
        ("client_secret", "authenticates with Basic"),
        ("foo", "there are token, alg, connector_id, audience"),
        ("", "there are token, alg, connector_id, audience"),
    ] {
        for value in [json!(secret), json!(1), Value::Null, json!({"a": [secret]})] {
            let reply = server.simple(&json!({"token": token, name: value}));
            says(&reply, MALFORMED, words);
            assert!(!reply.text().contains(secret), "{}", reply.text());
            assert_eq!(server.audit(&reply)["reason"], "parameter_malformed");
        }
    }
    // Also where it stands for the one that is required, or is a token itself.
    let reply = server.simple(&json!({"subject_token": token}));
    says(&reply, MALFORMED, "did you mean `token`?");
    let reply = server.simple(&json!({"token": "x", &token: "y"}));
    says(&reply, MALFORMED, "`(a token)`");
    let reply = server.simple(&json!({"token": "x", "n".repeat(5_000): "y"}));
    says(&reply, MALFORMED, "n...`");
    assert!(reply.description().len() < 300);
    let whole = json!({"subject_token": token, "subject_token_type": JWT, "grant_type": EXCHANGE});
    says(
        &server.simple(&whole),
        MALFORMED,
        "`grant_type`: it takes the OAuth form",
    );
}

#[test]
fn optional_members_may_be_null_or_empty() {
    let server = server();
    let token = signed(&job());
    for absent in [Value::Null, json!("")] {
        let body =
            json!({"token": token, "alg": absent, "connector_id": absent, "audience": absent});
        assert_eq!(server.read(&server.simple(&body)).1["aud"], "one");
    }
}

#[test]
fn forms_that_are_none_or_lack_something() {
    let server = server();
    let token = signed(&job());
    let object = json!({"token": token}).to_string();
    let whole = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange, subject_token and subject_token_type";
    let header = "-H 'Content-Type: application/json'";
    let grant = format!("grant_type={EXCHANGE}");
    for (body, words) in [
        (object.clone(), header),
        (format!(" \n{object}"), header),
        (object.replace('{', "%7B").replace('"', "%22"), header),
        (
            format!("token={token}"),
            "`token` is sent as `subject_token`",
        ),
        (format!("token={token}"), whole),
        (
            format!("id_token={token}&audience=one"),
            "`id_token` is sent as `subject_token`",
        ),
        ("audience=one".to_owned(), "JSON with `token`"),
        (
            format!("{grant}&token={token}"),
            "`subject_token` is missing or empty: `token` is sent under this name",
        ),
        (
            format!("{grant}&jwt={token}"),
            "`jwt` is sent under this name",
        ),
        (format!("{grant}&subject_token={token}"), ID_TOKEN),
    ] {
        says(&server.post(FORM, body), MISSING, words);
    }
    let reply = server.post("multipart/form-data; boundary=x", &grant);
    says(&reply, NOT_JSON, "--data-urlencode, not with -F");
}

#[test]
fn bodies_that_are_not_json() {
    let server = server();
    let token = signed(&job());
    let form = format!("grant_type={EXCHANGE}&subject_token={token}&subject_token_type={JWT}");
    for (body, words) in [
        (form.as_str(), "it looks like a form"),
        ("token=x", "sent as application/x-www-form-urlencoded"),
        (
            &format!("{{\"token\": {token}}}"),
            "put double quotes around the token",
        ),
        ("{\"token\": $TOKEN}", "a variable that was not replaced"),
        ("{\"token\": }", "is the variable set"),
        ("{\"token\":,\"alg\":\"ES256\"}", "is the variable set"),
        (&format!("{{'token':'{token}'}}"), "double quotes in JSON"),
        (&format!("{{token:{token}}}"), "double quotes in JSON"),
        (
            &format!("{{\"token\":\"{token}\n\"}}"),
            "without line breaks",
        ),
        (&format!("{{\"token\":\"{token}"), "is not valid JSON"),
        ("", "it is empty; send {'token': '...'}"),
        (&token, "send an object, {'token': '...'}"),
    ] {
        says(&server.post(JSON, body), NOT_JSON, words);
    }
    let malformed = (400, "invalid_request", "parameter_malformed");
    let quoted = format!("\"{token}\"");
    let several = format!("{{\"token\":\"{token}\",\"audience\":[\"a\"]}}");
    for (body, words) in [
        (quoted.as_str(), "send an object, {'token': '...'}"),
        (
            several.as_str(),
            "for several audiences send the OAuth form",
        ),
    ] {
        says(&server.post(JSON, body), malformed, words);
    }
    let text = server.post("text/plain", "{}");
    says(&text, NOT_JSON, "add -H 'Content-Type: application/json'");
}

#[test]
fn texts_that_are_not_quite_a_token() {
    let server = server();
    let token = signed(&job());
    let half = token.len() / 2;
    let cut = token.rsplit_once('.').unwrap().0;
    let (start, end) = token.split_at(half);
    let variable = "a variable that was not replaced";
    let rows = [
        (format!("\"{token}\""), "quotes around it"),
        (format!("'{token}'"), "quotes around it"),
        (format!("\u{201c}{token}\u{201d}"), "quotes around it"),
        (format!("Bearer {token}"), "begins with `Bearer`"),
        (format!("bearer {token}"), "begins with `Bearer`"),
        (
            format!("Authorization: Bearer {token}"),
            "begins with `Bearer`",
        ),
        ("Bearer".to_owned(), "begins with `Bearer`"),
        ("$TOKEN".to_owned(), variable),
        ("${TOKEN}".to_owned(), variable),
        ("$(cat token.jwt)".to_owned(), variable),
        ("`cat token.jwt`".to_owned(), variable),
        ("%TOKEN%".to_owned(), variable),
        ("$env:TOKEN".to_owned(), variable),
        ("${{ steps.id.outputs.token }}".to_owned(), variable),
        ("\"$TOKEN\"".to_owned(), variable),
        ("null".to_owned(), "`jq -r` prints null"),
        ("@token.jwt".to_owned(), "the name of a file"),
        ("***".to_owned(), "it is masked"),
        (
            format!("{start}\n{end}"),
            "line breaks in it: send it in one line",
        ),
        (format!("{start}\r\n{end}"), "line breaks in it"),
        (format!("{start} {end}"), "white space in it"),
        (token.replace('.', "%2E"), "percent-encoded once more"),
        (cut.to_owned(), "it has two parts: the end was cut off"),
        (format!("{token}.x.y"), "is encrypted (five parts)"),
        (json!({"value": token}).to_string(), "its member `value`"),
        (
            json!({"count": 1, "value": token}).to_string(),
            "its member `value`",
        ),
        (
            json!({"access_token": token, "expires_in": 1}).to_string(),
            "its member `access_token`",
        ),
        (
            json!({"count": 1}).to_string(),
            "it is JSON: send the token alone",
        ),
        ("{\"value\":".to_owned(), "it is JSON: send the token alone"),
    ];
    for (text, words) in rows {
        // Both forms of request, then as an actor.
        let said = server.refuses(&text, "token_malformed");
        assert!(said.contains(words), "{words:?} is not in {said:?}");
        let actor = [("actor_token", text.as_str()), ("actor_token_type", JWT)];
        let reply = server.exchange(&token, &actor);
        says(&reply, BAD_TOKEN, words);
        assert!(reply.description().starts_with("actor token: "));
    }
}

#[test]
fn white_space_around_a_token_is_nothing() {
    let own = "actors = [\"true\"]";
    let server = Site::new().connector("ci", own).start();
    let token = signed(&job());
    for text in [
        format!("{token}\n"),
        format!("{token}\r\n"),
        format!(" \t{token} "),
    ] {
        assert_eq!(server.exchange(&text, &[]).status, 200);
        assert_eq!(server.simple(&json!({"token": text})).status, 200);
        let actor = [("actor_token", text.as_str()), ("actor_token_type", JWT)];
        assert_eq!(server.exchange(&token, &actor).status, 200);
    }
    for empty in ["", " ", "\n"] {
        let words = "if it comes from a variable, is that set?";
        says(&server.exchange(empty, &[]), MISSING, words);
        says(&server.simple(&json!({"token": empty})), MISSING, words);
        let actor = [("actor_token", empty), ("actor_token_type", JWT)];
        says(&server.exchange(&token, &actor), MISSING, words);
    }
}

#[test]
fn a_token_in_other_white_space_is_the_same_token() {
    let server = Site::new().connector("ci", "replay = \"once\"").start();
    let token = signed(&job_with(json!({"jti": null})));
    assert_eq!(server.exchange(&token, &[]).status, 200);
    let again = server.exchange(&format!("{token}\n"), &[]);
    assert_eq!(again.refusal().2, "replayed");
    let again = server.simple(&json!({"token": format!(" {token}")}));
    assert_eq!(again.refusal().2, "replayed");
}

#[test]
fn grants_and_token_types_by_another_name() {
    let server = Site::new()
        .connector("ci", "require_client = false")
        .client("own", "secret = \"s\"\ngrants = [\"client_credentials\"]")
        .start();
    let token = signed(&job());
    let unsupported = (400, "unsupported_grant_type", "grant_unsupported");
    let exchange = format!("; write grant_type={EXCHANGE}");
    let own = "; write grant_type=client_credentials";
    for (wanted, words) in [
        ("token-exchange", exchange.as_str()),
        ("token_exchange", &exchange),
        ("tokenexchange", &exchange),
        ("Token Exchange", &exchange),
        ("urn:ietf:params:oauth:grant-type:token_exchange", &exchange),
        ("urn:ietf:params:oauth:grant-type:token-exchang", &exchange),
        ("urn:ietf:param:oauth:grant-type:token-exchange", &exchange),
        (
            " urn:ietf:params:oauth:grant-type:token-exchange\n",
            &exchange,
        ),
        ("client-credentials", own),
        ("Client_Credentials", own),
        ("client_credential", own),
        ("urn:ietf:params:oauth:grant-type:client_credentials", own),
        (
            "password",
            "one of those enabled: urn:ietf:params:oauth:grant-type:token-exchange, client_credentials",
        ),
    ] {
        let pairs = [
            ("grant_type", wanted),
            ("subject_token", &token),
            ("subject_token_type", JWT),
        ];
        says(&server.form(&pairs), unsupported, words);
    }
    let none = Site::new().connector("ci", "").start();
    says(
        &none.form(&[("grant_type", "client_credentials")]),
        unsupported,
        "; client_credentials is enabled by a client that lists it in `grants`",
    );
    let reply = server.form(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")]);
    assert!(!reply.description().contains("; write"), "{}", reply.text());
    for (kind, urn) in [
        ("id_token", ID_TOKEN),
        ("id-token", ID_TOKEN),
        ("ID_TOKEN", ID_TOKEN),
        ("urn:ietf:params:oauth:token-type:idtoken", ID_TOKEN),
        ("urn:ietf:params:oauth:grant-type:id_token", ID_TOKEN),
        ("jwt", JWT),
        ("JWT", JWT),
        (
            "access_token",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
    ] {
        for name in [
            "subject_token_type",
            "requested_token_type",
            "actor_token_type",
        ] {
            let mut pairs = vec![
                ("grant_type", EXCHANGE),
                ("subject_token", &token),
                ("actor_token", &token),
            ];
            let others = ["subject_token_type", "actor_token_type"];
            pairs.extend(
                others
                    .into_iter()
                    .filter(|other| *other != name)
                    .map(|other| (other, JWT)),
            );
            pairs.push((name, kind));
            let reply = server.form(&pairs);
            says(&reply, MALFORMED, &format!("`{name}` is not one of "));
            says(&reply, MALFORMED, &format!("; write {urn}"));
        }
    }
}
