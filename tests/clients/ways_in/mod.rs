//! The same decision comes out of every way in: the form, the JSON body, and `remint explain` (design §1).

mod rows;

use serde_json::{Value, json};

use crate::basic;
use crate::support::http::Reply;
use crate::support::issuer::nobody;
use crate::support::server::{EXCHANGE, JWT, Server};
use crate::support::shapes::with;

/// What is asked, in words that each way in has.
#[derive(Clone, Copy, Debug)]
struct Wish<'a> {
    client: Option<(&'a str, &'a str)>,
    connector: Option<&'a str>,
    audience: Option<&'a str>,
    /// The JSON body has no scopes.
    scope: Option<&'a str>,
}

const NOBODY: Wish<'static> = Wish {
    client: None,
    connector: None,
    audience: None,
    scope: None,
};

/// A reason, or the claims that do not change from one token to the next.
#[derive(Debug, PartialEq)]
enum Decision {
    Refused(String),
    Issued(Value),
}

fn issued(claims: Value) -> Decision {
    let changing = json!({"jti": null, "iat": null, "nbf": null, "exp": null});
    for name in ["jti", "iat", "nbf", "exp"] {
        assert!(claims.get(name).is_some(), "{name} in {claims}");
    }
    Decision::Issued(with(claims, changing))
}

fn read(server: &Server, reply: &Reply) -> Decision {
    if reply.status == 200 {
        issued(server.read(reply).1)
    } else {
        let reason = reply.refusal().2;
        assert_eq!(server.audit(reply)["reason"], reason.as_str());
        Decision::Refused(reason)
    }
}

fn by_form(server: &Server, token: &str, wish: Wish<'_>) -> Decision {
    let header = wish.client.map(|(id, secret)| basic(id, secret));
    let headers: Vec<_> = header
        .iter()
        .map(|value| ("Authorization", value.as_str()))
        .collect();
    let mut pairs = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", JWT),
    ];
    pairs.extend(wish.connector.map(|id| ("connector_id", id)));
    pairs.extend(wish.audience.map(|aud| ("audience", aud)));
    pairs.extend(wish.scope.map(|scope| ("scope", scope)));
    read(server, &server.form_with(&headers, &pairs))
}

fn by_json(server: &Server, token: &str, wish: Wish<'_>) -> Decision {
    let body = json!({"token": token, "connector_id": wish.connector, "audience": wish.audience});
    let header = wish.client.map(|(id, secret)| basic(id, secret));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(header.iter().map(|value| ("Authorization", value.as_str())));
    read(
        server,
        &server.send("POST", "/token", &headers, body.to_string()),
    )
}

fn by_explain(server: &Server, token: &str, wish: Wish<'_>) -> Decision {
    let mut args = Vec::new();
    for (flag, value) in [
        ("--client", wish.client.map(|(id, _)| id)),
        ("--connector", wish.connector),
        ("--audience", wish.audience),
        ("--scope", wish.scope),
    ] {
        args.extend(value.into_iter().flat_map(|value| [flag, value]));
    }
    let (code, report) = server.explain(&args, token);
    let refused = report
        .lines()
        .find_map(|line| line.strip_prefix("refused: "));
    if let Some(reason) = refused {
        let expected = if reason == "keys_unavailable" { 2 } else { 1 };
        assert_eq!(code, Some(expected), "{report}");
        Decision::Refused(reason.to_owned())
    } else {
        assert_eq!(code, Some(0), "neither a reason nor claims: {report}");
        issued(serde_json::from_str(&report[report.find("\n{").unwrap()..]).unwrap())
    }
}

#[test]
fn the_same_decision_comes_out_of_every_way_in() {
    let down = nobody();
    let server = rows::site(&down).start();
    let mut differences = Vec::new();
    for (expected, token, wish) in rows::all(&down) {
        let form = by_form(&server, &token, wish);
        let as_expected = match &form {
            Decision::Issued(_) => expected == rows::ISSUED,
            Decision::Refused(reason) => expected == reason,
        };
        if !as_expected {
            differences.push(format!("{wish:?}: the form says {form:?}, not {expected}"));
        }
        if wish.scope.is_none() {
            let json = by_json(&server, &token, wish);
            if json != form {
                differences.push(format!("{wish:?}: the form says {form:?}, JSON {json:?}"));
            }
        }
        let explained = by_explain(&server, &token, wish);
        if explained != form {
            differences.push(format!("{wish:?}: form {form:?}, explain {explained:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}
