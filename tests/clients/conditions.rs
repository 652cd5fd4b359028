//! What conditions and computed claims see of the client and of the request (design §3, CEL).

use serde_json::{Value, json};

use crate::support::server::{Server, Site};
use crate::{basic, exchange, job, refused};

fn site(lines: &str) -> Site {
    Site::new()
        .connector("ci", lines)
        .client("app", "name = \"My App\"\nsecret = \"s\"")
        .client("open", "public = true")
        .client("half", "public = true\nsecret = \"h\"")
}

#[test]
fn a_claim_can_say_who_asked() {
    let server = site(
        "require_client = false\ntargets = [\"t\"]\n[connectors.claims]\n\
         who = \"client == null ? ['nobody'] : [client.id, client.name, client.authenticated ? 'proved' : 'said']\"",
    )
    .start();
    let who = |reply| -> Value { server.read(&reply).1["who"].clone() };
    assert_eq!(
        who(server.exchange(&job(json!({})), &[])),
        json!(["nobody"])
    );
    for (id, secret, expected) in [
        ("app", "s", json!(["app", "My App", "proved"])),
        ("open", "", json!(["open", "open", "said"])),
        ("half", "h", json!(["half", "half", "proved"])),
    ] {
        assert_eq!(
            who(exchange(&server, &basic(id, secret), &job(json!({})), &[])),
            expected
        );
    }
}

/// Whether each of three askers passes a condition.
fn passes(server: &Server, further: &[(&str, &str)]) -> [bool; 3] {
    let token = job(json!({}));
    let replies = [
        server.exchange(&token, further),
        exchange(server, &basic("app", "s"), &token, further),
        exchange(server, &basic("open", ""), &token, further),
    ];
    replies.map(|reply| {
        if reply.status != 200 {
            refused(server, &reply, 400, "invalid_request", "condition_false");
        }
        reply.status == 200
    })
}

#[test]
fn a_condition_can_depend_on_the_client() {
    for (condition, expected) in [
        ("client == null", [true, false, false]),
        ("client != null", [false, true, true]),
        ("client.authenticated", [false, true, false]),
        ("client.id == 'app'", [false, true, false]),
        ("client.id in ['app', 'open']", [false, true, true]),
        ("client.name == 'My App'", [false, true, false]),
        (
            "client == null || client.authenticated",
            [true, true, false],
        ),
    ] {
        let lines = format!("require_client = false\ntargets = [\"t\"]\nallow = [\"{condition}\"]");
        assert_eq!(passes(&site(&lines).start(), &[]), expected, "{condition}");
    }
}

#[test]
fn a_condition_can_depend_on_what_is_asked() {
    let lines = "require_client = false\ntargets = [\"t\"]\nscopes = [\"deploy\"]\nallow = [\"!('deploy' in request.scope) || client != null && client.authenticated\"]";
    let server = site(lines).start();
    assert_eq!(passes(&server, &[]), [true; 3]);
    assert_eq!(passes(&server, &[("scope", "openid")]), [true; 3]);
    assert_eq!(
        passes(&server, &[("scope", "openid deploy")]),
        [false, true, false]
    );
    let server = site("require_client = false\ntargets = [\"t\"]\nallow = [\"request.scope == ['openid', 'profile']\"]").start();
    assert_eq!(passes(&server, &[("scope", "openid profile")]), [true; 3]);
    assert_eq!(passes(&server, &[("scope", "profile openid")]), [false; 3]);
    assert_eq!(passes(&server, &[]), [false; 3]);
}
