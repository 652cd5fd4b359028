//! One fetch under way, awaited by any number of requests and cancelled by none of them.

use tokio::sync::watch;

use super::error::FetchError;

/// What a fetch came to: how many keys it gave, or why it gave none.
pub(super) type Outcome = Result<usize, FetchError>;

/// The requests' end of a fetch.
#[derive(Clone, Debug)]
pub(super) struct Flight(watch::Receiver<Option<Outcome>>);

/// The fetch's own end.
#[derive(Debug)]
pub(super) struct Landing(watch::Sender<Option<Outcome>>);

/// Both ends of a fetch that begins now.
pub(super) fn take_off() -> (Landing, Flight) {
    let (sender, receiver) = watch::channel(None);
    (Landing(sender), Flight(receiver))
}

impl Flight {
    /// Whether the fetch is still under way; one whose task died is not.
    pub(super) fn is_running(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_none()
    }

    /// Waits for the outcome.
    pub(super) async fn landed(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => (*outcome).clone().unwrap_or_else(|| Err(abandoned())),
            Err(_) => Err(abandoned()),
        }
    }
}

impl Landing {
    /// Gives everybody who waits the outcome.
    pub(super) fn land(self, outcome: Outcome) {
        self.0.send_replace(Some(outcome));
    }
}

fn abandoned() -> FetchError {
    FetchError::failed("the fetch was abandoned")
}
