//! `remint version`.

use std::process::ExitCode;

use super::out;
use crate::version::{COMMIT, FEATURES, VERSION};

pub(super) fn run() -> ExitCode {
    let features = if FEATURES.is_empty() {
        "none"
    } else {
        FEATURES
    };
    out::line(format_args!(
        "remint {VERSION}\ncommit: {COMMIT}\nfeatures: {features}"
    ));
    ExitCode::SUCCESS
}
