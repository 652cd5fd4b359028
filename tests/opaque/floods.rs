//! Many questions at once, from one address and from several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::support::http::Reply;
use crate::support::issuer::{Answer, Issuer};
use crate::support::server::{EXCHANGE, Server, Site};
use crate::support::until;
use crate::{ACCESS_TOKEN, TOKEN, USERINFO, ada, connector, exchange, issuer, refusal, simple};

/// An issuer whose answers are held back until the switch is on.
fn held() -> (Issuer, Arc<AtomicBool>) {
    let (issuer, is_open) = (issuer(), Arc::new(AtomicBool::new(false)));
    let answer = Answer::Held(Arc::clone(&is_open), ada().to_string());
    issuer.set(USERINFO, answer);
    (issuer, is_open)
}

/// A site that believes our word for addresses.
fn site(issuer: &Issuer) -> Site {
    crate::site(issuer, "timeout = \"60s\"").env("REMINT__SERVER__TRUSTED_PROXIES", "127.0.0.1")
}

fn from(server: &Server, address: &str, token: &str) -> Reply {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("connector_id", "idp"),
    ];
    server.form_with(&[("X-Forwarded-For", address)], &form)
}

/// Sends each of these pairs of address and token at once; gives their replies, and counts them in `answered`.
fn at_once(
    server: &Server,
    sent: Vec<(String, String)>,
    answered: &AtomicUsize,
    meanwhile: impl FnOnce(),
) -> Vec<Reply> {
    let one = |(address, token): (String, String)| {
        let reply = from(server, &address, &token);
        answered.fetch_add(1, Ordering::Relaxed);
        reply
    };
    thread::scope(|scope| {
        let sent: Vec<_> = sent
            .into_iter()
            .map(|pair| scope.spawn(move || one(pair)))
            .collect();
        meanwhile();
        sent.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[track_caller]
fn assert_busy(reply: &Reply) {
    let expected = refusal(503, "temporarily_unavailable", "userinfo_unavailable");
    assert_eq!(reply.refusal(), expected);
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[test]
fn sixty_four_tokens_are_asked_about_at_one_connector_and_no_more() {
    let (issuer, is_open) = held();
    let other = crate::issuer();
    let second = connector(&other.url, "subject_prefix = \"other:\"");
    let server = site(&issuer)
        .tables(&second.replace("\"idp\"", "\"other\""))
        .start();
    let sent = (0..64).map(|number| (format!("192.0.2.{}", number / 16), format!("t{number}")));
    let replies = at_once(&server, sent.collect(), &AtomicUsize::default(), || {
        until("64 wait", || issuer.hits(USERINFO) == 64);
        assert_busy(&exchange(&server, "one-more", &[]));
        assert_busy(&simple(&server, "one-more"));
        let reply = server.simple(&json!({"token": TOKEN, "connector_id": "other"}));
        assert_eq!(reply.status, 200, "another issuer does not wait");
        is_open.store(true, Ordering::Relaxed);
    });
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(issuer.hits(USERINFO), 64);
    assert_eq!(exchange(&server, "one-more", &[]).status, 200);
}

#[test]
fn a_flood_of_tokens_from_one_network_leaves_places_for_others() {
    for (flooding, other) in [
        (["192.0.2.1"; 2], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::ffff"], "2001:db8:0:1::1"),
    ] {
        let (issuer, is_open) = held();
        let server = site(&issuer).start();
        let [first, last] = flooding;
        let flood = (0..60).map(|number| (first.to_owned(), format!("junk{number}")));
        let answered = AtomicUsize::default();
        let replies = at_once(&server, flood.collect(), &answered, || {
            until("16 are asked about and the others refused", || {
                (issuer.hits(USERINFO), answered.load(Ordering::Relaxed)) == (16, 44)
            });
            assert_busy(&from(&server, last, "more-junk"));
            thread::scope(|scope| {
                let honest = scope.spawn(|| from(&server, other, TOKEN));
                until("the honest one is asked about", || {
                    issuer.hits(USERINFO) == 17
                });
                is_open.store(true, Ordering::Relaxed);
                assert_eq!(honest.join().unwrap().status, 200);
            });
        });
        let (asked, busy): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert_eq!(asked.len(), 16);
        busy.into_iter().for_each(assert_busy);
    }
}

#[test]
fn one_token_is_asked_about_once_at_a_time_and_some_may_wait_for_the_answer() {
    let (issuer, is_open) = held();
    let server = site(&issuer).start();
    let sent = vec![("192.0.2.1".to_owned(), TOKEN.to_owned()); 70];
    let answered = AtomicUsize::default();
    let replies = at_once(&server, sent, &answered, || {
        // One asks, and 64 wait for its answer.
        until("five are refused", || answered.load(Ordering::Relaxed) == 5);
        is_open.store(true, Ordering::Relaxed);
    });
    let (good, busy): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(good.len(), 65);
    busy.into_iter().for_each(assert_busy);
    assert_eq!(issuer.hits(USERINFO), 1);
}
