//! The key file on disk: read with a look at who else can, replaced only as a whole.

mod shape;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::config::explain_unreadable;
use crate::config::problems::Problems;

/// Reads the file; a missing one is an error that says how to make it, an open one a warning.
pub(crate) fn read(path: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
    let name = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let why = explain_unreadable(path, &error);
            let mend = mend(path, error.kind());
            problems.error("keys.file", format!("cannot read {name}: {why}; {mend}"));
            return None;
        }
    };
    if shape::has_private_key(&bytes) {
        warn_if_open(path, problems);
    }
    if let Some(why) = shape::not_a_jwks(&bytes, &name) {
        problems.error("keys.file", format!("{name} {why}"));
        return None;
    }
    if shape::is_public(&bytes) {
        problems.error(
            "keys.file",
            format!("{name} holds only public keys, and the private ones sign: name the file that `remint keys generate` made"),
        );
        return None;
    }
    Some(bytes)
}

/// What to do about a key file that cannot be read.
fn mend(path: &Path, kind: io::ErrorKind) -> String {
    let name = path.display();
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match (kind, folder) {
        (io::ErrorKind::NotFound, Some(folder)) if !folder.exists() => format!(
            "make it with `mkdir -p {}`, then the file with `remint keys generate --alg RS256 --file {name}`, or set keys.file",
            folder.display()
        ),
        (io::ErrorKind::NotFound, _) => format!(
            "create it with `remint keys generate --alg RS256 --file {name}`, or set keys.file"
        ),
        (io::ErrorKind::IsADirectory, _) => {
            format!("name the file in it, such as keys.file = \"{name}/jwks.json\"")
        }
        (io::ErrorKind::NotADirectory, _) => "set keys.file to a file in a folder".to_owned(),
        _ => "let the user that runs Remint read it".to_owned(),
    }
}

fn warn_if_open(path: &Path, problems: &mut Problems) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        problems.warning(
            "keys.file",
            format!(
                "everybody on this machine can read the private keys in {}: run `chmod o-rwx {}`",
                path.display(),
                path.display()
            ),
        );
    }
}

/// Why the file was not changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EditError {
    /// The file could not be read or replaced.
    #[error(
        "{path}: {}{}",
        explain_unreadable(Path::new(path), source),
        hint(source)
    )]
    Io {
        /// The key file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file.
    #[error(
        "{0} does not exist: make it with `remint keys generate`, or name another with --file or --config"
    )]
    Missing(String),
    /// The file is not a JWKS.
    #[error("{path} is not a JWKS ({{\"keys\": [...]}}) and is left as it was{}", because(path, why.as_deref()))]
    NotAJwks {
        /// The key file.
        path: String,
        /// What it is instead, if that is known.
        why: Option<String>,
    },
    /// Somebody else, who does not take the lock, changed the file at the same time.
    #[error(
        "{0} was changed by another program meanwhile, and is left as that made it: look at it, and run this again"
    )]
    Changed(String),
    /// The file belongs to Kubernetes, which would put the old one back.
    #[error(
        "{0} is a mounted Secret or ConfigMap, which Kubernetes would put back: change a copy of the file, and update the Secret from that"
    )]
    Mounted(String),
    /// The new file would belong to somebody else, and the server might not read it any more.
    #[error(
        "{path} belongs to {owner}, which only that user or root can keep: run this as one of them"
    )]
    Owner {
        /// The key file.
        path: String,
        /// User and group, by number.
        owner: String,
    },
    /// The change itself was refused.
    #[error("{0}")]
    Refused(String),
}

/// What a file is that is not a JWKS.
fn because(path: &str, why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!(": {path} {why}"))
}

/// What there is to do about an error of the system.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "; change a copy of the file where it comes from, such as the Secret that is mounted here"
        }
        io::ErrorKind::ResourceBusy => {
            "; the file is mounted by itself and cannot be replaced: mount its folder instead"
        }
        io::ErrorKind::PermissionDenied => {
            "; the file and its folder must be writable, since a new file takes its place"
        }
        _ => "",
    }
}

/// What to do with the file after a change of its list.
pub(crate) enum Edit<T> {
    /// Put the new list in its place.
    Write(T),
    /// Leave it alone.
    Keep(T),
}

/// Adds a key to the file, or creates it with mode 0600.
pub(crate) fn add(path: &Path, entry: Value) -> Result<(), EditError> {
    change(path, true, |keys| {
        let kid = entry.get("kid").and_then(Value::as_str).unwrap_or_default();
        let same = |key: &Value| key.get("kid").and_then(Value::as_str) == Some(kid);
        if keys.iter().any(same) {
            return Err(format!(
                "{} has a key with the kid {kid:?} already: choose another with --kid",
                path.display()
            ));
        }
        keys.push(entry);
        Ok(Edit::Write(()))
    })
}

/// Changes the list of keys; whoever else changes it with Remint waits. An interruption at any point leaves the
/// old file or the new one.
pub(crate) fn edit<T>(
    path: &Path,
    work: impl FnOnce(&mut Vec<Value>) -> Result<Edit<T>, String>,
) -> Result<T, EditError> {
    change(path, false, work)
}

