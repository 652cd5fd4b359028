//! Remint: a token-exchange service (STS) for machines.
//!
//! A workload hands over the token that it already holds; Remint verifies it against that issuer's
//! keys, applies the operator's rules, and mints a new token signed with its own.
//!
//! # Inside another program
//!
//! A configuration and the bytes of a key file become an [`app::App`]: its routes as a warp filter
//! ([`app::App::routes`]) or as a tower service ([`app::App::service`]), and one background task that keeps the
//! keys of the trusted issuers fresh ([`app::App::start`]). Nothing is global: several instances live side by side,
//! no signal is handled, and no logger is set. Audit events are `tracing` events of the target `audit`, so they are
//! written only if the program has a subscriber that takes them.
//!
//! Requests keep their whole path, so the path of the issuer says where the routes belong. `examples/embed.rs`
//! mounts them on a server beside other routes.
//!
//! ```
//! use remint::app::{App, Surroundings};
//! use remint::config::{self, problems::Problems};
//! use remint::jose::{PrivateJwk, SigningAlgorithm};
//! use tower_service::Service;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `config::load` reads a file instead.
//! let site = r#"
//!     issuer = "https://tools.example.com/sts"
//!     [[connectors]]
//!     id = "gitlab"
//!     issuer = "https://gitlab.example.com"
//!     jwks_file = "gitlab-keys.json"
//!     audiences = ["https://tools.example.com"]
//!     allow = ["claims.namespace_path == 'acme'"]
//!     targets = ["https://internal.example.com"]
//! "#;
//! // A program that runs more than once keeps its keys in a file, as `remint keys generate` makes it.
//! let key = PrivateJwk::generate(SigningAlgorithm::Es256, None)?;
//! let keys = serde_json::json!({ "keys": [key.to_json()] }).to_string();
//!
//! let mut problems = Problems::new();
//! let app = config::load_toml(site, &mut problems).and_then(|settings| {
//!     let machine = Surroundings::machine();
//!     App::build(&settings, Some(keys.as_bytes()), &machine, &mut problems)
//! });
//! for problem in problems.iter() {
//!     println!("{problem}");
//! }
//! let app = app.ok_or("the configuration has errors")?;
//!
//! let background = app.start();
//! let request = http::Request::get("/sts/.well-known/jwks.json").body(String::new())?;
//! let reply = app.service().call(request).await?;
//! assert_eq!(reply.status(), 200);
//! background.stop();
//! # Ok(())
//! # }
//! ```

pub mod app;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod grant;
pub mod http;
pub mod jose;
mod keyfile;
pub mod limits;
pub mod oauth;
pub mod policy;
pub mod random;
pub mod replay;
pub mod upstream;
pub mod version;
