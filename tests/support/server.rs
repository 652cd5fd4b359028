//! The program itself: a folder with its configuration, the process, and what it logs.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;

use super::http::{self, Reply};
use super::keys::{P256, RSA, jwks};
use super::shapes::AUDIENCE;
use super::{PATIENCE, tokens};

/// A configuration in the making.
pub(crate) struct Site {
    issuer: String,
    keys: String,
    rest: String,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            issuer: "\"https://sts.example.com\"".to_owned(),
            keys: String::new(),
            rest: String::new(),
            files: vec![("ci.json".to_owned(), jwks(&[RSA.jwk("k1"), P256.jwk("e1")]))],
            environment: Vec::new(),
        }
    }

    pub(crate) fn issuer(mut self, issuer: &str) -> Self {
        self.issuer = format!("{issuer:?}");
        self
    }

    /// A list of issuers.
    pub(crate) fn issuers(mut self, issuers: &[&str]) -> Self {
        self.issuer = format!("{issuers:?}");
        self
    }

    /// Further lines of `[keys]`.
    pub(crate) fn keys(mut self, lines: &str) -> Self {
        self.keys = format!("{lines}\n");
        self
    }

    /// Whole tables.
    pub(crate) fn tables(mut self, text: &str) -> Self {
        self.rest = format!("{}{text}\n", self.rest);
        self
    }

    /// A file beside the configuration.
    pub(crate) fn file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// A variable in the program's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A client with this id.
    pub(crate) fn client(self, id: &str, lines: &str) -> Self {
        self.tables(&format!("[[clients]]\nid = \"{id}\"\n{lines}"))
    }

    /// A connector for `https://ID.example` whose keys are those of the file `ci.json` (`k1` is RSA, `e1` P-256).
    /// What `lines` do not say is filled in: it accepts every token for [`AUDIENCE`].
    pub(crate) fn connector(self, id: &str, lines: &str) -> Self {
        let own = lines.split("\n[").next().unwrap();
        let says = |key: &str| own.lines().any(|line| line.trim().starts_with(key));
        let mut head = format!("[[connectors]]\nid = \"{id}\"\n");
        for (key, default) in [
            ("issuer", format!("\"https://{id}.example\"")),
            ("jwks_", "\"ci.json\"".to_owned()),
            ("audiences", format!("[\"{AUDIENCE}\"]")),
            ("allow", "[\"true\"]".to_owned()),
        ] {
            if !says(key) {
                let key = if key == "jwks_" { "jwks_file" } else { key };
                writeln!(head, "{key} = {default}").unwrap();
            }
        }
        self.tables(&format!("{head}{lines}"))
    }

    /// Starts the program and waits until it listens.
    pub(crate) fn start(self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let own_keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("jwks.example.json");
        let config = format!(
            "issuer = {}\n[server]\nlisten = [\"127.0.0.1:0\"]\n[keys]\nfile = \"{}\"\n{}{}",
            self.issuer,
            own_keys.display(),
            self.keys,
            self.rest
        );
        for (name, content) in &self.files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let file = folder.path().join("site.toml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_remint"))
            .args(["--log-format", "json", "serve", "--config"])
            .arg(&file)
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::follow(child.stderr.take().unwrap());
        let address = log.find("the line that says where it listens", |line| {
            let words = line["message"].as_str()?;
            words.strip_prefix("listening on http://")?.parse().ok()
        });
        Server {
            child,
            address,
            log,
            folder,
            environment: self.environment,
        }
    }
}

