//! The configuration: one file and the `REMINT__` environment, read whole, with everything wrong in it collected.

mod address;
mod client;
mod connector;
mod duplicates;
mod duration;
mod environment;
mod load;
pub mod problems;
mod secret;
mod section;
mod settings;
mod validate;
mod value;

pub use address::{Address, SocketMode};
pub use client::Client;
pub use connector::{Connector, Rule};
pub use environment::process_environment;
pub use load::{known_keys, load, load_toml};
pub use secret::Secret;
pub use settings::{Issuer, Keys, Server, Settings, SubjectFormat, Tokens};
