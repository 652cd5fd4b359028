//! What a binary says of its build: the commit and the cargo features.
#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that name the commit where there is no repository, as in a container build.
const VARIABLES: [&str; 2] = ["REMINT_COMMIT", "GIT_COMMIT"];

/// What git writes to when another commit is checked out.
const MOVES: [&str; 3] = ["HEAD", "logs/HEAD", "packed-refs"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rustc-env=REMINT_COMMIT={}", commit());
    println!("cargo::rustc-env=REMINT_FEATURES={}", features());
}

fn commit() -> String {
    let named = VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    named
        .map(|commit| commit.trim().to_owned())
        .find(|commit| is_plain(commit))
        .or_else(from_git)
        .or_else(from_package)
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The commit that is checked out, if this is a repository of its own and there is git.
fn from_git() -> Option<String> {
    let root = git(&["rev-parse", "--show-toplevel"])?;
    // A package that lies inside another repository is not of its commit.
    let here = Path::new(".").canonicalize().ok()?;
    if Path::new(&root).canonicalize().ok()? != here {
        return None;
    }
    for name in MOVES {
        // A path that is not there would have cargo build again each time.
        let path = git(&["rev-parse", "--git-path", name]).map(PathBuf::from);
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "HEAD"]).filter(|commit| is_plain(commit))
}

/// The commit that `cargo package` wrote down.
fn from_package() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    is_plain(commit).then(|| commit.to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Whether it can stand in a metric and on a line.
fn is_plain(commit: &str) -> bool {
    !commit.is_empty()
        && commit.len() <= 64
        && commit
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The cargo features of this build, in the order of their names.
fn features() -> String {
    let names = std::env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?;
        Some(feature.to_ascii_lowercase().replace('_', "-"))
    });
    let mut features: Vec<_> = names.filter(|name| name != "default").collect();
    features.sort();
    features.join(",")
}
