//! The key file on disk: read with a look at who else can, replaced only as a whole.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use crate::config::problems::Problems;

/// Reads the file; a missing one is an error that says how to make it, an open one a warning.
pub(crate) fn read(path: &Path, problems: &mut Problems) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => {
            warn_if_open(path, problems);
            Some(bytes)
        }
        Err(error) => {
            let mend = match error.kind() {
                io::ErrorKind::NotFound => format!(
                    "create it with `remint keys generate --alg RS256 --file {}`, or set keys.file",
                    path.display()
                ),
                _ => "let the user that runs Remint read it".to_owned(),
            };
            problems.error(
                "keys.file",
                format!("cannot read {}: {error}; {mend}", path.display()),
            );
            None
        }
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

/// Why a key could not be added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    /// The file could not be read or replaced.
    #[error("{path}: {source}")]
    Io {
        /// The key file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a JWKS.
    #[error("{0} is not a JWKS ({{\"keys\": [...]}}): it is left as it was")]
    NotAJwks(String),
    /// A key with this id is there already.
    #[error("{path} has a key with the kid {kid:?} already: choose another with --kid")]
    KidTaken {
        /// The key file.
        path: String,
        /// The id.
        kid: String,
    },
}

/// Adds a key to the file, or creates it with mode 0600. An interruption leaves the old file or the new one.
pub(crate) fn add(path: &Path, entry: Value) -> Result<(), AddError> {
    let name = || path.display().to_string();
    let failed = |source| AddError::Io {
        path: name(),
        source,
    };
    let mut set = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| AddError::NotAJwks(name()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({ "keys": [] }),
        Err(error) => return Err(failed(error)),
    };
    let Some(Value::Array(keys)) = set.get_mut("keys") else {
        return Err(AddError::NotAJwks(name()));
    };
    let kid = entry.get("kid").and_then(Value::as_str).unwrap_or_default();
    if keys
        .iter()
        .any(|key| key.get("kid").and_then(Value::as_str) == Some(kid))
    {
        return Err(AddError::KidTaken {
            path: name(),
            kid: kid.to_owned(),
        });
    }
    keys.push(entry);
    replace(path, &set).map_err(failed)
}

/// Writes beside the file and renames over it, keeping its mode and, where permitted, its owner.
fn replace(path: &Path, set: &Value) -> io::Result<()> {
    // A link stays a link: its target is what is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".jwks-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    let mut text = serde_json::to_string_pretty(set)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    if let Ok(before) = fs::metadata(&path) {
        file.as_file().set_permissions(before.permissions())?;
        // Only root may give a file away; others keep their own.
        let _ = std::os::unix::fs::chown(file.path(), Some(before.uid()), Some(before.gid()));
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
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
            Err(AddError::KidTaken { .. })
        ));
        fs::write(&path, "not json").unwrap();
        assert!(matches!(
            add(&path, json!({ "kid": "b" })),
            Err(AddError::NotAJwks(_))
        ));
        assert_eq!(fs::read(&path).unwrap(), b"not json");
    }
}
