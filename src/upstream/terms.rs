//! What the connectors that share a source ask of it.

use std::time::Duration;

/// Of several connectors the shortest `max_age` and the longest `timeout` count.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) connectors: Vec<String>,
    /// How long fetched keys are fresh; `None` follows the response.
    pub(super) max_age: Option<Duration>,
    /// The time that one fetch may take in all.
    pub(super) timeout: Duration,
}

impl Terms {
    /// Adds what one more connector asks.
    pub(super) fn add(&mut self, connector: &str, max_age: Option<Duration>, timeout: Duration) {
        self.connectors.push(connector.to_owned());
        self.max_age = [self.max_age, max_age].into_iter().flatten().min();
        self.timeout = self.timeout.max(timeout);
    }

    /// The connectors in short, for a log line.
    pub(super) fn name(&self) -> String {
        match self.connectors.as_slice() {
            [first, second, third, .., _] => {
                let more = self.connectors.len() - 3;
                format!("{first}, {second}, {third} and {more} more")
            }
            few => few.join(", "),
        }
    }
}
