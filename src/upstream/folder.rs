//! The folder of kept keys on disk. Whoever can put a file of ours there can mint tokens, so the files are looked at.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, OFlags};
use rustix::io::Errno;

use crate::config::explain_unreadable;

use super::record::{LARGEST_FILE, LARGEST_HEAD, is_spent};

/// How the names of our files end, behind 64 hexadecimal digits.
const SUFFIX: &str = ".keys";

/// How the names of files begin and end that are being written.
const UNFINISHED: (&str, &str) = (".remint-", ".tmp");

/// How long a file may be unfinished before it counts as left behind.
const LONGEST_WRITE: Duration = Duration::from_secs(60 * 60);

/// The most entries of the folder that one sweep looks at.
const MOST_ENTRIES: usize = 100_000;

/// What is wrong with the folder itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderProblem {
    /// It can never work.
    Error(String),
    /// It does not work now, or not well.
    Warning(String),
}

/// Where kept keys lie, one file for each source.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Whether files lie in `folder`.
    pub(super) fn is(&self, folder: &Path) -> bool {
        self.0 == folder
    }

    /// The file of a source, by the digest of the source.
    pub(super) fn path(&self, source: &str) -> PathBuf {
        self.0.join(format!("{source}{SUFFIX}"))
    }

    /// What an operator should know before anything is kept; nothing is written.
    pub(super) fn problem(&self) -> Option<FolderProblem> {
        const LOST: &str = "until then no upstream keys survive a restart";
        let name = self.0.display();
        let metadata = match fs::metadata(&self.0) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Of a file in it, since the folder itself is what is missing.
                let missing = explain_unreadable(&self.path("keys"), &error);
                return Some(FolderProblem::Warning(format!(
                    "{missing}: create it for the user that runs Remint, with mode 0700; {LOST}"
                )));
            }
            Err(error) => {
                return Some(FolderProblem::Warning(format!(
                    "{name} cannot be looked at ({error}): let the user that runs Remint write there; {LOST}"
                )));
            }
        };
        if !metadata.is_dir() {
            return Some(FolderProblem::Error(format!(
                "{name} is not a folder: name one in which Remint can keep files"
            )));
        }
        if let Err(error) = rustix::fs::access(&self.0, Access::WRITE_OK | Access::EXEC_OK) {
            return Some(FolderProblem::Warning(format!(
                "{name} cannot be written to by this user ({error}): let the user that runs Remint write there; {LOST}"
            )));
        }
        (metadata.permissions().mode() & 0o022 != 0).then(|| {
            FolderProblem::Warning(format!(
                "others on this machine can write to {name}, and so take kept keys away or bring older ones back: run `chmod 0700 {name}`"
            ))
        })
    }

    /// The bytes of a source's file; `None` where there is none, an error in words where it is not to be trusted.
    pub(super) fn read(&self, source: &str) -> Result<Option<Vec<u8>>, String> {
        match read_own(&self.path(source), LARGEST_FILE) {
            Ok((bytes, whole)) if whole => Ok(Some(bytes)),
            Ok(_) => Err(format!("it holds more than {} KiB", LARGEST_FILE / 1024)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Replaces a source's file as a whole, with mode 0600.
    pub(super) fn write(&self, source: &str, bytes: &[u8]) -> io::Result<()> {
        let (prefix, suffix) = UNFINISHED;
        let mut file = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(suffix)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.0)?;
        file.write_all(bytes)?;
        // Without it, a power cut could leave the new name on an empty file.
        file.as_file().sync_all()?;
        file.persist(self.path(source))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes files of ours that are of no use any more at `now` (Unix time): those of sources that are not among
    /// `configured` and too old for any use, and those that an interruption left unfinished. Gives how many.
    pub(super) fn sweep(&self, configured: &HashSet<String>, now: Duration) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.0)?.take(MOST_ENTRIES) {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                continue;
            };
            let useless = if let Some(source) = source_of(name) {
                !configured.contains(source)
                    && read_own(&entry.path(), LARGEST_HEAD)
                        .is_ok_and(|(bytes, _)| is_spent(&bytes, now))
            } else {
                is_unfinished(name) && is_left_behind(&entry.path(), now)
            };
            if useless && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Reads at most `most` bytes of a plain file that nobody but us can have written; tells whether that was all of it.
fn read_own(path: &Path, most: usize) -> io::Result<(Vec<u8>, bool)> {
    let refuse = |why: &str| Err(io::Error::other(why.to_owned()));
    // A link may lead anywhere, and opening a pipe would wait for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::LOOP.raw_os_error() => {
                io::Error::other("it is a link, not a plain file")
            }
            _ => error,
        })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refuse("it is not a plain file");
    }
    if !is_ours(&metadata) {
        return refuse(
            "it does not belong to the user that runs Remint, who alone may write upstream keys",
        );
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("others can write to it: only the user that runs Remint may");
    }
    read_most(file, most)
}

fn read_most(file: File, most: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len() <= most;
    bytes.truncate(most);
    Ok((bytes, whole))
}

fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// The digest of the source whose file has this name.
fn source_of(name: &str) -> Option<&str> {
    let digest = name.strip_suffix(SUFFIX)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digest.len() == 64 && digest.bytes().all(is_digit)).then_some(digest)
}

fn is_unfinished(name: &str) -> bool {
    let (prefix, suffix) = UNFINISHED;
    name.starts_with(prefix) && name.ends_with(suffix)
}

fn is_left_behind(path: &Path, now: Duration) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        let changed = u64::try_from(metadata.mtime()).unwrap_or_default();
        let age = now.checked_sub(Duration::from_secs(changed));
        metadata.is_file() && is_ours(&metadata) && age.is_some_and(|age| age >= LONGEST_WRITE)
    })
}
