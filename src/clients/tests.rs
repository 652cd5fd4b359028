//! Clients as the token endpoint meets them.

use std::future::{Future, poll_fn};
use std::task::Poll;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::config::Secret;
use crate::oauth::Form;
use crate::random::SystemRandom;

const HASH: &str = "$2b$04$NLxdtSTIqscThONzUGOt8Om0lMuz6ScOF1JH7jRdj9eCtBvav1C66";

/// A client without a secret, with a plain one, or with the hash of one.
fn spec(id: &str, secret: &str, public: bool) -> config::Client {
    let secret = match secret {
        "" => None,
        hash if hash.starts_with('$') => Some(Secret::Hash(hash.to_owned())),
        plain => Some(Secret::Plain(plain.to_owned())),
    };
    config::Client {
        path: "clients[0]".to_owned(),
        id: id.to_owned(),
        name: id.to_owned(),
        secret,
        secret_file: None,
        public,
        grants: vec![TOKEN_EXCHANGE.to_owned()],
        connectors: None,
        audiences: Vec::new(),
        trusted_peers: Vec::new(),
        groups: Vec::new(),
    }
}

fn clients() -> Clients {
    let specs = [
        spec("app", "s3cret", false),
        spec("a:b", "p+%41 é", false),
        spec("a+b", "x", false),
        spec("hashed", HASH, false),
        spec("cli", "", true),
        spec("guarded", "s3cret", true),
    ];
    build(&specs)
}

fn build(specs: &[config::Client]) -> Clients {
    let mut problems = Problems::new();
    let clients = Clients::new(specs, &SystemRandom, &mut problems);
    assert!(!problems.has_errors());
    clients
}

/// Who a request is, such as `app` or `cli?` where nothing is proved, or the code of its refusal.
async fn who(clients: &Clients, header: Option<&str>, body: &str) -> String {
    let form = Form::parse(body.as_bytes()).unwrap();
    let credentials = match Credentials::read(header.map(str::as_bytes), Some(&form)) {
        Ok(credentials) => credentials,
        Err(refusal) => return refusal.reason.code().to_owned(),
    };
    match clients.authenticate(&credentials, None).await {
        Ok(None) => "nobody".to_owned(),
        Ok(Some(Identity { client, proved })) => {
            format!("{}{}", client.id, if proved { "" } else { "?" })
        }
        Err(refusal) => refusal.reason.code().to_owned(),
    }
}

fn basic(credential: &str) -> String {
    format!("Basic {}", STANDARD.encode(credential))
}

#[tokio::test]
async fn every_form_of_credential() {
    let clients = clients();
    // Header (a credential where it has a colon), body, who.
    let table = [
        ("", "", "nobody"),
        ("", "client_id=&client_secret=", "nobody"),
        ("app:s3cret", "", "app"),
        ("app:s3cret", "client_id=app", "app"),
        ("", "client_id=app&client_secret=s3cret", "app"),
        ("", "client_id=a%3Ab&client_secret=p%2B%2541+%C3%A9", "a:b"),
        ("a%3Ab:p%2B%2541+%C3%A9", "", "a:b"),
        ("a%3Ab:p%2B%2541+%C3%A9", "client_id=a:b", "a:b"),
        (
            "a%3Ab:p%2B%2541+%C3%A9",
            "client_id=a%253Ab",
            "client_invalid",
        ),
        ("a+b:x", "", "a+b"),
        ("a+b:x", "client_id=a%2Bb", "a+b"),
        ("a%2Bb:x", "", "a+b"),
        ("a+b:x", "client_id=a+b", "client_invalid"),
        ("hashed:s3cret", "", "hashed"),
        ("hashed:%733cret", "", "hashed"),
        ("", "client_id=hashed&client_secret=s3cret", "hashed"),
        ("", "client_id=hashed&client_secret=wrong", "client_invalid"),
        ("hashed:wrong", "", "client_invalid"),
        ("hashed:", "", "client_invalid"),
        ("", "client_id=hashed", "client_invalid"),
        ("app:S3cret", "", "client_invalid"),
        ("app:s3cret ", "", "client_invalid"),
        ("app:", "", "client_invalid"),
        ("App:s3cret", "", "client_invalid"),
        ("nobody:s3cret", "", "client_invalid"),
        ("", "client_id=app", "client_invalid"),
        ("", "client_id=nobody", "client_invalid"),
        ("", "client_id=app&client_secret=wrong", "client_invalid"),
        ("", "client_id=cli", "cli?"),
        ("", "client_id=cli&client_secret=", "cli?"),
        ("cli:", "", "cli?"),
        ("cli:", "client_id=cli", "cli?"),
        ("cli:x", "", "client_invalid"),
        ("", "client_id=cli&client_secret=x", "client_invalid"),
        ("", "client_id=guarded", "client_invalid"),
        ("guarded:", "", "client_invalid"),
        ("guarded:s3cret", "", "guarded"),
        ("app:s3cret", "client_id=cli", "parameter_malformed"),
        (
            "app:s3cret",
            "client_id=app&client_secret=s3cret",
            "parameter_malformed",
        ),
        ("app:s3cret", "client_secret=s3cret", "parameter_malformed"),
        ("", "client_secret=s3cret", "parameter_missing"),
        ("", "client_id=app&client_assertion=a.b.c", "client_invalid"),
        ("Bearer abc", "", "client_invalid"),
        ("Bearer abc", "client_id=cli", "client_invalid"),
        ("Basic !", "client_id=cli", "client_invalid"),
    ];
    for (header, body, expected) in table {
        let header = match header {
            "" => None,
            text if text.contains(':') => Some(basic(text)),
            text => Some(text.to_owned()),
        };
        let found = who(&clients, header.as_deref(), body).await;
        assert_eq!(found, expected, "{header:?} {body}");
    }
}

