//! Upstream keys over real sockets: what is fetched and when, and what is answered meanwhile.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod fetching;
mod floods;
mod issuer;
mod lookups;
mod outages;
mod restarts;
mod state_dir;
mod trouble;
mod world;

use std::sync::Arc;
use std::time::Duration;

use remint::clock::{Clock, ManualClock};
use remint::jose::Algorithm;
use remint::upstream::{
    FetchError, KeySource, KeysError, Location, SourceSpec, UnavailableKind, Upstreams,
};

use issuer::Issuer;

const ES256: Algorithm = Algorithm::Es256;

/// One source under test, its upstreams, and the clock that moves them.
struct Bench {
    clock: Arc<ManualClock>,
    upstreams: Upstreams,
    source: Arc<KeySource>,
}

impl Bench {
    fn new(spec: &SourceSpec) -> Self {
        let clock = Arc::new(ManualClock::at(Duration::from_secs(1_800_000_000)));
        let mut upstreams = Upstreams::new(clock.clone());
        let source = upstreams.add("ci", spec).unwrap();
        Self {
            clock,
            upstreams,
            source,
        }
    }

    /// A source at the issuer's `/keys`.
    fn at(issuer: &Issuer) -> Self {
        Self::new(&keys_at(issuer))
    }

    /// Whether the kid is found, and how many keys have it.
    async fn find(&self, kid: &str) -> Result<usize, KeysError> {
        let found = self.source.find(Some(kid), ES256).await;
        found.map(|keys| keys.len())
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn fetch_error(&self) -> FetchError {
        self.source.fetch_now().await.unwrap_err()
    }
}

fn keys_at(issuer: &Issuer) -> SourceSpec {
    let location = Location::JwksUri(issuer.keys_url());
    SourceSpec::new("https://issuer.example", location)
}

/// Lets other tasks run until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let met = tokio::time::timeout(Duration::from_secs(20), met).await;
    assert!(met.is_ok(), "never: {what}");
}

/// The seconds to wait, rounded up, and why.
fn unavailable(error: &KeysError) -> (UnavailableKind, u64) {
    match error {
        KeysError::Unavailable { kind, retry_after } => {
            let rounded = retry_after.as_nanos().div_ceil(1_000_000_000);
            (*kind, u64::try_from(rounded).unwrap())
        }
        other => panic!("{other:?}"),
    }
}
