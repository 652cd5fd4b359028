//! A running server whose configuration the tests change.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::support::http::{self, Reply};
use super::support::keys::P256;
use super::support::server::{Server, Site};
use super::support::{shapes, tokens, until};

/// A server with an admin listener.
pub(crate) struct World {
    pub(crate) server: Server,
    admin: SocketAddr,
}

impl World {
    pub(crate) fn start(site: Site) -> Self {
        let server = site
            .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
            .start();
        let admin = server.logged("where the admin listener is", |line| {
            let words = line["message"].as_str()?;
            words.strip_prefix("admin on http://")?.parse().ok()
        });
        Self { server, admin }
    }

    /// Changes the configuration file in one step.
    pub(crate) fn edit(&self, change: impl FnOnce(String) -> String) {
        let old = fs::read_to_string(self.server.path().join("site.toml")).unwrap();
        self.write("site.toml", &change(old));
    }

    /// Replaces `old`, which the configuration has once, by `new`.
    pub(crate) fn replace(&self, old: &str, new: &str) {
        self.edit(|toml| {
            assert_eq!(toml.matches(old).count(), 1, "{old} in {toml}");
            toml.replace(old, new)
        });
    }

    /// Replaces a file in one step.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let new = self.server.path().join(format!("{name}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.server.path().join(name)).unwrap();
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        let id = self.server.id().to_string();
        let kill = Command::new("kill").args(["-HUP", &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Sends SIGHUP and waits until the server has read everything again; tells whether it took it.
    pub(crate) fn reload(&self) -> bool {
        let (succeeded, failed) = self.reloads();
        self.hang_up();
        until("the reload is over", || {
            self.reloads() != (succeeded, failed)
        });
        self.reloads().0 > succeeded
    }

    /// How many reloads there were: good ones and bad ones.
    pub(crate) fn reloads(&self) -> (u64, u64) {
        let of = |outcome: &str| {
            self.metric(&format!(
                "remint_config_reloads_total{{outcome=\"{outcome}\"}}"
            ))
            .unwrap()
        };
        (of("success"), of("failure"))
    }

    /// The value of a metric with all its labels.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let metrics = self.ask_admin("/metrics");
        let lines = metrics.text().lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        values.next()
    }

    fn ask_admin(&self, path: &str) -> Reply {
        http::send(self.admin, "GET", path, &[], b"")
    }

    /// The health for everybody.
    pub(crate) fn status(&self) -> String {
        let reply = self.server.get("/healthz");
        assert_eq!(reply.status, 200);
        reply.json()["status"].as_str().unwrap().to_owned()
    }

    /// The health for everybody, and its details on the admin listener; while nothing changes.
    pub(crate) fn health(&self) -> (String, Value) {
        let details = self.ask_admin("/healthz").json();
        assert_eq!(details["status"], self.status().as_str());
        (self.status(), details)
    }

    /// The claims that a token of the connector `id` becomes.
    pub(crate) fn claims(&self, id: &str) -> Value {
        self.server.claims(&job(id), &[])
    }

    pub(crate) fn path(&self) -> &Path {
        self.server.path()
    }
}

/// A token for the connector `id` of [`Site::connector`].
pub(crate) fn job(id: &str) -> String {
    token(&format!("https://{id}.example"))
}

/// A token of this issuer.
pub(crate) fn token(issuer: &str) -> String {
    tokens::token(&shapes::gitlab(issuer), &P256, "ES256", "e1")
}

/// Makes a key file with one ES256 key; gives its public set.
pub(crate) fn make_keys(file: &Path, kid: &str) -> Value {
    let remint = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        let output = command.args(arguments).arg("--file").arg(file).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    remint(&["keys", "generate", "--alg", "ES256", "--kid", kid]);
    serde_json::from_slice(&remint(&["keys", "public"])).unwrap()
}
