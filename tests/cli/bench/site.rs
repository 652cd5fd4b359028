//! A folder with a configuration and keys, as an operator would have it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Finished, Running, remint, run, run_with};
use super::upstream::AUDIENCE;

pub(crate) const TARGET: &str = "https://sts.amazonaws.com";

/// A folder with `site.toml` and `jwks.json`.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// A site with this configuration, and with keys of both algorithms.
    pub(crate) fn new(config: &str) -> Self {
        let site = Self::without_keys(config);
        site.write("jwks.json", &keys().to_string());
        site.close("jwks.json");
        site
    }

    pub(crate) fn without_keys(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder };
        site.write("site.toml", config);
        site
    }

    /// A site whose one connector trusts `upstream`.
    pub(crate) fn trusting(upstream: &str) -> Self {
        Self::new(&config(
            "http://127.0.0.1:9",
            &connector("gitlab", upstream),
        ))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder().join(name)).unwrap()
    }

    /// Lets nobody but the owner read a file.
    pub(crate) fn close(&self, name: &str) {
        set_mode(&self.folder().join(name), 0o600);
    }

    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        run(self.folder(), args)
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Finished {
        run_with(self.folder(), args, input)
    }

    pub(crate) fn serve(self) -> Running {
        self.serve_with(&[], &[])
    }

    /// Serves with further arguments and variables; the folder lives as long as the process.
    pub(crate) fn serve_with(self, args: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = remint(self.folder(), &["serve"]);
        command.args(args).envs(environment.iter().copied());
        self.start(command)
    }

    /// Starts any command that serves this site.
    pub(crate) fn start(self, command: Command) -> Running {
        Running::start(command, self.folder)
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn config(issuer: &str, connectors: &str) -> String {
    format!("issuer = \"{issuer}\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n{connectors}")
}

pub(crate) fn connector(id: &str, issuer: &str) -> String {
    format!(
        r#"
[[connectors]]
id = "{id}"
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
allow = ["claims.namespace_path == 'acme'", "claims.ref_protected == 'true'"]
targets = ["{TARGET}", "https://vault.example.com"]
clone_claims = ["sub", "ref"]
[connectors.claims]
project = "claims.project_path"
"#
    )
}

/// One RS256 and one ES256 key, made once by the binary itself.
pub(crate) fn keys() -> &'static Value {
    static KEYS: OnceLock<Value> = OnceLock::new();
    KEYS.get_or_init(|| {
        let entries = [("RS256", "rsa-1"), ("ES256", "ec-1")].map(|(alg, kid)| generate(alg, kid));
        json!({ "keys": entries })
    })
}

/// A new entry of a key file.
pub(crate) fn generate(alg: &str, kid: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let args = ["keys", "generate", "--alg", alg, "--kid", kid];
    run(folder.path(), &args).exits(0);
    let text = fs::read_to_string(folder.path().join("jwks.json")).unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    set["keys"][0].clone()
}

/// Every private member of a JWKS, by name.
pub(crate) fn private_members(set: &Value) -> Vec<(String, String)> {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "k", "oth"];
    let keys = set["keys"].as_array().unwrap().iter();
    keys.flat_map(|key| key.as_object().unwrap())
        .filter(|(name, _)| PRIVATE.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}
