//! `/metrics`, for what counts elsewhere.

use std::fmt;

/// Gives the text of `/metrics` at each request, in the Prometheus text format; by default none.
#[derive(Default)]
pub struct Metrics(Option<Box<dyn Fn() -> String + Send + Sync>>);

impl Metrics {
    /// Metrics whose text `render` gives.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(render)))
    }

    pub(super) fn text(&self) -> String {
        self.0.as_ref().map(|render| render()).unwrap_or_default()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