fn change<T>(
    path: &Path,
    create: bool,
    work: impl FnOnce(&mut Vec<Value>) -> Result<Edit<T>, String>,
) -> Result<T, EditError> {
    let name = || path.display().to_string();
    let failed = |source| EditError::Io {
        path: name(),
        source,
    };
    let target = Target::find(path).map_err(failed)?;
    let _lock = target.lock();
    let before = match fs::read(&target.file) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(EditError::Missing(name()));
        }
        Err(error) => return Err(failed(error)),
    };
    let mut set = match &before {
        Some(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        None => json!({ "keys": [] }),
    };
    let Some(Value::Array(keys)) = set.get_mut("keys") else {
        return Err(EditError::NotAJwks {
            path: name(),
            why: shape::not_a_jwks(&before.unwrap_or_default(), &name()),
        });
    };
    match work(keys).map_err(EditError::Refused)? {
        Edit::Keep(result) => Ok(result),
        Edit::Write(result) => {
            target.replace(&set, before.as_deref(), &name())?;
            Ok(result)
        }
    }
}

/// The file behind a path, and the folder in which it is replaced.
struct Target {
    file: PathBuf,
    folder: PathBuf,
    /// How the names of half-made files begin.
    prefix: String,
}

impl Target {
    /// A link stays a link: what it leads to is what is replaced.
    fn find(path: &Path) -> io::Result<Self> {
        let file = match fs::canonicalize(path) {
            Ok(file) => file,
            // A link to nothing is a mistake, and a file in its place would hide it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                path.to_path_buf()
            }
            Err(error) => return Err(error),
        };
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let own = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            prefix: format!(".{own}.remint-"),
            file,
            folder,
        })
    }

    /// Waits until nobody else changes a key file of this folder. The folder is what is locked: the file itself
    /// is another one after each change. The system lifts the lock when the process ends, however it does.
    fn lock(&self) -> Option<fs::File> {
        let folder = fs::File::open(&self.folder).ok()?;
        // Not every file system can; the comparison before the rename is still there.
        folder.lock().ok()?;
        self.tidy();
        Some(folder)
    }

    /// Takes away what an interrupted change left behind: it may hold keys.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&self.prefix)
            {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Writes beside the file and renames over it, keeping its mode and owner.
    fn replace(&self, set: &Value, before: Option<&[u8]>, name: &str) -> Result<(), EditError> {
        let failed = |source| EditError::Io {
            path: name.to_owned(),
            source,
        };
        if self.is_mounted() {
            return Err(EditError::Mounted(name.to_owned()));
        }
        let mut file = tempfile::Builder::new()
            .prefix(&self.prefix)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.folder)
            .map_err(failed)?;
        let mut text = serde_json::to_string_pretty(set).map_err(|error| failed(error.into()))?;
        text.push('\n');
        file.write_all(text.as_bytes()).map_err(failed)?;
        self.copy_owner_and_mode(file.as_file(), name)?;
        file.as_file().sync_all().map_err(failed)?;
        let now = match fs::read(&self.file) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if now.as_deref() != before {
            return Err(EditError::Changed(name.to_owned()));
        }
        file.persist(&self.file)
            .map_err(|error| failed(error.error))?;
        let folder = fs::File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(failed)
    }

    /// Whether Kubernetes keeps the file: it swaps a link to folders such as `..2026_11_22_08_00_00.1`.
    fn is_mounted(&self) -> bool {
        let mut parts = self.file.components();
        parts.any(|part| match part {
            Component::Normal(part) => part.as_encoded_bytes().starts_with(b".."),
            _ => false,
        })
    }

    fn copy_owner_and_mode(&self, file: &fs::File, name: &str) -> Result<(), EditError> {
        let failed = |source| EditError::Io {
            path: name.to_owned(),
            source,
        };
        let before = match fs::metadata(&self.file) {
            Ok(before) => before,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let own = file.metadata().map_err(failed)?;
        let owner = (before.uid(), before.gid());
        if (own.uid(), own.gid()) != owner {
            let given = fchown(file, Some(owner.0), Some(owner.1));
            given.map_err(|_| EditError::Owner {
                path: name.to_owned(),
                owner: format!("user {} and group {}", owner.0, owner.1),
            })?;
        }
        // After the owner, so that nobody else can read it in between.
        file.set_permissions(before.permissions()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode_and_members() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        add(&path, json!({ "kid": "a", "x-note": 1 })).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        add(&path, json!({ "kid": "b" })).unwrap();
        assert_eq!(mode(), 0o640);
        let set: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            set,
            json!({ "keys": [{ "kid": "a", "x-note": 1 }, { "kid": "b" }] })
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_added_to_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        add(&path, json!({ "kid": "a" })).unwrap();
        assert!(matches!(
            add(&path, json!({ "kid": "a" })),
            Err(EditError::Refused(_))
        ));
        fs::write(&path, "not json").unwrap();
        assert!(matches!(
            add(&path, json!({ "kid": "b" })),
            Err(EditError::NotAJwks { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), b"not json");
    }
}
