//! What happens while the upstream is down, slow or answers nonsense, and the upkeep in the background.

use remint::upstream::{KeysError, Location, SourceSpec, SourceState, UnavailableKind};

use super::issuer::{Issuer, Reply, jwks};
use super::*;

const FAILED: UnavailableKind = UnavailableKind::Failed;

#[tokio::test]
async fn a_cold_failure_backs_off_and_recovers() {
    let issuer = Issuer::with_keys(&["a"]).await;
    issuer.set("/keys", Reply::status(503));
    let bench = Bench::at(&issuer);
    for (attempt, wait) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        let refused = bench.find("a").await.unwrap_err();
        let (kind, seconds) = unavailable(&refused);
        // The jitter shortens a wait by at most a tenth.
        let expected = (wait * 9 / 10).max(1)..=wait;
        assert!(kind == FAILED && expected.contains(&seconds), "{seconds}");
        assert!(bench.find("a").await.is_err());
        assert_eq!(issuer.hits("/keys"), attempt + 1);
        bench.advance(wait);
    }
    issuer.set_keys(&["a"]);
    assert_eq!(bench.find("a").await, Ok(1));
    assert!(!bench.source.status().is_degraded());
}

#[tokio::test]
async fn an_unreachable_upstream_is_a_failure_and_a_slow_one_a_time_out() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", closed.local_addr().unwrap());
    drop(closed);
    let bench = Bench::new(&SourceSpec::new("x", Location::JwksUri(url)));
    assert_eq!(unavailable(&bench.find("a").await.unwrap_err()).0, FAILED);

    let issuer = Issuer::with_keys(&["a"]).await;
    issuer.hold();
    let mut slow = keys_at(&issuer);
    slow.timeout = Duration::from_millis(50);
    let bench = Bench::new(&slow);
    let refused = bench.find("a").await.unwrap_err();
    assert_eq!(unavailable(&refused), (UnavailableKind::TimedOut, 1));
    let refused = bench.find("a").await.unwrap_err();
    assert_eq!(unavailable(&refused), (UnavailableKind::TimedOut, 1));
    assert!(bench.source.status().last_error.unwrap().timed_out());
}

#[tokio::test]
async fn nonsense_never_replaces_good_keys() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 101].join(","));
    let large = format!("{}{}", jwks(&["b"]), " ".repeat(256 * 1024));
    for (reply, cause) in [
        (Reply::ok("{\"keys\":[{\"kty\""), "not JSON"),
        (Reply::ok("<html>Sign in</html>"), "HTML"),
        (Reply::ok(""), "it is empty"),
        (Reply::ok(r#"{"keys":[]}"#), "no usable key"),
        (
            Reply::ok(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#),
            "symmetric",
        ),
        (Reply::ok(many), "lists 101 keys"),
        (Reply::ok(large), "more than 256 KiB"),
        (Reply::status(404), "answered 404"),
        (
            Reply {
                status: 203,
                ..Reply::ok(jwks(&["b"]))
            },
            "answered 203",
        ),
    ] {
        issuer.set("/keys", reply);
        let error = bench.fetch_error().await.to_string();
        assert!(error.contains(cause), "{error}");
        assert!(error.contains(&issuer.keys_url()), "{error}");
        assert_eq!(bench.find("a").await, Ok(1));
    }
}

#[tokio::test]
async fn last_good_keys_serve_an_outage_for_a_day() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set("/keys", Reply::status(500));
    bench.advance(600);
    // No lookup of a known key waits, neither for the fetch that finds the outage nor for the retries.
    assert_eq!(bench.find("a").await, Ok(1));
    until("the first try ends", || bench.source.status().failed == 1).await;
    issuer.hold();
    bench.advance(1);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.release();
    until("the retry ends", || bench.source.status().failed == 2).await;
    let unknown = bench.find("x").await.unwrap_err();
    assert_eq!(unavailable(&unknown), (FAILED, 2));
    bench.advance(24 * 3600 - 602);
    assert_eq!(bench.find("a").await, Ok(1));
    until("the retry ends", || bench.source.status().failed == 3).await;
    let status = bench.source.status();
    assert!(matches!(status.state, SourceState::Stale { keys: 1, .. }));
    bench.advance(1);
    assert_eq!(unavailable(&bench.find("a").await.unwrap_err()).0, FAILED);
    assert_eq!(bench.source.status().state, SourceState::Failed);
    issuer.set_keys(&["a"]);
    bench.advance(60);
    assert_eq!(bench.find("a").await, Ok(1));
}

#[tokio::test]
async fn a_refetch_that_fails_for_an_unknown_kid_is_no_refusal() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let bench = Bench::at(&issuer);
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set("/keys", Reply::status(500));
    let refused = bench.find("b").await.unwrap_err();
    assert_eq!(unavailable(&refused), (FAILED, 1));
    assert_eq!(bench.find("a").await, Ok(1));
    issuer.set_keys(&["a", "b"]);
    bench.advance(1);
    assert_eq!(bench.find("b").await, Ok(1));
}

