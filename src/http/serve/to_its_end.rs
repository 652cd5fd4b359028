//! Work on a request goes on once the request was read whole, also when nobody waits for the reply any more: a token
//! that can be used once may be spent by then, or a secret guessed, and both belong in the audit log.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;

/// What is known of a request apart from the work on it. It counts as open for as long as this lives.
pub(in crate::http) trait Progress: Send + Unpin + 'static {
    /// Whether the work waits for no more of the request.
    fn is_read(&self) -> bool;

    /// Its client has left, and the work goes on.
    fn left(&self);
}

/// Work on a request, and then the two together. Dropped before its end, work on a request that was read whole goes on
/// as a task; there it takes a Tokio runtime.
pub(in crate::http) struct ToItsEnd<W, P>
where
    W: Future + Send + 'static,
    P: Progress,
{
    unfinished: Option<(Pin<Box<W>>, P)>,
}

impl<W, P> ToItsEnd<W, P>
where
    W: Future + Send + 'static,
    P: Progress,
{
    pub(in crate::http) fn new(work: W, request: P) -> Self {
        Self {
            unfinished: Some((Box::pin(work), request)),
        }
    }
}

impl<W, P> Future for ToItsEnd<W, P>
where
    W: Future + Send + 'static,
    P: Progress,
{
    type Output = (W::Output, P);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((work, _)) = &mut self.unfinished else {
            return Poll::Pending;
        };
        let done = ready!(work.as_mut().poll(cx));
        match self.unfinished.take() {
            Some((_, request)) => Poll::Ready((done, request)),
            None => Poll::Pending,
        }
    }
}

impl<W, P> Drop for ToItsEnd<W, P>
where
    W: Future + Send + 'static,
    P: Progress,
{
    fn drop(&mut self) {
        let Some((work, request)) = self.unfinished.take() else {
            return;
        };
        if let (true, Ok(runtime)) = (request.is_read(), Handle::try_current()) {
            request.left();
            runtime.spawn(async move {
                work.await;
                drop(request);
            });
        }
    }
}