/// The running program; dropping it ends the process and checks that nothing it logged holds a token.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Reply {
        http::send(self.address, method, path, headers, body.as_ref())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    pub(crate) fn post(&self, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        self.send("POST", "/token", &[("Content-Type", content_type)], body)
    }

    /// Posts a form.
    pub(crate) fn form(&self, pairs: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        self.post("application/x-www-form-urlencoded", form.finish())
    }

    /// Posts a form with further headers.
    pub(crate) fn form_with(&self, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs);
        let own = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", "/token", &[&own, headers].concat(), form.finish())
    }

    /// A token exchange (RFC 8693) with further parameters.
    pub(crate) fn exchange(&self, token: &str, further: &[(&str, &str)]) -> Reply {
        let own = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", JWT),
        ];
        self.form(&[&own, further].concat())
    }

    /// A simple exchange.
    pub(crate) fn simple(&self, body: &Value) -> Reply {
        self.post("application/json", body.to_string())
    }

    /// What `remint explain` says to `token` with the same configuration: its exit code and its report.
    pub(crate) fn explain(&self, args: &[&str], token: &str) -> (Option<i32>, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_remint"))
            .args(["explain", "--config"])
            .arg(self.path().join("site.toml"))
            .args(args)
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(token.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    }

    /// Everything that was logged so far.
    pub(crate) fn log(&self) -> String {
        let lines = self.log.lines.lock().unwrap();
        let text = |line: &Value| {
            line.as_str()
                .map_or_else(|| line.to_string(), str::to_owned)
        };
        lines.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    /// The claims of the token that an exchange gives.
    pub(crate) fn claims(&self, token: &str, further: &[(&str, &str)]) -> Value {
        self.read(&self.exchange(token, further)).1
    }

    /// Header and claims of the token in a reply.
    pub(crate) fn read(&self, reply: &Reply) -> (Value, Value) {
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("pragma"), Some("no-cache"));
        let jwks = self.get("/.well-known/jwks.json").json();
        if reply.header("content-type") == Some("application/jwt") {
            tokens::read(reply.text(), &jwks)
        } else {
            tokens::read(reply.json()["access_token"].as_str().unwrap(), &jwks)
        }
    }

    /// The audit event of the request with this reply.
    pub(crate) fn audit(&self, reply: &Reply) -> Value {
        let id = reply.header("x-request-id").unwrap().to_owned();
        self.log.find(&format!("the audit event of {id}"), |line| {
            (line["target"] == "audit" && line["request_id"] == id.as_str()).then(|| line.clone())
        })
    }

    /// How many audit events name this request.
    pub(crate) fn audits(&self, id: &str) -> usize {
        let lines = self.log.lines.lock().unwrap();
        let its = |line: &&Value| line["target"] == "audit" && line["request_id"] == id;
        lines.iter().filter(its).count()
    }

    /// Waits for a log line that `pick` takes.
    pub(crate) fn logged<T>(&self, what: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        self.log.find(what, pick)
    }

    /// Both ways in refuse `token` for `reason`; gives the description, the same in both.
    pub(crate) fn refuses(&self, token: &str, reason: &str) -> String {
        let form = self.exchange(token, &[]);
        let expected = |status, error: &str| (status, error.to_owned(), reason.to_owned());
        let what = form.text();
        assert_eq!(form.refusal(), expected(400, "invalid_request"), "{what}");
        let simple = self.simple(&serde_json::json!({ "token": token }));
        assert_eq!(simple.refusal(), expected(403, "access_denied"), "{what}");
        assert_eq!(form.description(), simple.description());
        for (reply, grant) in [(&form, "token-exchange"), (&simple, "simple")] {
            let event = self.audit(reply);
            assert_eq!(event["outcome"], "refused", "{event}");
            assert_eq!(event["reason"], reason, "{event}");
            assert_eq!(event["grant"], grant, "{event}");
        }
        form.description()
    }
}

/// `grant_type` of a token exchange.
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The token type of any JWT.
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            for line in self.log.lines.lock().unwrap().iter() {
                assert!(!line.to_string().contains("eyJ"), "a token in {line}");
                assert_ne!(line["reason"], "internal", "{line}");
            }
        }
    }
}

/// The lines that the program has logged, those that are not JSON as strings.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Value>>,
    more: Condvar,
}

impl Log {
    fn follow(stderr: ChildStderr) -> Arc<Self> {
        let log = Arc::<Self>::default();
        let filled = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                filled.lines.lock().unwrap().push(value);
                filled.more.notify_all();
            }
        });
        log
    }

    /// The first line that `pick` takes, waiting for it.
    fn find<T>(&self, what: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        let mut found = None;
        let lines = self.lines.lock().unwrap();
        let (lines, _) = self
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| {
                found = lines.iter().find_map(&pick);
                found.is_none()
            })
            .unwrap();
        found.unwrap_or_else(|| panic!("never logged: {what}; logged: {lines:#?}"))
    }
}