#[tokio::test]
async fn maintenance_warms_retries_and_refreshes_what_is_used() {
    let issuer = Issuer::with_keys(&["a"]).await;
    issuer.set("/keys", Reply::status(500));
    let bench = Bench::at(&issuer);
    assert_eq!(bench.source.status().state, SourceState::NeverFetched);
    let maintenance = bench.upstreams.start();
    until("it is warmed", || bench.source.status().failed == 1).await;
    assert_eq!(bench.source.status().state, SourceState::Failed);
    issuer.set_keys(&["a"]);
    bench.advance(1);
    until("it is retried", || bench.source.status().succeeded == 1).await;
    assert_eq!(bench.find("a").await, Ok(1));
    bench.advance(599);
    until("it is refreshed", || bench.source.status().succeeded == 2).await;
    maintenance.stop();
    let status = bench.source.status();
    assert!(
        matches!(status.state, SourceState::Fresh { keys: 1, .. }),
        "{status}"
    );
}

#[tokio::test]
async fn an_unused_source_rests_and_a_stopped_maintenance_too() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let idle = Bench::at(&issuer);
    let mut spec = keys_at(&issuer);
    spec.headers = vec![("x-used".to_owned(), "1".to_owned())];
    let mut bench = idle;
    let used = bench.upstreams.add("used", &spec).unwrap();
    let maintenance = bench.upstreams.start();
    until("both are warm", || {
        bench.source.status().succeeded == 1 && used.status().succeeded == 1
    })
    .await;
    assert!(used.find(Some("a"), ES256).await.is_ok());
    bench.advance(599);
    // Sources are looked at in order, so the idle one was passed over by then.
    until("the used one is refreshed", || used.status().succeeded == 2).await;
    assert_eq!(bench.source.status().succeeded, 1);
    drop(maintenance);
}

#[tokio::test]
async fn warming_fetches_eight_at_a_time() {
    let issuer = Issuer::with_keys(&["a"]).await;
    let mut bench = Bench::at(&issuer);
    for tenant in 0..19 {
        let mut spec = keys_at(&issuer);
        spec.headers = vec![("x-tenant".to_owned(), tenant.to_string())];
        bench.upstreams.add("more", &spec).unwrap();
    }
    issuer.hold();
    let _maintenance = bench.upstreams.start();
    until("eight have begun", || issuer.hits("/keys") == 8).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.hits("/keys"), 8);
    issuer.release();
    until("all are warm", || {
        let sources = bench.upstreams.sources();
        sources.iter().all(|source| source.status().succeeded == 1)
    })
    .await;
}

#[tokio::test]
async fn an_unknown_kid_of_a_down_issuer_is_unavailable() {
    let issuer = Issuer::with_keys(&["a"]).await;
    issuer.set("/keys", Reply::status(500));
    let bench = Bench::at(&issuer);
    let refused = bench.find("x").await.unwrap_err();
    assert!(!matches!(refused, KeysError::Unknown));
}
