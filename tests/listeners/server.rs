//! The program under test: its folder, its process, and a client for any of its listeners.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use remint::clock::{Clock as _, SystemClock};
use serde_json::Value;

/// The longest that anything which should happen is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and keys.
pub(crate) struct Site(tempfile::TempDir);

impl Site {
    /// A site with these lines under `[server]`, one connector whose keys are here, and keys to sign.
    pub(crate) fn new(server: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        for alg in ["RS256", "ES256"] {
            let keys = ["keys", "generate", "--alg", alg, "--kid", alg];
            let made = site.remint(&keys).output().unwrap();
            assert!(made.status.success(), "{}", text(&made.stderr));
        }
        let public = site.remint(&["keys", "public"]).output().unwrap();
        fs::write(site.path("issuer.json"), public.stdout).unwrap();
        site.configure(server, "jwks_file = \"issuer.json\"");
        site
    }

    /// Writes the configuration; `keys` says where those of the connector are.
    pub(crate) fn configure(&self, server: &str, keys: &str) {
        let toml = format!(
            r#"
issuer = "https://sts.example.com/dex"
[server]
{server}
[[connectors]]
id = "gitlab"
issuer = "https://gitlab.example.com"
{keys}
audiences = ["https://sts.example.com"]
allow = ["true"]
targets = ["https://internal.example.com"]
"#
        );
        fs::write(self.path("site.toml"), toml).unwrap();
    }

    /// Changes the configuration: the issuer is that of each request.
    pub(crate) fn issue_from_request(&self) {
        let toml = fs::read_to_string(self.path("site.toml")).unwrap();
        let toml = toml.replace("https://sts.example.com/dex", "from-request");
        fs::write(self.path("site.toml"), toml).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where a socket of this name is, as an address.
    pub(crate) fn unix(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program in this folder.
    pub(crate) fn remint(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null());
        command
    }

    /// What `serve` says when it must not start.
    pub(crate) fn refuses_to_serve(&self) -> String {
        let Output { status, stderr, .. } = self.remint(&["serve"]).output().unwrap();
        assert_eq!(status.code(), Some(1), "{}", text(&stderr));
        text(&stderr)
    }
}

/// A `remint serve` that runs until it is stopped or dropped.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    started: Vec<String>,
}

impl Server {
    /// Starts it and waits until it serves and has looked for the keys of its connector.
    pub(crate) fn start(site: &Site) -> Self {
        Self::of(site.remint(&["serve"]))
    }

    pub(crate) fn of(command: Command) -> Self {
        Self::spawn(command, |line| line)
    }

    /// One that logs JSON: where it listens is read all the same.
    pub(crate) fn of_json(command: Command) -> Self {
        Self::spawn(command, |line| {
            let spaced = |word: &str| format!(" {word} on ");
            match line.split_once("\"message\":\"") {
                Some((_, message)) if message.starts_with("listening on ") => message
                    .replace("listening on ", &spaced("listening"))
                    .replace('"', " "),
                Some((_, message)) if message.starts_with("keys: ") => format!(" {message}"),
                _ => line,
            }
        })
    }

    fn spawn(mut command: Command, read: impl Fn(String) -> String + Send + 'static) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(&mut child, read);
        let mut server = Self {
            child,
            lines,
            started: Vec::new(),
        };
        server.started = server.until(" keys: ");
        server
    }

    /// The log lines up to the first with `words`.
    pub(crate) fn until(&self, words: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        while !seen.last().is_some_and(|line| line.contains(words)) {
            let line = self.lines.recv_timeout(PATIENCE);
            seen.push(line.unwrap_or_else(|_| panic!("no {words:?} in {seen:#?}")));
        }
        seen
    }

    /// Where it says that it listens, such as `on("admin on ")`.
    pub(crate) fn on(&self, words: &str) -> Vec<String> {
        let found = self
            .started
            .iter()
            .filter_map(|line| line.split_once(words));
        let address = |(_, rest): (_, &str)| rest.split_whitespace().next().unwrap().to_owned();
        found.map(address).collect()
    }

    pub(crate) fn main(&self) -> String {
        self.on(" listening on ").remove(0)
    }

    pub(crate) fn metadata(&self) -> String {
        self.on(" metadata on ").remove(0)
    }

    pub(crate) fn admin(&self) -> String {
        self.on(" admin on ").remove(0)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args([signal, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Ends it without a chance to tidy up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// A `remint serve` that may or may not get as far as serving.
pub(crate) struct Starting {
    child: Child,
    lines: Receiver<String>,
}

impl Starting {
    /// Starts the process and waits for nothing.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(&mut child, |line| line);
        Self { child, lines }
    }

    /// The server once it listens, or what it said when it ended instead.
    pub(crate) fn outcome(mut self) -> Result<Server, String> {
        let mut started: Vec<String> = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            let listens = line.contains(" listening on ");
            started.push(line);
            if listens {
                return Ok(Server {
                    child: self.child,
                    lines: self.lines,
                    started,
                });
            }
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(1), "{started:?}");
        Err(started.join("\n"))
    }
}

/// The lines that `child` writes to its standard error, as `read` takes them.
fn lines_of(
    child: &mut Child,
    read: impl Fn(String) -> String + Send + 'static,
) -> Receiver<String> {
    let (sender, lines) = channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    // Reads on after the test has seen enough, so that the pipe never fills up.
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = sender.send(read(line));
        }
    });
    lines
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client's end of either transport.
pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Connects to `http://host:port` or `unix:path`.
pub(crate) fn connect(address: &str) -> std::io::Result<Box<dyn Stream>> {
    if let Some(path) = address.strip_prefix("unix:") {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        return Ok(Box::new(stream));
    }
    let stream = TcpStream::connect(address.strip_prefix("http://").unwrap())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

/// The reply to one request without a body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }
}

pub(crate) fn ask(address: &str, method: &str, path: &str) -> Reply {
    let mut stream = connect(address).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\nx-request-id: same\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    Reply::parse(&reply)
}

pub(crate) fn get(address: &str, path: &str) -> Reply {
    ask(address, "GET", path)
}

/// A program that is not Remint: it takes each request and answers `reply`.
pub(crate) fn stranger(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    address
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = SystemClock::new();
    let end = clock.monotonic() + PATIENCE;
    while !condition() {
        assert!(clock.monotonic() < end, "never: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
