//! The `remint` binary as a process: its arguments, what it says, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// The binary in `folder`, with none of this process's settings.
pub(crate) fn remint(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Finished {
    Finished::from(remint(folder, args).output().unwrap())
}

/// Runs it to its end with `input` on its standard input.
pub(crate) fn run_with(folder: &Path, args: &[&str], input: &str) -> Finished {
    let mut command = remint(folder, args);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A run that ends before it reads is part of what is tested.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Finished::from(child.wait_with_output().unwrap())
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Finished {
    /// It ended with this code, and not by panicking.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// What stands on standard error has all of `words`.
    pub(crate) fn complains(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:#?}");
        }
        self
    }
}

/// A stream of a running process, line by line.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Captured>, Condvar)>);

#[derive(Default)]
struct Captured {
    text: String,
    ended: bool,
}

impl Lines {
    /// The lines that `stream` gives from now on.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let captured = lines.clone();
        std::thread::spawn(move || {
            let (state, changed) = &*captured.0;
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line);
                state.lock().unwrap().text.push_str(&text);
                changed.notify_all();
                line.clear();
            }
            state.lock().unwrap().ended = true;
            changed.notify_all();
        });
        lines
    }

    /// What `find` finds in the text so far, as soon as it finds something.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let (state, changed) = &*self.0;
        let mut captured = state.lock().unwrap();
        loop {
            if let Some(found) = find(&captured.text) {
                return found;
            }
            assert!(!captured.ended, "never {what}: {}", captured.text);
            let (next, timeout) = changed.wait_timeout(captured, DEADLINE).unwrap();
            captured = next;
            assert!(!timeout.timed_out(), "never {what}: {}", captured.text);
        }
    }

    /// Waits for the first line that has `words`.
    pub(crate) fn line(&self, words: &str) -> String {
        self.wait(words, |text| {
            let mut lines = text.lines();
            lines.find(|line| line.contains(words)).map(str::to_owned)
        })
    }

    pub(crate) fn so_far(&self) -> String {
        self.0.0.lock().unwrap().text.clone()
    }

    fn to_end(&self) -> String {
        let (state, changed) = &*self.0;
        let captured = state.lock().unwrap();
        let (captured, timeout) = changed
            .wait_timeout_while(captured, DEADLINE, |captured| !captured.ended)
            .unwrap();
        assert!(!timeout.timed_out(), "never ends: {}", captured.text);
        captured.text.clone()
    }
}

/// A running `remint`; it is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

impl Running {
    /// Starts it; `folder` is what it runs in.
    pub(crate) fn start(mut command: Command, folder: TempDir) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdout: Lines::of(child.stdout.take().unwrap()),
            stderr: Lines::of(child.stderr.take().unwrap()),
            child,
            folder,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The origins that it listens on, once there are `count` of them.
    pub(crate) fn origins(&self, count: usize) -> Vec<String> {
        self.stderr.wait("listening", |text| {
            let found: Vec<_> = text
                .lines()
                .filter_map(|line| line.split_once("listening on "))
                .map(|(_, rest)| {
                    let end = rest.find(|c: char| c.is_whitespace() || c == '"');
                    rest[..end.unwrap_or(rest.len())].to_owned()
                })
                .collect();
            (found.len() >= count).then_some(found)
        })
    }

    pub(crate) fn origin(&self) -> String {
        self.origins(1).remove(0)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, with everything that it said.
    pub(crate) fn finish(mut self) -> Finished {
        // Both streams end with the process, and that wait has a deadline.
        let (stdout, stderr) = (self.stdout.to_end(), self.stderr.to_end());
        let status: ExitStatus = self.child.wait().unwrap();
        Finished {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(self) -> Finished {
        self.signal("-TERM");
        self.finish().exits(0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
