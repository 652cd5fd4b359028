//! The routes as a tower service, so that any server of `http` requests can mount them.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::http::Request;
use warp::reply::Response;

/// Every route of an instance; cheap to clone. Requests keep their whole path: mount it without stripping a prefix.
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
        let request = request.map(|body| Exclusive(Mutex::new(Box::pin(body))));
        Box::pin(warp::service(self.0.clone()).call(request))
    }
}

/// warp wants bodies that threads can share, which those of axum are not: behind `&mut` the lock costs nothing.
struct Exclusive<B>(Mutex<Pin<Box<B>>>);

impl<B: Body> Body for Exclusive<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        body.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.size_hint()
    }
}
