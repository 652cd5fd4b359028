//! The configuration: one file and the `REMINT__` environment, read whole, with everything wrong in it collected.

mod address;
mod client;
mod connector;
mod counterparts;
mod duplicates;
mod duration;
mod environment;
mod limits;
mod load;
mod places;
pub mod problems;
mod proxies;
mod replay;
mod secret;
mod section;
mod settings;
mod size;
mod tls;
mod unreadable;
mod validate;
mod value;

pub use address::{Address, SocketMode};
pub use client::Client;
pub use connector::{Connector, Rule};
pub(crate) use duration::parse as duration;
pub use environment::process_environment;
pub use limits::{LARGEST_BODY, Limits};
pub use load::{known_keys, load, load_toml};
pub use places::Place;
pub use proxies::{Proxies, ProxyHeader};
pub use replay::{Replay, ReplayMode, StoreUrl};
pub use secret::Secret;
pub use section::near;
pub use settings::{Issuer, Keys, Server, Settings, SubjectFormat, Tokens};
pub use tls::{ClientAuth, Tls};
pub(crate) use unreadable::explain as explain_unreadable;
