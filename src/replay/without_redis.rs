//! What stands in the place of the store where it is not compiled in.

use std::convert::Infallible;
use std::time::Duration;

use super::{Answer, Uses};
use crate::config::StoreUrl;

/// A store that there is none of.
pub(super) struct Redis(Infallible);

impl Redis {
    pub(super) fn new(_: &StoreUrl) -> Result<Self, String> {
        Err("this remint was built without the cargo feature `redis`: build it with `cargo build --release --features redis`, or leave the key out and used tokens are remembered in the memory of this process".to_owned())
    }

    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub(super) async fn record(&self, _: &Uses, _: Duration, _: Duration) -> Answer {
        match self.0 {}
    }
}
