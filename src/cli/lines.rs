//! Lines on their way to standard error: two bounded queues that one thread writes out in batches.
//!
//! Audit events have a queue of their own, so that no amount of other lines can push them out. One write for
//! each line would cost more than an ES256 exchange's own work, so the thread gathers for a moment first. Who
//! logs never waits for the reader.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::grant::Event;
use crate::http::{DroppedLines, Queue};

/// How many bytes of audit events wait for a slow reader before further ones are dropped.
const MOST_AUDIT: usize = 8 * 1024 * 1024;
/// How much of that refusals may take: the rest is for issuances.
const MOST_REFUSED: usize = MOST_AUDIT / 4 * 3;
/// How many bytes of other lines wait.
const MOST_LOG: usize = 4 * 1024 * 1024;
/// How much of the log is written before it is looked for audit events again.
const CHUNK: usize = 64 * 1024;
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
    dropped: DroppedLines,
    /// Lines have come, or the end has.
    changed: Condvar,
    /// Everything is written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    audit: Waiting,
    log: Waiting,
    ends: bool,
    ended: bool,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// How many were dropped since that was last said.
    dropped: u64,
}

/// What a line is, which decides how much room there is for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Issued,
    Refused,
    Other,
}

/// Starts the thread; `told` makes a line of how many were dropped, which `dropped` counts.
pub(super) fn start(
    to: impl Write + Send + 'static,
    dropped: DroppedLines,
    told: impl Fn(Queue, u64) -> String + Send + 'static,
) -> io::Result<(Lines, Rest)> {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        dropped,
        changed: Condvar::new(),
        written: Condvar::new(),
    });
    let mut writer = Writer {
        shared: Arc::clone(&shared),
        to,
        told,
        audit: Vec::new(),
        log: Vec::new(),
        log_written: 0,
    };
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || while writer.round() {})?;
    Ok((Lines(Arc::clone(&shared)), Rest(shared)))
}

impl Kind {
    fn of(metadata: &Metadata<'_>) -> Self {
        match (metadata.target(), metadata.name()) {
            ("audit", Event::ISSUED) => Self::Issued,
            ("audit", Event::REFUSED) => Self::Refused,
            _ => Self::Other,
        }
    }

    fn most(self) -> usize {
        match self {
            Self::Issued => MOST_AUDIT,
            Self::Refused => MOST_REFUSED,
            Self::Other => MOST_LOG,
        }
    }

    fn queue(self) -> Queue {
        match self {
            Self::Issued | Self::Refused => Queue::Audit,
            Self::Other => Queue::Log,
        }
    }
}

impl State {
    fn of(&mut self, queue: Queue) -> &mut Waiting {
        match queue {
            Queue::Audit => &mut self.audit,
            Queue::Log => &mut self.log,
        }
    }

    fn is_empty(&self) -> bool {
        self.audit.lines.is_empty() && self.log.lines.is_empty()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, kind: Kind, line: &[u8]) {
        let queue = kind.queue();
        let mut state = self.lock();
        let was_empty = state.is_empty();
        let waiting = state.of(queue);
        if waiting.lines.len() + line.len() > kind.most() {
            waiting.dropped += 1;
            self.dropped.count(queue, 1);
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
    }
}

/// The thread's own side: what it has taken from the queues and not written yet.
struct Writer<W, T> {
    shared: Arc<Shared>,
    to: W,
    told: T,
    audit: Vec<u8>,
    log: Vec<u8>,
    /// How much of `log` is written.
    log_written: usize,
}

impl<W: Write, T: Fn(Queue, u64) -> String> Writer<W, T> {
    /// Writes the audit events that wait, then a chunk of the other lines; false once everything is written and over.
    fn round(&mut self) -> bool {
        self.take();
        let lost = write_whole(&mut self.to, &self.audit);
        self.lose(Queue::Audit, lost);
        let rest = self.log.get(self.log_written..).unwrap_or_default();
        let (chunk, _) = rest.split_at(chunk_end(rest));
        let lost = write_whole(&mut self.to, chunk);
        self.log_written += chunk.len();
        self.lose(Queue::Log, lost);
        self.audit.clear();
        self.audit.shrink_to(KEPT);
        let is_written = self.log_written == self.log.len();
        if is_written {
            self.log.clear();
            self.log.shrink_to(KEPT);
            self.log_written = 0;
        }
        let mut state = self.shared.lock();
        if state.ends && is_written && state.is_empty() {
            state.ended = true;
            self.shared.written.notify_all();
        }
        !state.ended
    }

