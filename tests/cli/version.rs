//! `remint version`, and what metrics say of the build and the process.

use std::path::Path;
use std::process::Command;

use crate::bench::http::get;
use crate::bench::process::{Running, run};
use crate::bench::site::{Site, config, connector};
use crate::bench::upstream::dead_url;

/// What stands behind `name: ` in the output of `remint version`.
fn told(stdout: &str, name: &str) -> String {
    let mut lines = stdout.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("{stdout}")).to_owned()
}

fn version() -> String {
    let finished = run(Path::new("."), &["version"]).exits(0);
    assert_eq!(finished.stderr, "");
    finished.stdout
}

#[test]
fn version_tells_the_version_the_commit_and_the_features() {
    let stdout = version();
    let first = concat!("remint ", env!("CARGO_PKG_VERSION"), "\n");
    assert!(stdout.starts_with(first), "{stdout}");
    assert_eq!(run(Path::new("."), &["--version"]).exits(0).stdout, first);
    let features = if cfg!(feature = "redis") {
        "redis"
    } else {
        "none"
    };
    assert_eq!(told(&stdout, "features"), features);
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let head = head.ok().filter(|output| output.status.success());
    // A build names its commit where there is a repository, or was told it.
    let named = option_env!("GIT_COMMIT").or(option_env!("REMINT_COMMIT"));
    let commit = told(&stdout, "commit");
    match (named, head) {
        (Some(named), _) => assert_eq!(commit, named),
        (None, Some(head)) => assert_eq!(commit, String::from_utf8(head.stdout).unwrap().trim()),
        (None, None) => assert!(!commit.is_empty()),
    }
}

fn admin(remint: &Running) -> String {
    let line = remint.stderr.line("admin on ");
    let (_, rest) = line.split_once("admin on ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn metrics_tell_the_build_and_what_the_process_takes() {
    let text = config("http://127.0.0.1:9", &connector("a", &dead_url()));
    let text = text.replace("[server]", "[server]\nadmin_listen = \"127.0.0.1:0\"");
    let remint = Site::new(&text).serve();
    let metrics = get(&admin(&remint), "/metrics").body;
    let commit = told(&version(), "commit");
    let features = if cfg!(feature = "redis") { "redis" } else { "" };
    let build = format!(
        "remint_build_info{{version=\"{}\",commit=\"{commit}\",features=\"{features}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(
        metrics.lines().any(|line| line == build),
        "{build} in {metrics}"
    );
    if !cfg!(target_os = "linux") {
        return;
    }
    let value = |name: &str| -> f64 {
        let found = metrics.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("{metrics}"))
            .trim()
            .parse()
            .unwrap()
    };
    let listening_since = remint::clock::Clock::unix(&remint::clock::SystemClock::new());
    let started = value("process_start_time_seconds ");
    assert!(
        (0.0..600.0).contains(&(listening_since.as_secs_f64() - started)),
        "{started}"
    );
    let resident = value("process_resident_memory_bytes ");
    assert!((1e6..1e9).contains(&resident), "{resident}");
    let (open, most) = (value("process_open_fds "), value("process_max_fds "));
    assert!(open >= 5.0 && open < most, "{open} of {most}");
    let cpu = value("process_cpu_seconds_total ");
    assert!((0.0..600.0).contains(&cpu), "{cpu}");
    remint.stop();
}
