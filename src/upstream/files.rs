//! The files that a source is read from, looked at before they are needed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::SourceError;
use super::spec::{Location, SourceSpec};
use crate::config::explain_unreadable;

/// The `jwks_file` or `bearer_file`, if it cannot be read now. It is read again at each fetch, so this is no error.
pub fn unreadable_file(spec: &SourceSpec) -> Option<SourceError> {
    let (key, file) = match &spec.location {
        Location::JwksFile(file) => ("jwks_file", Some(file)),
        _ => ("bearer_file", spec.bearer_file.as_ref()),
    };
    let file = file?;
    let error = first_byte(file).err()?;
    let why = explain_unreadable(file, &error);
    let problem = format!(
        "{} cannot be read: {why}; until it can, there are no keys of this issuer, and its tokens are answered with 503",
        file.display()
    );
    Some(SourceError::new(key, problem))
}

fn first_byte(file: &Path) -> io::Result<usize> {
    File::open(file)?.read(&mut [0])
}
