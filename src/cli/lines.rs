//! Lines on their way to standard error: a bounded buffer that one thread writes out in batches.
//!
//! One write for each line would cost more than an ES256 exchange's own work, so the thread gathers
//! for a moment first. Who logs never waits for the reader.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes wait for a slow reader before further lines are dropped.
const MOST_WAITING: usize = 8 * 1024 * 1024;
/// How long lines are gathered before they are written.
const GATHERING: Duration = Duration::from_millis(5);
/// How long the end waits for a reader to take the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A buffer that grew beyond this in a burst is given back.
const KEPT: usize = 64 * 1024;

/// Takes lines for the thread that writes them.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Writes out what is left when it is dropped.
pub(super) struct Rest(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Lines have come, or the end has.
    changed: Condvar,
    /// Everything is written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    ends: bool,
    ended: bool,
}

/// Starts the thread; `told` makes a line of how many were dropped.
pub(super) fn start(
    mut to: impl Write + Send + 'static,
    told: impl Fn(u64) -> String + Send + 'static,
) -> io::Result<(Lines, Rest)> {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        written: Condvar::new(),
    });
    let own = Arc::clone(&shared);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || own.write_out(&mut to, &told))?;
    Ok((Lines(Arc::clone(&shared)), Rest(shared)))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_out(&self, to: &mut impl Write, told: &impl Fn(u64) -> String) {
        let mut batch = Vec::new();
        loop {
            let idle = |state: &mut State| state.waiting.is_empty() && !state.ends;
            let state = self.changed.wait_while(self.lock(), idle);
            let ends = state.unwrap_or_else(PoisonError::into_inner).ends;
            if !ends {
                thread::sleep(GATHERING);
            }
            let mut state = self.lock();
            std::mem::swap(&mut state.waiting, &mut batch);
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            if dropped > 0 {
                batch.extend_from_slice(told(dropped).as_bytes());
                batch.push(b'\n');
            }
            let lost = write_whole(to, &batch);
            batch.clear();
            batch.shrink_to(KEPT);
            let mut state = self.lock();
            state.dropped += lost;
            if state.ends && state.waiting.is_empty() {
                state.ended = true;
                self.written.notify_all();
                return;
            }
        }
    }
}

/// Writes `batch`, waiting for a reader that is behind; gives how many lines were lost to an error.
fn write_whole(to: &mut impl Write, mut batch: &[u8]) -> u64 {
    while !batch.is_empty() {
        match to.write(batch) {
            Ok(written @ 1..) => batch = batch.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares standard error has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(GATHERING),
            Ok(_) | Err(_) => {
                let lost = batch.split(|byte| *byte == b'\n').count() - 1;
                // What is cut off must not run into the next line.
                let _ = to.write(b"\n");
                return u64::try_from(lost).unwrap_or(u64::MAX);
            }
        }
    }
    0
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.waiting.len() + line.len() > MOST_WAITING {
            state.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ends = true;
        self.0.changed.notify_one();
        let unfinished = |state: &mut State| !state.ended;
        let _ = self
            .0
            .written
            .wait_timeout_while(state, LAST_WORDS, unfinished);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes one write for each permit, and gives what it got.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_stalls_nobody_and_learns_what_it_missed() {
        let (permits, taken) = mpsc::channel();
        let (sent, seen) = mpsc::channel();
        let (mut lines, rest) =
            start(Slow(taken, sent), |count| format!("{count} dropped")).unwrap();
        let line = vec![b'x'; MOST_WAITING / 4];
        // One batch is with the reader, one fills the buffer: more than two never fit.
        for _ in 0..20 {
            lines.write_all(&line).unwrap();
        }
        drop(permits);
        drop(rest);
        let all: Vec<u8> = seen.iter().flatten().collect();
        let text = String::from_utf8(all).unwrap();
        let kept = text.matches('x').count() / line.len();
        assert!((4..=8).contains(&kept), "{kept}");
        assert!(
            text.ends_with(" dropped\n"),
            "{:?}",
            &text[text.len() - 20..]
        );
    }

    /// Answers the first writes with these errors or lengths, and takes the rest whole.
    struct Moody(Vec<io::Result<usize>>, Vec<u8>);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let most = if self.0.is_empty() {
                bytes.len()
            } else {
                self.0.remove(0)?
            };
            let taken = &bytes[..most.min(bytes.len())];
            self.1.extend_from_slice(taken);
            Ok(taken.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_is_full_loses_nothing_and_a_broken_one_says_how_much() {
        let mut to = Moody(
            vec![Ok(2), Err(io::ErrorKind::WouldBlock.into())],
            Vec::new(),
        );
        assert_eq!(write_whole(&mut to, b"one\ntwo\n"), 0);
        assert_eq!(to.1, b"one\ntwo\n");
        let mut to = Moody(
            vec![Ok(5), Err(io::ErrorKind::StorageFull.into())],
            Vec::new(),
        );
        assert_eq!(write_whole(&mut to, b"one\ntwo\nthree\n"), 2);
        assert_eq!(to.1, b"one\nt\n");
    }

    #[test]
    fn the_end_writes_everything() {
        let (sent, seen) = mpsc::channel();
        let (permits, taken) = mpsc::channel();
        drop(permits);
        let (mut lines, rest) = start(Slow(taken, sent), |_| String::new()).unwrap();
        for number in 0..100 {
            writeln!(lines, "{number}").unwrap();
        }
        drop(rest);
        let all: Vec<u8> = seen.iter().flatten().collect();
        assert_eq!(String::from_utf8(all).unwrap().lines().count(), 100);
    }
}
