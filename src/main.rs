//! The `remint` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    remint::cli::run()
}
