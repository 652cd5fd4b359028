//! How a request says who sends it (design §2.1; RFC 6749 §2.3).

use serde_json::json;

use crate::support::http::Reply;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{basic, job, refused};

fn server() -> Server {
    Site::new()
        .connector("ci", "")
        .client("app", "secret = \"s3cret\"")
        .client("odd:id", "secret = \"a b+c%2Fd:é\"")
        .client("curl", "secret = \"p%w+d\"")
        .client("twisted", "secret = \"a%2Bb\"")
        .client("open", "public = true")
        .client("half", "public = true\nsecret = \"known\"")
        .start()
}

/// A request with these headers and parameters beside those of an exchange.
fn ask(server: &Server, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Reply {
    let token = job(json!({}));
    let own = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", JWT),
    ];
    server.form_with(headers, &[&own, pairs].concat())
}

type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

#[test]
fn each_right_way_is_taken() {
    let server = server();
    let right = basic("app", "s3cret");
    let lower = right.replace("Basic", "bASIC");
    let encoded = basic("odd%3Aid", "a+b%2Bc%252Fd%3A%C3%A9");
    let raw = basic("curl", "p%w+d");
    let twice = basic("curl", "p%25w%2Bd");
    let looks_encoded = basic("twisted", "a%2Bb");
    let twisted = basic("twisted", "a%252Bb");
    let (open, half) = (basic("open", ""), basic("half", "known"));
    let rows: &[(&str, Row<'_>)] = &[
        ("app", (&[("Authorization", &right)], &[])),
        ("app", (&[("Authorization", &lower)], &[])),
        (
            "app",
            (&[("Authorization", &right)], &[("client_id", "app")]),
        ),
        ("app", (&[("Authorization", &right)], &[("client_id", "")])),
        (
            "app",
            (&[("Authorization", &right)], &[("client_secret", "")]),
        ),
        ("odd:id", (&[("Authorization", &encoded)], &[])),
        (
            "odd:id",
            (&[("Authorization", &encoded)], &[("client_id", "odd:id")]),
        ),
        // As it stands, since curl and others do not encode.
        ("curl", (&[("Authorization", &raw)], &[])),
        ("curl", (&[("Authorization", &twice)], &[])),
        ("twisted", (&[("Authorization", &looks_encoded)], &[])),
        ("twisted", (&[("Authorization", &twisted)], &[])),
        ("open", (&[("Authorization", &open)], &[])),
        ("half", (&[("Authorization", &half)], &[])),
        (
            "app",
            (&[], &[("client_id", "app"), ("client_secret", "s3cret")]),
        ),
        (
            "odd:id",
            (
                &[],
                &[("client_id", "odd:id"), ("client_secret", "a b+c%2Fd:é")],
            ),
        ),
        (
            "curl",
            (&[], &[("client_id", "curl"), ("client_secret", "p%w+d")]),
        ),
        ("open", (&[], &[("client_id", "open")])),
        (
            "open",
            (&[], &[("client_id", "open"), ("client_secret", "")]),
        ),
        (
            "half",
            (&[], &[("client_id", "half"), ("client_secret", "known")]),
        ),
    ];
    for (client, (headers, pairs)) in rows {
        let reply = ask(&server, headers, pairs);
        // Without a wish the new token is for the client itself.
        assert_eq!(
            server.read(&reply).1["aud"],
            *client,
            "{headers:?} {pairs:?}"
        );
        assert_eq!(server.audit(&reply)["client"], *client);
    }
}

#[test]
fn whatever_is_wrong_gets_the_same_reply() {
    let server = server();
    let wrong = basic("app", "S3cret");
    let unknown = basic("nobody", "s3cret");
    let empty = basic("app", "");
    let (open, half) = (basic("open", "x"), basic("half", ""));
    let post = |id, secret| [("client_id", id), ("client_secret", secret)];
    // A body is not encoded twice, so that nothing is decoded in it.
    let rows: &[(Row<'_>, &str)] = &[
        ((&[("Authorization", &wrong)], &[]), "\"app\""),
        ((&[("Authorization", &unknown)], &[]), "no client"),
        ((&[("Authorization", &empty)], &[]), "\"app\""),
        ((&[("Authorization", &open)], &[]), "\"open\""),
        ((&[("Authorization", &half)], &[]), "\"half\""),
        (
            (&[("Authorization", &wrong)], &[("client_id", "app")]),
            "\"app\"",
        ),
        ((&[], &post("app", "s3cret-")), "\"app\""),
        ((&[], &post("App", "s3cret")), "no client"),
        ((&[], &post("nobody", "s3cret")), "no client"),
        ((&[], &post("curl", "p%25w%2Bd")), "\"curl\""),
        ((&[], &post("open", "x")), "\"open\""),
        ((&[], &[("client_id", "app")]), "\"app\""),
        ((&[], &[("client_id", "half")]), "\"half\""),
        ((&[], &[("client_id", "nobody")]), "no client"),
    ];
    let mut said = Vec::new();
    for ((headers, pairs), detail) in rows {
        let reply = ask(&server, headers, pairs);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
        let event = server.audit(&reply);
        let found = event["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{found}");
        assert!(event.get("client").is_none_or(serde_json::Value::is_null));
        said.push(reply.description());
    }
    said.sort_unstable();
    said.dedup();
    // That nothing was sent is told to whoever sends nothing, whether there is such a client or not.
    let wrong = "the client is unknown or its secret is wrong";
    let none = "no secret was sent: send it with Basic (curl -u ID:SECRET) or as `client_secret`";
    assert_eq!(said, [wrong.to_owned(), format!("{wrong}: {none}")]);
}

#[test]
fn a_header_that_is_not_basic_is_no_client() {
    let server = server();
    let right = basic("app", "s3cret");
    let encoded = right.strip_prefix("Basic ").unwrap();
    let (bearer, digest) = (format!("Bearer {encoded}"), format!("Digest {encoded}"));
    let (url, spaced) = (right.replace('=', ""), format!("{right} {encoded}"));
    let (colonless, nameless) = ("Basic YXBw", basic("", "s3cret"));
    assert_ne!(url, right, "the credential has padding to lose");
    let headers: &[&str] = &[
        &bearer,
        &digest,
        &url,
        &spaced,
        colonless,
        &nameless,
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic \u{e9}\u{e9}\u{e9}\u{e9}",
        "x",
        "",
    ];
    for value in headers {
        let reply = ask(&server, &[("Authorization", value)], &[]);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
        let said = reply.description();
        assert!(said.contains("not a well-formed Basic"), "{value}: {said}");
    }
}

#[test]
fn two_ways_at_once_are_malformed() {
    let server = server();
    let (right, wrong) = (basic("app", "s3cret"), basic("app", "x"));
    let header = ("Authorization", right.as_str());
    let rows: &[(Row<'_>, &str)] = &[
        ((&[header], &[("client_id", "open")]), "parameter_malformed"),
        ((&[header], &[("client_id", "App")]), "parameter_malformed"),
        (
            (&[header], &[("client_secret", "s3cret")]),
            "parameter_malformed",
        ),
        (
            (
                &[header],
                &[("client_id", "app"), ("client_secret", "s3cret")],
            ),
            "parameter_malformed",
        ),
        (
            (&[("Authorization", &wrong)], &[("client_secret", "s3cret")]),
            "parameter_malformed",
        ),
        ((&[], &[("client_secret", "s3cret")]), "parameter_missing"),
        ((&[header, header], &[]), "parameter_repeated"),
        (
            (&[header, ("authorization", "Bearer x")], &[]),
            "parameter_repeated",
        ),
        (
            (
                &[],
                &[
                    ("client_id", "app"),
                    ("client_id", "app"),
                    ("client_secret", "s3cret"),
                ],
            ),
            "parameter_repeated",
        ),
        (
            (
                &[],
                &[
                    ("client_id", "app"),
                    ("client_secret", "s3cret"),
                    ("client_secret", "s3cret"),
                ],
            ),
            "parameter_repeated",
        ),
    ];
    for ((headers, pairs), reason) in rows {
        let reply = ask(&server, headers, pairs);
        refused(&server, &reply, 400, "invalid_request", reason);
    }
}

#[test]
fn client_assertions_are_refused_rather_than_overlooked() {
    let server = server();
    let right = basic("app", "s3cret");
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let rows: &[Row<'_>] = &[
        (
            &[],
            &[("client_assertion", "x"), ("client_assertion_type", kind)],
        ),
        (&[], &[("client_id", "open"), ("client_assertion", "x")]),
        (
            &[("Authorization", &right)],
            &[("client_assertion_type", kind)],
        ),
    ];
    for (headers, pairs) in rows {
        let reply = ask(&server, headers, pairs);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
    }
}

#[test]
fn a_simple_exchange_knows_its_client_by_basic_alone() {
    let server = server();
    let body = |further: serde_json::Value| {
        crate::support::shapes::with(json!({"token": job(json!({}))}), further).to_string()
    };
    let post = |headers: &[(&str, &str)], body: String| {
        let own = [("Content-Type", "application/json")];
        server.send("POST", "/token", &[&own, headers].concat(), body)
    };
    for (id, secret) in [
        ("app", "s3cret"),
        ("curl", "p%w+d"),
        ("odd%3Aid", "a+b%2Bc%252Fd%3A%C3%A9"),
        ("open", ""),
    ] {
        let reply = post(&[("Authorization", &basic(id, secret))], body(json!({})));
        assert_eq!(server.read(&reply).1["aud"], id.replace("%3A", ":"));
    }
    let right = basic("app", "s3cret");
    for (value, status, error, reason) in [
        (basic("app", "x"), 401, "invalid_client", "client_invalid"),
        (
            basic("nobody", "x"),
            401,
            "invalid_client",
            "client_invalid",
        ),
        (
            "Bearer x".to_owned(),
            401,
            "invalid_client",
            "client_invalid",
        ),
    ] {
        let reply = post(&[("Authorization", &value)], body(json!({})));
        refused(&server, &reply, status, error, reason);
    }
    let twice = [("Authorization", right.as_str()); 2];
    let reply = post(&twice, body(json!({})));
    refused(
        &server,
        &reply,
        400,
        "invalid_request",
        "parameter_repeated",
    );
    // Members of the body are no credentials here.
    let said = json!({"client_id": "app", "client_secret": "s3cret"});
    let reply = post(&[], body(said));
    refused(
        &server,
        &reply,
        400,
        "invalid_request",
        "parameter_malformed",
    );
    let reply = post(&[], body(json!({})));
    refused(&server, &reply, 401, "invalid_client", "client_required");
}
