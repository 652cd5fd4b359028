//! HTTP: the routes, what they answer, and the accept loop. The only place that knows warp.

mod accept;
mod body;
mod documents;
mod issuers;
mod reply;
mod request_id;
mod routes;
mod sampled;
pub mod serve;
mod site;
mod token;

pub use issuers::Issuers;
pub use routes::routes;
pub use sampled::Sampled;
pub use site::{Health, Site};
