//! Whether files have changed: by what they hold, wherever a link leads by now.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

/// Of a larger file only the beginning counts, and its size.
const MOST_READ: u64 = 64 * 1024 * 1024;

/// A file that changed less than this ago may change again without its time changing.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Files, and what they held when they were looked at. Two are equal if nothing has changed between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched(BTreeMap<PathBuf, Stamp>);

/// One file at one moment; equal to another if it holds the same.
#[derive(Clone, Debug)]
struct Stamp {
    content: Content,
    /// Which file it was; absent where a change might not change it.
    identity: Option<Identity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Held {
        digest: [u8; 32],
        size: u64,
    },
    /// Something that is not read, such as a pipe.
    Special,
    Unreadable(io::ErrorKind),
}

/// Device, inode, size, and the time of the last change in seconds and nanoseconds.
type Identity = (u64, u64, u64, i64, i64);

impl Watched {
    /// Looks at those of `paths` that are not known yet; tells whether there was one.
    pub(super) fn note<'a>(
        &mut self,
        paths: impl IntoIterator<Item = &'a Path>,
        now: Duration,
    ) -> bool {
        let mut is_new = false;
        for path in paths {
            if !self.0.contains_key(path) {
                let stamp = Stamp::of(path, None, now);
                self.0.insert(path.to_owned(), stamp);
                is_new = true;
            }
        }
        is_new
    }

    /// The same files as they are now; it reads only what may have changed. `now` is the time since the Unix epoch.
    pub(super) fn look(&self, now: Duration) -> Self {
        let files = self.0.iter();
        let look =
            |(path, old): (&PathBuf, &Stamp)| (path.clone(), Stamp::of(path, Some(old), now));
        Self(files.map(look).collect())
    }

    /// Forgets all but these.
    pub(super) fn keep_only<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) {
        let kept: HashSet<_> = paths.into_iter().collect();
        self.0.retain(|path, _| kept.contains(path.as_path()));
    }

    /// The files that hold something else than in `old`.
    pub(super) fn changed_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = &'a Path> {
        let is_other = |(path, stamp): &(&PathBuf, &Stamp)| old.0.get(*path) != Some(*stamp);
        let changed = self.0.iter().filter(is_other);
        changed.map(|(path, _)| path.as_path())
    }
}

impl Stamp {
    fn of(path: &Path, old: Option<&Self>, now: Duration) -> Self {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return Self::without_identity(Content::Unreadable(error.kind())),
        };
        let identity = identity(&metadata, now);
        if let Some(old) = old
            && identity.is_some()
            && old.identity == identity
        {
            return old.clone();
        }
        // Opening a pipe would wait for a writer.
        if !metadata.is_file() {
            return Self::without_identity(Content::Special);
        }
        match digest(path) {
            Ok(digest) => Self {
                content: Content::Held {
                    digest,
                    size: metadata.len(),
                },
                identity,
            },
            Err(error) => Self::without_identity(Content::Unreadable(error.kind())),
        }
    }

    fn without_identity(content: Content) -> Self {
        Self {
            content,
            identity: None,
        }
    }
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for Stamp {}

fn identity(metadata: &Metadata, now: Duration) -> Option<Identity> {
    let changed = Duration::from_secs(u64::try_from(metadata.ctime()).ok()?);
    let is_settled = now
        .checked_sub(changed)
        .is_some_and(|age| age > SETTLED_AFTER);
    is_settled.then(|| {
        (
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        )
    })
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?.take(MOST_READ);
    let mut context = Context::new(&SHA256);
    let mut part = vec![0; 16 * 1024];
    loop {
        match file.read(&mut part)? {
            0 => break,
            length => context.update(part.get(..length).unwrap_or_default()),
        }
    }
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Long after anything here was written.
    const LATER: Duration = Duration::from_secs(1 << 33);

    #[test]
    fn what_a_file_holds_counts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut watched = Watched::default();
        fs::write(at("a"), "1").unwrap();
        fs::write(at("b"), "2").unwrap();
        symlink(at("a"), at("link")).unwrap();
        let paths = [at("a"), at("link"), at("missing")];
        let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
        for now in [Duration::ZERO, LATER] {
            watched.note(paths.iter().copied(), now);
            watched = watched.look(now);
            assert_eq!(watched.look(now), watched);
        }
        assert!(!watched.note(paths.iter().copied(), LATER));
        let changed = |watched: &Watched, now| -> Vec<PathBuf> {
            let seen = watched.look(now);
            seen.changed_since(watched).map(Path::to_owned).collect()
        };
        // The same in another file is no change; something else at the end of the link is one.
        fs::write(at("new"), "1").unwrap();
        fs::rename(at("new"), at("a")).unwrap();
        assert_eq!(changed(&watched, LATER), [""; 0].map(PathBuf::from));
        symlink(at("b"), at("link2")).unwrap();
        fs::rename(at("link2"), at("link")).unwrap();
        assert_eq!(changed(&watched, LATER), [at("link")]);
        fs::write(at("missing"), "").unwrap();
        fs::remove_file(at("a")).unwrap();
        let all = [at("a"), at("link"), at("missing")];
        assert_eq!(changed(&watched, LATER), all);
        let mut seen = watched.look(LATER);
        seen.keep_only([at("a").as_path()]);
        assert_eq!(seen.0.len(), 1);
    }

    #[test]
    fn a_change_within_one_tick_of_the_clock_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let now = |path: &Path| {
            let changed = fs::metadata(path).unwrap().ctime();
            Duration::from_secs(changed.try_into().unwrap())
        };
        for turn in 0..200 {
            fs::write(&path, format!("{turn:04}a")).unwrap();
            let mut watched = Watched::default();
            watched.note([path.as_path()], now(&path));
            fs::write(&path, format!("{turn:04}b")).unwrap();
            assert_ne!(watched.look(now(&path)), watched);
        }
    }
}
