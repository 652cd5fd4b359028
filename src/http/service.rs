//! The routes as a tower service, so that any server of `http` requests can mount them.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::http::Request;
use warp::reply::Response;

use super::serve::{Progress, ToItsEnd};

/// Every route of an instance; cheap to clone. Requests keep their whole path: mount it without stripping a prefix.
///
/// A request that was read whole is decided on also when its future is dropped, as a task of the Tokio runtime.
///
/// A [`Peer`](super::serve::Peer) among the extensions of a request becomes the `remote` of its audit event.
#[derive(Clone)]
pub struct RouteService(BoxedFilter<(Response,)>);

impl RouteService {
    pub(crate) fn new(routes: BoxedFilter<(Response,)>) -> Self {
        Self(routes)
    }
}

impl fmt::Debug for RouteService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteService")
    }
}

impl<B> Service<Request<B>> for RouteService
where
    B: Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reading = Reading(Arc::new(AtomicBool::new(request.body().is_end_stream())));
        let request = request.map(|body| Exclusive {
            body: Mutex::new(Box::pin(body)),
            reading: reading.clone(),
        });
        let reply = ToItsEnd::new(warp::service(self.0.clone()).call(request), reading);
        Box::pin(async move { reply.await.0 })
    }
}

/// warp wants bodies that threads can share, which those of axum are not: behind `&mut` the lock costs nothing.
struct Exclusive<B> {
    body: Mutex<Pin<Box<B>>>,
    reading: Reading,
}

/// Whether a body was read to its end.
#[derive(Clone)]
struct Reading(Arc<AtomicBool>);

impl Progress for Reading {
    fn is_read(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn left(&self) {}
}

impl<B: Body> Body for Exclusive<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let body = this.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let frame = ready!(body.as_mut().poll_frame(context));
        if frame.is_none() || body.is_end_stream() {
            this.reading.0.store(true, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.size_hint()
    }
}
