//! The listeners that a configuration asks for, by what they are for.

use std::sync::Arc;

use tokio::net::TcpListener;

use super::activation::{self, Passed, Socket, Use};
use crate::config::{Address, Server, SocketMode};
use crate::http::serve::{BindError, ClientCertificates, Listener, Tls, bind, bind_unix};

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
    ///
    /// Where `passed` has sockets for a key, they take the place of its addresses.
    pub(super) async fn open(
        server: &Server,
        tls: Option<&Arc<Tls>>,
        passed: Vec<(Option<Use>, Passed)>,
    ) -> Result<Self, String> {
        let mut listeners = Self {
            main: Vec::new(),
            metadata: Vec::new(),
            admin: Vec::new(),
        };
        let passed = activation::name(passed, tls.is_some())?;
        let given: Vec<_> = passed.iter().map(|(purpose, _)| *purpose).collect();
        for (purpose, socket) in passed {
            let socket = socket
                .open()
                .map_err(|error| format!("a socket that was passed cannot be used: {error}"))?;
            let listener = adopt(purpose, socket, tls)?;
            listeners.of(purpose).push(listener);
        }
        for (key, purpose, addresses) in configured(server) {
            if given.contains(&purpose) {
                continue;
            }
            for address in addresses {
                let opened = open(address, server.socket_mode).await;
                let socket = opened.map_err(|error| format!("server.{key}: {error}"))?;
                let listener = adopt(purpose, socket, tls)?;
                listeners.of(purpose).push(listener);
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

    fn of(&mut self, purpose: Use) -> &mut Vec<Listener> {
        match purpose {
            Use::Main | Use::Tls => &mut self.main,
            Use::Metadata | Use::TlsMetadata => &mut self.metadata,
            Use::Admin => &mut self.admin,
        }
    }
}

/// The addresses of each key under `[server]`.
fn configured(server: &Server) -> [(&'static str, Use, &[Address]); 5] {
    let tls = server.tls.as_ref();
    let [main, metadata] = tls.map_or([&[][..], &[]], |tls| [&tls.listen, &tls.metadata_listen]);
    [
        ("listen", Use::Main, &server.listen),
        ("metadata_listen", Use::Metadata, &server.metadata_listen),
        ("admin_listen", Use::Admin, server.admin_listen.as_slice()),
        ("tls.listen", Use::Tls, main),
        ("tls.metadata_listen", Use::TlsMetadata, metadata),
    ]
}

/// A listener of an open socket, with the TLS that its use asks for.
fn adopt(purpose: Use, socket: Socket, tls: Option<&Arc<Tls>>) -> Result<Listener, String> {
    let clients = match purpose {
        Use::Tls => ClientCertificates::Asked,
        Use::TlsMetadata => ClientCertificates::NotAsked,
        Use::Main | Use::Metadata | Use::Admin => {
            return Ok(match socket {
                Socket::Tcp(listener) => listener.into(),
                Socket::Unix(listener) => listener,
            });
        }
    };
    match (socket, tls) {
        (Socket::Tcp(listener), Some(tls)) => Ok(Listener::Tls(listener, Arc::clone(tls), clients)),
        (Socket::Unix(_), _) => Err(
            "a unix socket is passed for TLS: pass one of TCP, or name it `main` or `metadata`"
                .to_owned(),
        ),
        (_, None) => Err(
            "a socket is passed for TLS, and there is no [server.tls] with cert_file and key_file: write it"
                .to_owned(),
        ),
    }
}

async fn open(address: &Address, mode: SocketMode) -> Result<Socket, BindError> {
    match address {
        Address::Tcp(address) => bind(address).await.map(Socket::Tcp),
        Address::Unix(path) => {
            let socket = bind_unix(path, mode.0).await?;
            Ok(Socket::Unix(Listener::Unix(socket)))
        }
    }
}
