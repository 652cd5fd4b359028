//! Finding a key while the upstream is well.

use std::sync::Arc;

use futures_util::future::join_all;
use remint::upstream::{KeysError, Location, SourceSpec, UnavailableKind};

use super::issuer::{Issuer, Reply, jwk, jwks};
use super::*;

#[tokio::test]
async fn lookups_share_one_fetch_and_at_most_64_wait() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    issuer.hold();
    let lookups: Vec<_> = (0..100)
        .map(|_| {
            let source = Arc::clone(&bench.source);
            tokio::spawn(async move { source.find(Some("a"), ES256).await })
        })
        .collect();
    until("36 are refused", || {
        lookups.iter().filter(|lookup| lookup.is_finished()).count() == 36
    })
    .await;
    issuer.release();
    let mut found = 0;
    for lookup in join_all(lookups).await {
        match lookup.unwrap() {
            Ok(keys) => found += keys.len(),
            Err(error) => assert_eq!(unavailable(&error), (UnavailableKind::Busy, 1)),
        }
    }
    assert_eq!((found, issuer.hits("/keys")), (64, 1));
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 1);
}

#[tokio::test]
async fn a_cancelled_request_does_not_cancel_the_fetch() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    issuer.hold();
    let source = Arc::clone(&bench.source);
    let lookup = tokio::spawn(async move { source.find(Some("a"), ES256).await });
    until("the fetch is under way", || issuer.hits("/keys") == 1).await;
    lookup.abort();
    assert!(lookup.await.unwrap_err().is_cancelled());
    issuer.release();
    until("the fetch ends", || bench.source.status().succeeded == 1).await;
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 1);
}

#[tokio::test]
async fn an_unknown_kid_refetches_once_per_30_seconds() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    // The first fetch does not count: the first unknown kid is looked for at once.
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    assert_eq!(issuer.hits("/keys"), 2);
    bench.advance(10);
    let cooling = bench.find("y").await.unwrap_err();
    assert_eq!(unavailable(&cooling), (UnavailableKind::Cooldown, 20));
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    issuer.set_keys(&["a", "y"]);
    bench.advance(20);
    assert_eq!(bench.find("y").await, Ok(1));
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    assert_eq!(issuer.hits("/keys"), 3);
}

#[tokio::test]
async fn a_refused_kid_is_remembered_for_a_minute() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    // Cold: the first fetch began after the kid was seen, so it decides.
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    bench.advance(59);
    issuer.set_keys(&["a", "x"]);
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    assert_eq!(issuer.hits("/keys"), 1);
    bench.advance(1);
    assert_eq!(bench.find("x").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 2);
}

#[tokio::test]
async fn a_kid_seen_in_the_cooldown_is_refused_by_any_later_fetch() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(bench.find("x").await, Err(KeysError::Unknown));
    let cooling = bench.find("y").await.unwrap_err();
    assert_eq!(unavailable(&cooling), (UnavailableKind::Cooldown, 30));
    assert_eq!(bench.source.fetch_now().await.unwrap(), 1);
    assert_eq!(bench.find("y").await, Err(KeysError::Unknown));
    let cooling = bench.find("z").await.unwrap_err();
    assert_eq!(unavailable(&cooling), (UnavailableKind::Cooldown, 30));
}

#[tokio::test]
async fn a_fetch_begun_before_the_kid_was_seen_does_not_refuse_it() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.hold();
    let source = Arc::clone(&bench.source);
    let first = tokio::spawn(async move { source.find(Some("x"), ES256).await.map(|_| ()) });
    until("the fetch is under way", || issuer.hits("/keys") == 2).await;
    let (second, ()) = tokio::join!(bench.find("y"), async { issuer.release() });
    assert_eq!(first.await.unwrap(), Err(KeysError::Unknown));
    let cooling = second.unwrap_err();
    assert_eq!(unavailable(&cooling), (UnavailableKind::Cooldown, 30));
    assert_eq!(issuer.hits("/keys"), 2);
}

#[tokio::test]
async fn a_flood_of_kids_fetches_once() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    for kid in 0..5_000 {
        assert!(bench.find(&format!("flood-{kid}")).await.is_err());
    }
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 2);
}

#[tokio::test]
async fn a_known_kid_of_another_algorithm_never_fetches() {
    let issuer = Issuer::with_keys(&["a", "b"]).await;
    let bench = Bench::at(&issuer);
    let rs256 = Algorithm::Rs256;
    for (kid, algorithm) in [(Some("a"), rs256), (None, ES256), (None, rs256)] {
        let refused = bench.source.find(kid, algorithm).await;
        assert_eq!(refused.map(|_| ()), Err(KeysError::NoFit));
    }
    assert_eq!(issuer.hits("/keys"), 1);
}

#[tokio::test]
async fn a_token_without_kid_takes_the_only_key() {
    let issuer = Issuer::with_keys(&[]).await;
    let body = format!(r#"{{"keys":[{},{{"kty":"AKP"}}]}}"#, jwk(None));
    issuer.set("/keys", Reply::ok(body));
    let bench = Bench::at(&issuer);
    assert_eq!(bench.source.find(None, ES256).await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_that_vanish_stop_working_at_once() {
    let issuer = Issuer::with_keys(&["a", "b"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set_keys(&["b"]);
    bench.source.fetch_now().await.unwrap();
    assert_eq!(bench.find("a").await, Err(KeysError::Unknown));
    assert_eq!(bench.find("b").await, Ok(1));
}

#[tokio::test]
async fn an_idle_source_answers_at_once_and_is_asked_again_behind_it() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set_keys(&["b"]);
    bench.advance(600);
    issuer.hold();
    // Known keys never wait for a fetch; the one that this lookup causes ends their time.
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.release();
    until("the fetch ends", || bench.source.status().succeeded == 2).await;
    // It is an unknown kid like any other now, so it is asked for once.
    assert_eq!(bench.find("a").await, Err(KeysError::Unknown));
    assert_eq!(issuer.hits("/keys"), 3);
}

#[tokio::test]
async fn a_source_in_use_is_refreshed_behind_its_lookups() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let reply = Reply::ok(jwks(&["a"])).with("Cache-Control", "public, max-age=100");
    issuer.set("/keys", reply);
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    bench.advance(71);
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 1);
    issuer.hold();
    // Past 80 % and its jitter, but fresh: the lookup does not wait for the fetch that it causes.
    bench.advance(18);
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.release();
    until("the refresh ends", || bench.source.status().succeeded == 2).await;
    assert_eq!(issuer.hits("/keys"), 2);
    bench.advance(70);
    assert_eq!(bench.find("a").await, Ok(1));
    assert_eq!(issuer.hits("/keys"), 2);
}

#[tokio::test]
async fn connectors_share_a_cache_only_with_the_same_rights() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let mut bench = Bench::at(&issuer);
    let same = bench.upstreams.add("ci-2", &keys_at(&issuer)).unwrap();
    assert!(Arc::ptr_eq(&same, &bench.source));
    assert_eq!(same.connectors(), ["ci", "ci-2"]);
    let mut other = keys_at(&issuer);
    other.headers = vec![("x-tenant".to_owned(), "2".to_owned())];
    let other = bench.upstreams.add("ci-3", &other).unwrap();
    assert!(!Arc::ptr_eq(&other, &bench.source));
    let discovery = SourceSpec::new(issuer.url.clone(), Location::Discovery);
    let discovery = bench.upstreams.add("ci-4", &discovery).unwrap();
    assert!(!Arc::ptr_eq(&discovery, &bench.source));
    assert_eq!(bench.upstreams.sources().len(), 3);
}
