//! The real binary, started on free ports.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::REMINT;

/// The longest that a line may take to appear.
const DEADLINE: Duration = Duration::from_secs(60);

/// A `remint` that runs until it is dropped, and what it prints.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(super) fn start(command: &mut Command) -> Self {
        let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            // Reads on after the test has seen enough, so that no pipe fills up.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines }
    }

    /// The lines up to the first that holds `words`.
    pub(super) fn until(&self, words: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("{words:?} is not among {seen:#?}"));
            let found = line.contains(words);
            seen.push(line);
            if found {
                return seen;
            }
        }
    }
}

/// The demo on free ports: what it printed, its own origin, and the practice issuer's.
pub(super) fn demo() -> (Running, String, [String; 2]) {
    let mut command = Command::new(REMINT);
    let demo = Running::start(command.args(["demo", "--listen", "127.0.0.1:0"]));
    let printed = demo.until("Ctrl-C ends it").join("\n");
    let origins = printed.split("http://").skip(1).take(2);
    let origins = origins.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
        format!("http://{}", rest[..end.unwrap()].trim_end_matches('.'))
    });
    let origins: Vec<_> = origins.collect();
    (demo, printed, origins.try_into().unwrap())
}

/// `remint serve` on a free port, with a configuration of the README.
pub(super) fn serve(folder: &Path) -> (Running, String) {
    serve_with(folder, &[])
}

/// The same, with further arguments.
pub(super) fn serve_with(folder: &Path, arguments: &[&str]) -> (Running, String) {
    let mut command = serving(folder);
    command
        .args(arguments)
        .env("REMINT__SERVER__LISTEN", "127.0.0.1:0");
    let running = Running::start(&mut command);
    let line = running.until("listening on ").pop().unwrap();
    let origin = place(&line, "listening on ");
    (running, origin)
}

/// `remint serve` where the configuration says.
pub(super) fn serve_as_configured(folder: &Path) -> Running {
    let running = Running::start(&mut serving(folder));
    running.until("listening on ");
    running
}

fn serving(folder: &Path) -> Command {
    let mut command = Command::new(REMINT);
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("site.toml"))
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// What a line of the log says behind `words`: an address, up to a space or the end of its JSON string.
pub(super) fn place(line: &str, words: &str) -> String {
    let (_, rest) = line.split_once(words).unwrap();
    let end = rest.find(|c: char| c.is_whitespace() || c == '"');
    rest[..end.unwrap_or(rest.len())].to_owned()
}
