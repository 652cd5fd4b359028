//! One fetch under way, awaited by any number of requests and cancelled by none of them.

use tokio::sync::watch;

use super::error::FetchError;

/// What a fetch came to: what it gave, or why it gave nothing.
pub(super) type Outcome<T> = Result<T, FetchError>;

/// The requests' end of a fetch.
#[derive(Clone, Debug)]
pub(super) struct Flight<T>(watch::Receiver<Option<Outcome<T>>>);

/// The fetch's own end.
#[derive(Debug)]
pub(super) struct Landing<T>(watch::Sender<Option<Outcome<T>>>);

/// Both ends of a fetch that begins now.
pub(super) fn take_off<T>() -> (Landing<T>, Flight<T>) {
    let (sender, receiver) = watch::channel(None);
    (Landing(sender), Flight(receiver))
}

impl<T: Clone> Flight<T> {
    /// Whether the fetch is still under way; one whose task died is not.
    pub(super) fn is_running(&self) -> bool {
        self.0.has_changed().is_ok() && self.0.borrow().is_none()
    }

    /// Waits for the outcome.
    pub(super) async fn landed(mut self) -> Outcome<T> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => (*outcome).clone().unwrap_or_else(|| Err(abandoned())),
            Err(_) => Err(abandoned()),
        }
    }
}

impl<T> Landing<T> {
    /// Gives everybody who waits the outcome.
    pub(super) fn land(self, outcome: Outcome<T>) {
        self.0.send_replace(Some(outcome));
    }
}

fn abandoned() -> FetchError {
    FetchError::failed("the fetch was abandoned")
}