#[tokio::test]
async fn the_caller_cannot_tell_why_a_client_is_refused() {
    let clients = clients();
    let mut texts: Vec<(Reason, String)> = Vec::new();
    let mut details = Vec::new();
    for (id, secret) in [
        ("nobody", "x"),
        ("app", "x"),
        ("app", ""),
        ("hashed", "x"),
        ("hashed", ""),
        ("cli", "x"),
        ("guarded", ""),
    ] {
        let body = format!("client_id={id}&client_secret={secret}");
        let form = Form::parse(body.as_bytes()).unwrap();
        let credentials = Credentials::read(None, Some(&form)).unwrap();
        let refusal = clients.authenticate(&credentials, None).await.unwrap_err();
        texts.push((refusal.reason, refusal.description));
        details.push(refusal.detail.unwrap());
    }
    // Whoever sends no secret is told that, and whoever sends one is not, whichever client it is.
    let [wrong, absent] = [&texts[0], &texts[2]].map(Clone::clone);
    assert_ne!(wrong, absent);
    assert_eq!(texts.iter().filter(|text| **text == wrong).count(), 4);
    assert_eq!(texts.iter().filter(|text| **text == absent).count(), 3);
    assert_eq!(details[0], "no client has this id");
    assert_eq!(details[1], "a wrong secret for the client \"app\"");
    assert_eq!(details[2], "no secret for the client \"app\"");
}

#[tokio::test]
async fn a_secret_that_was_right_needs_no_hash_again() {
    let clients = clients();
    let entry = clients.entries.get("hashed").unwrap();
    let form = Form::parse(b"client_id=hashed&client_secret=s3cret").unwrap();
    let right = Credentials::read(None, Some(&form)).unwrap();
    assert_eq!(entry.proof.known(), None);
    clients.authenticate(&right, None).await.unwrap();
    let good = entry.proof.known();
    assert!(good.is_some());
    assert_eq!(
        who(&clients, Some(&basic("hashed:wrong")), "").await,
        "client_invalid"
    );
    assert_eq!(
        entry.proof.known(),
        good,
        "a wrong guess does not displace it"
    );
}

#[tokio::test]
async fn known_secrets_pass_those_that_wait_to_be_hashed() {
    let clients = build(&[
        spec("app", "s3cret", false),
        spec("new", HASH, false),
        spec("known", HASH, false),
    ]);
    let known = basic("known:s3cret");
    assert_eq!(who(&clients, Some(&known), "").await, "known");
    let _threads = clients.room.fill();
    let guess = basic("new:guess");
    let mut guesses: Vec<_> = (0..5)
        .map(|_| Box::pin(who(&clients, Some(&guess), "")))
        .collect();
    let mut seen = Vec::new();
    for guess in &mut guesses {
        seen.push(poll_fn(|context| Poll::Ready(guess.as_mut().poll(context))).await);
    }
    assert!(seen.iter().take(4).all(Poll::is_pending));
    assert_eq!(seen[4], Poll::Ready("overloaded".to_owned()));
    assert_eq!(who(&clients, Some(&known), "").await, "known");
    assert_eq!(who(&clients, Some(&basic("app:s3cret")), "").await, "app");
    assert_eq!(
        who(&clients, Some(&basic("app:wrong")), "").await,
        "client_invalid"
    );
}