    /// Takes what waits; waits itself where there is nothing.
    fn take(&mut self) {
        let mut state = self.shared.lock();
        if self.log.is_empty() {
            let idle = |state: &mut State| state.is_empty() && !state.ends;
            let woken = self.shared.changed.wait_while(state, idle);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            if !state.ends {
                drop(state);
                thread::sleep(GATHERING);
                state = self.shared.lock();
            }
            std::mem::swap(&mut state.log.lines, &mut self.log);
        }
        std::mem::swap(&mut state.audit.lines, &mut self.audit);
        let dropped = Queue::ALL.map(|queue| (queue, std::mem::take(&mut state.of(queue).dropped)));
        drop(state);
        for (queue, count) in dropped {
            if count > 0 {
                self.audit
                    .extend_from_slice((self.told)(queue, count).as_bytes());
                self.audit.push(b'\n');
            }
        }
    }

    /// Notes lines that an error has cost, to be told once something can be written again.
    fn lose(&self, queue: Queue, lost: u64) {
        if lost > 0 {
            self.shared.dropped.count(queue, lost);
            self.shared.lock().of(queue).dropped += lost;
        }
    }
}

/// How much of `lines` is written at once: whole lines, one at least.
fn chunk_end(lines: &[u8]) -> usize {
    let Some(head) = lines.get(..CHUNK) else {
        return lines.len();
    };
    let end = memchr::memrchr(b'\n', head).or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines.len(), |end| end + 1)
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

/// Where one line goes.
pub(super) struct Line<'a>(&'a Shared, Kind);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(self.1, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0, Kind::Other)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line(&self.0, Kind::of(metadata))
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

    /// Lines to a reader that takes nothing until the permits are dropped, and what it has seen then.
    fn blocked() -> (
        Lines,
        Rest,
        DroppedLines,
        mpsc::Sender<()>,
        mpsc::Receiver<Vec<u8>>,
    ) {
        let (permits, taken) = mpsc::channel();
        let (sent, seen) = mpsc::channel();
        let dropped = DroppedLines::default();
        let told = |queue: Queue, count| format!("{count} of {} dropped", queue.name());
        let (lines, rest) = start(Slow(taken, sent), dropped.clone(), told).unwrap();
        (lines, rest, dropped, permits, seen)
    }

    #[test]
    fn a_slow_reader_stalls_nobody_and_learns_what_it_missed() {
        let (lines, rest, dropped, permits, seen) = blocked();
        let line = [vec![b'x'; MOST_LOG / 4], vec![b'\n']].concat();
        // One batch is with the reader, one fills the buffer: more than two never fit.
        for _ in 0..20 {
            lines.0.push(Kind::Other, &line);
        }
        drop(permits);
        drop(rest);
        let all: Vec<u8> = seen.iter().flatten().collect();
        let text = String::from_utf8(all).unwrap();
        let kept = text.matches('x').count() / (line.len() - 1);
        assert!((3..=8).contains(&kept), "{kept}");
        let gone = 20 - u64::try_from(kept).unwrap();
        assert!(text.contains(&format!("{gone} of log dropped\n")), "{gone}");
        assert_eq!([Queue::Audit, Queue::Log].map(|q| dropped.of(q)), [0, gone]);
    }

    #[test]
    fn nothing_displaces_issuances() {
        let (lines, rest, dropped, permits, seen) = blocked();
        let filler = [vec![b'x'; 1000], vec![b'\n']].concat();
        // Each kind is sent until there has been no more room for it for a long time.
        for kind in [Kind::Other, Kind::Refused] {
            for _ in 0..3 * MOST_AUDIT / filler.len() {
                lines.0.push(kind, &filler);
            }
        }
        let line = |number| format!("{number} {}\n", "issued".repeat(100));
        for number in 0..1000 {
            lines.0.push(Kind::Issued, line(number).as_bytes());
        }
        drop(permits);
        drop(rest);
        let all: Vec<u8> = seen.iter().flatten().collect();
        let text = String::from_utf8(all).unwrap();
        let lost = (0..1000).find(|number| !text.contains(&format!("\n{}", line(*number))));
        assert_eq!(lost, None);
        assert!(dropped.of(Queue::Audit) > 0 && dropped.of(Queue::Log) > 0);
    }

    #[test]
    fn the_log_is_written_in_chunks_of_whole_lines() {
        let line = [vec![b'x'; 99], vec![b'\n']].concat();
        let many = line.repeat(2 * CHUNK / line.len());
        assert_eq!(chunk_end(&many), CHUNK / line.len() * line.len());
        assert_eq!(chunk_end(&line), line.len());
        let long = [vec![b'x'; 2 * CHUNK], line.clone(), line].concat();
        assert_eq!(chunk_end(&long), 2 * CHUNK + 100);
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
        let (lines, rest, _, permits, seen) = blocked();
        drop(permits);
        for number in 0..100 {
            lines.0.push(Kind::Other, format!("{number}\n").as_bytes());
        }
        drop(rest);
        let all: Vec<u8> = seen.iter().flatten().collect();
        assert_eq!(String::from_utf8(all).unwrap().lines().count(), 100);
    }
}
