//! What was built: told by `remint version` and by `remint_build_info`.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, `unknown` where the build could not tell.
pub const COMMIT: &str = env!("REMINT_COMMIT");

/// The cargo features that are on, with commas between; empty where none is.
pub const FEATURES: &str = env!("REMINT_FEATURES");
