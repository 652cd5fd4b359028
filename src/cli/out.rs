//! Results go to standard output; a reader that went away is no reason to panic.

use std::io::Write;

/// Writes one line.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Writes one line to standard error.
pub(super) fn error(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
