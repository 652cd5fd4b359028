//! What the bare signature and verification cost: the limit that no server can pass.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::operations;
use super::process::Process;

/// The switch with which this program measures instead of driving.
pub(crate) const SWITCH: &str = "--probe";

/// A process that measures bare operations on the server's core, whenever it is asked.
pub(crate) struct Probe {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    _process: Process,
}

impl Probe {
    /// Starts this program again, by a command that puts it where the server runs.
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .arg(SWITCH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let questions = process.0.stdin.take().expect("its input");
        let mut answers = BufReader::new(process.0.stdout.take().expect("its output"));
        // It signs what it will verify, which must not disturb what is measured first.
        answers.read_line(&mut String::new()).expect("it is ready");
        Self {
            questions,
            answers,
            _process: process,
        }
    }

    /// Microseconds of processor time that `operations` take together, now.
    pub(crate) fn cost(&mut self, operations: &[String]) -> f64 {
        operations
            .iter()
            .map(|operation| {
                writeln!(self.questions, "{operation}").expect("the probe listens");
                let mut line = String::new();
                self.answers
                    .read_line(&mut line)
                    .expect("the probe answers");
                line.trim().parse::<f64>().expect("a number")
            })
            .sum()
    }
}

/// What the process started by [`Probe::start`] does: a line in, the cost of that operation out.
pub(crate) fn serve() {
    let mut operations = BTreeMap::from(operations::all());
    println!("ready");
    for line in std::io::stdin().lines() {
        let name = line.expect("a line");
        let operation = operations.get_mut(name.as_str());
        println!("{}", cost(operation.expect("a known operation")));
    }
}

/// Microseconds of processor time per call, so that what else runs on the core counts for little.
fn cost(operation: &mut impl FnMut()) -> f64 {
    const LENGTH: Duration = Duration::from_millis(40);
    let (began, used) = (Instant::now(), cpu_us());
    let mut calls = 0.0;
    while began.elapsed() < LENGTH {
        operation();
        calls += 1.0;
    }
    match (used, cpu_us()) {
        (Some(before), Some(after)) => (after - before) / calls,
        _ => began.elapsed().as_secs_f64() * 1e6 / calls,
    }
}

/// The processor time of this thread in microseconds, where the kernel counts it.
fn cpu_us() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e3)
}
