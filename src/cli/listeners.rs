//! The listeners that a configuration asks for, by what they are for.

use tokio::net::TcpListener;

use crate::config::{Address, Server, SocketMode};
use crate::http::serve::{BindError, Listener, bind, bind_unix};

/// Every open listener of one server; the files of unix sockets go when it is dropped.
pub(super) struct Listeners {
    pub(super) main: Vec<Listener>,
    pub(super) metadata: Vec<Listener>,
    pub(super) admin: Vec<Listener>,
}

impl Listeners {
    /// One main listener and no others.
    pub(super) fn only(main: TcpListener) -> Self {
        Self {
            main: vec![main.into()],
            metadata: Vec::new(),
            admin: Vec::new(),
        }
    }

    /// Opens all of them or none; an error begins with the key of the configuration.
    pub(super) async fn open(server: &Server) -> Result<Self, String> {
        let mode = server.socket_mode;
        let mut listeners = Self {
            main: Vec::new(),
            metadata: Vec::new(),
            admin: Vec::new(),
        };
        for (key, addresses, opened) in [
            ("listen", server.listen.as_slice(), &mut listeners.main),
            (
                "metadata_listen",
                &server.metadata_listen,
                &mut listeners.metadata,
            ),
            (
                "admin_listen",
                server.admin_listen.as_slice(),
                &mut listeners.admin,
            ),
        ] {
            for address in addresses {
                let listener = open(address, mode).await;
                opened.push(listener.map_err(|error| format!("server.{key}: {error}"))?);
            }
        }
        Ok(listeners)
    }

    /// Logs where each of them is.
    pub(super) fn announce(&self, issuer: &str) {
        for listener in &self.main {
            tracing::info!(issuer, "listening on {listener}");
        }
        for listener in &self.metadata {
            tracing::info!("metadata on {listener}");
        }
        for listener in &self.admin {
            tracing::info!("admin on {listener}");
        }
    }
}

async fn open(address: &Address, mode: SocketMode) -> Result<Listener, BindError> {
    match address {
        Address::Tcp(address) => bind(address).await.map(Listener::Tcp),
        Address::Unix(path) => bind_unix(path, mode.0).await.map(Listener::Unix),
    }
}
