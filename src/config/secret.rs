//! Where a client's secret comes from. No message shows one, nor what may be one in the wrong place.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::{Value, ValueKind};

use super::section::Section;
use super::unreadable::explain;
use super::value::{FromValue, Sink, not_a_string};

/// What a client's secret is compared with. `Debug` does not show it.
#[derive(Clone)]
pub enum Secret {
    /// The secret itself; not empty.
    Plain(String),
    /// A hash of it as written in the file, not checked yet.
    Hash(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(..)",
            Self::Hash(_) => "Hash(..)",
        })
    }
}

/// A string that no message shows.
pub(super) struct Hidden(String);

impl Hidden {
    /// The string: not for a message.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromValue for Hidden {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        match value.kind {
            ValueKind::String(text) if !text.is_empty() => Some(Self(text)),
            other => {
                sink.problems.error(path, not_a_string(&other));
                None
            }
        }
    }
}

const SOURCES: [&str; 4] = ["secret", "secret_env", "secret_file", "secret_hash"];

/// Reads the one source that the table of a client names; only a public client may name none. The file comes back
/// too, where it names one, readable or not.
pub(super) fn read_secret(
    table: &mut Section<'_>,
    public: bool,
) -> (Option<Secret>, Option<PathBuf>) {
    let is_given = |key: &&str| table.kind_of(key).is_some();
    let given: Vec<_> = SOURCES.into_iter().filter(is_given).collect();
    match given.as_slice() {
        [] if !public => table.error("secret", "missing: write one of secret_file, secret_env, secret_hash and secret, or public = true for a client that can keep none".to_owned()),
        [first, others @ ..] => {
            for key in others {
                table.error(key, format!("stands beside {first}: a client has one secret, so remove one of the two"));
            }
        }
        [] => {}
    }
    let mut hidden = |key| table.optional::<Hidden>(key).map(|Hidden(text)| text);
    let plain = hidden("secret");
    let variable = hidden("secret_env");
    let file = hidden("secret_file");
    let hash = hidden("secret_hash");
    let file = file.map(|name| table.resolve(&name));
    if plain.is_some() {
        table.note("secret", "stands in the configuration, and so in every copy of it: secret_file, secret_env or secret_hash keep it out");
    }
    let plain = plain
        .or_else(|| variable.and_then(|name| from_variable(table, &name)))
        .or_else(|| file.as_deref().and_then(|path| from_file(table, path)));
    if let (Some(plain), Some(hash)) = (&plain, &hash)
        && hash.starts_with("$2")
        && plain.len() > 72
    {
        table.error("secret_hash", "bcrypt reads only the first 72 bytes of a secret, and this client's is longer: write an argon2id hash, or choose a shorter secret");
    }
    let secret = plain.map(Secret::Plain);
    (secret.or_else(|| hash.map(Secret::Hash)), file)
}

fn from_variable(table: &mut Section<'_>, name: &str) -> Option<String> {
    // A secret that was written here by mistake hardly looks like this.
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let shown = if name.chars().all(is_name) {
        format!("the environment variable {name}")
    } else {
        "the environment variable with this name".to_owned()
    };
    let problem = match table.variable(name) {
        None => "is not set: set it to the secret, or write the name of another",
        Some("") => "is empty: set it to the secret",
        Some(text) if text.contains('\u{fffd}') => "is not valid UTF-8: set it to a secret that is",
        Some(text) => return Some(text.to_owned()),
    };
    table.error("secret_env", format!("{shown} {problem}"));
    None
}

fn from_file(table: &mut Section<'_>, path: &Path) -> Option<String> {
    let shown = path.display();
    let (text, mode) = match read_file(path) {
        Ok(read) => read,
        Err(error) => {
            let why = explain(path, &error);
            table.error("secret_file", format!("cannot read {shown}: {why}; write the secret into it, and let the user that runs Remint read it"));
            return None;
        }
    };
    if mode & 0o004 != 0 {
        table.warning("secret_file", format!("everybody on this machine can read the secret in {shown}: run `chmod o-rwx {shown}`"));
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        table.error(
            "secret_file",
            format!("{shown} is empty: write the secret into it"),
        );
        return None;
    }
    Some(secret.to_owned())
}

/// The text of a file that holds one secret, and the file's mode.
fn read_file(path: &Path) -> io::Result<(String, u32)> {
    const MOST: u64 = 64 * 1024;
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    if file.take(MOST + 1).read_to_string(&mut text)? as u64 > MOST {
        return Err(io::Error::other("larger than 64 KiB"));
    }
    Ok((text, mode))
}
