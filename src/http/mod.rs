//! HTTP: the routes, what they answer, and the accept loop. The only place that knows warp.

mod accept;
mod body;
mod connections;
mod current;
mod documents;
mod forwarded;
mod guards;
mod health;
mod issuers;
mod lasting;
mod metrics;
mod reloads;
mod reply;
mod request_id;
mod routes;
mod sampled;
pub mod serve;
mod service;
mod site;
mod standing;
mod token;

pub use connections::Connections;
pub use current::Current;
pub use documents::{MAX_AGE, Public};
pub use forwarded::Remote;
pub use guards::Guards;
pub use issuers::{Issuers, Published};
pub use lasting::Lasting;
pub use metrics::Metrics;
pub use reloads::{Rejected, Reloads};
pub use routes::{Role, routes};
pub use sampled::Sampled;
pub use service::RouteService;
pub use site::{Health, Site};
pub use standing::Standing;