#[tokio::test]
async fn what_is_known_of_a_secret_survives_a_reload_that_leaves_it_alone() {
    const OTHER: &str = "$2b$04$NLxdtSTIqscThONzUGOt8OcbIKvoYsR1sMTy0DJ6FNa4F4AFNiH52";
    let clients = build(&[spec("same", HASH, false), spec("new", HASH, false)]);
    for id in ["same", "new"] {
        let header = basic(&format!("{id}:s3cret"));
        assert_eq!(who(&clients, Some(&header), "").await, id);
    }
    let mut same = spec("same", HASH, false);
    same.grants = vec![CLIENT_CREDENTIALS.to_owned()];
    let specs = [same, spec("new", OTHER, false)];
    let mut problems = Problems::new();
    let reloaded = Clients::after(&clients, &specs, &mut problems);
    assert!(!problems.has_errors());
    let known = |id: &str| reloaded.entries.get(id).unwrap().proof.known();
    assert!(known("same").is_some());
    assert_eq!(known("new"), None);
    let same = reloaded.get("same").unwrap();
    assert!(same.may_use_grant(CLIENT_CREDENTIALS) && !same.may_use_grant(TOKEN_EXCHANGE));
    assert_eq!(
        who(&reloaded, Some(&basic("same:s3cret")), "").await,
        "same"
    );
    assert_eq!(
        who(&reloaded, Some(&basic("new:s3cret")), "").await,
        "client_invalid"
    );
}

#[tokio::test]
async fn a_secret_that_looks_encoded_is_hashed_once() {
    const PERCENT: &str = "$2b$04$NLxdtSTIqscThONzUGOt8OcbIKvoYsR1sMTy0DJ6FNa4F4AFNiH52";
    let clients = build(&[spec("app", PERCENT, false)]);
    let header = basic("app:a+b%41");
    assert_eq!(who(&clients, Some(&header), "").await, "app");
    let _threads = clients.room.fill();
    let mut again = Box::pin(who(&clients, Some(&header), ""));
    let again = poll_fn(|context| Poll::Ready(again.as_mut().poll(context))).await;
    assert_eq!(
        again,
        Poll::Ready("app".to_owned()),
        "its other meaning is not hashed each time"
    );
}

#[tokio::test]
async fn without_clients_nothing_that_is_sent_is_right() {
    let clients = build(&[]);
    assert!(clients.is_empty());
    assert_eq!(who(&clients, None, "").await, "nobody");
    for (header, body) in [(Some("app:"), ""), (None, "client_id=app")] {
        let header = header.map(basic);
        assert_eq!(
            who(&clients, header.as_deref(), body).await,
            "client_invalid"
        );
    }
}

#[test]
fn a_client_may_do_what_is_listed() {
    let mut one = spec("app", "x", false);
    one.grants = vec![CLIENT_CREDENTIALS.to_owned()];
    one.connectors = Some(vec!["gitlab".to_owned()]);
    one.trusted_peers = vec!["web".to_owned()];
    let clients = build(&[one, spec("cli", "", true)]);
    let [app, cli] = ["app", "cli"].map(|id| clients.get(id).unwrap());
    assert!(app.may_use_grant(CLIENT_CREDENTIALS) && !app.may_use_grant(TOKEN_EXCHANGE));
    assert!(app.may_use_connector("gitlab") && !app.may_use_connector("github"));
    assert!(cli.may_use_connector("github") && !cli.may_use_grant(CLIENT_CREDENTIALS));
    assert!(app.trusts("web") && app.trusts("app") && !app.trusts("cli"));
    assert!(!cli.trusts("app"));
    assert!(clients.any_may_use(CLIENT_CREDENTIALS) && !clients.any_may_use("password"));
    assert!(clients.get("web").is_none());
}

#[test]
fn a_hash_that_cannot_be_used_is_an_error() {
    let bad = spec("app", "$1$hunter2", false);
    let mut problems = Problems::new();
    let clients = Clients::new(&[bad], &SystemRandom, &mut problems);
    let found: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("error: clients[0].secret_hash: ") && !found[0].contains("hunter2")
    );
    assert!(clients.get("app").is_none());
}

#[test]
fn nothing_prints_a_secret() {
    let form = Form::parse(b"client_id=hunter1&client_secret=hunter2").unwrap();
    let credentials = Credentials::read(None, Some(&form)).unwrap();
    let clients = build(&[spec("app", "hunter2", false)]);
    let shown = format!("{credentials:?} {clients:?} {:?}", clients.get("app"));
    assert!(
        shown.contains("app") && !shown.contains("hunter"),
        "{shown}"
    );
}
