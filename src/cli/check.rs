//! `remint check`: everything that `serve` checks, without serving.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::online;
use super::{BAD_CONFIG, LogFormat, ReportFormat, load, out, serve};
use crate::config::problems::{Problem, Problems, Severity};
use crate::policy::tenant::SHARED_ISSUERS;
use crate::upstream::machine_roots;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration: TOML, YAML or JSON by its extension.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
    /// Also fetch upstream keys, and the public metadata and keys from `issuer` as a verifier would.
    #[arg(long)]
    online: bool,
    /// Also show every shared issuer, what the keys will do next, and which CA certificates are trusted.
    #[arg(long)]
    verbose: bool,
    /// How the report looks.
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let loaded = load::load(&args.config, &load::machine());
    let mut problems = loaded.problems;
    match (&loaded.built, args.online) {
        (Some(load::Built { settings, app, .. }), true) => {
            let found = &mut problems;
            serve::block_on(LogFormat::Text, async move {
                online::check(settings, app, found).await;
                ExitCode::SUCCESS
            });
        }
        (None, true) => problems.note(
            "",
            "--online: nothing was fetched, since the configuration has errors",
        ),
        _ => {}
    }
    let all = args.verbose || args.format == ReportFormat::Json;
    if let (Some(built), true) = (&loaded.built, all) {
        for line in built.app.key_schedule() {
            problems.note("keys.file", line);
        }
    }
    match args.format {
        ReportFormat::Text => {
            print_findings(&problems);
            if args.verbose {
                print_shared_issuers();
                let trusted = machine_roots();
                out::line(format_args!(
                    "note: TLS to issuers without ca_file: {trusted}"
                ));
            }
            print_count(&problems);
        }
        ReportFormat::Json => out::line(as_json(&problems)),
    }
    if problems.has_errors() {
        ExitCode::from(BAD_CONFIG)
    } else {
        ExitCode::SUCCESS
    }
}

fn print_findings(problems: &Problems) {
    for problem in load::in_order(problems) {
        out::line(problem);
    }
}

fn print_shared_issuers() {
    let shared: Vec<_> = shared_issuers().collect();
    out::line(format_args!(
        "note: issuers where anybody can get a token need a condition that pins the tenant: {}",
        shared.join(", ")
    ));
}

fn print_count(problems: &Problems) {
    let count = |severity, word| {
        let found = problems.iter().filter(|found| found.severity == severity);
        match found.count() {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        }
    };
    out::line(format_args!(
        "{}, {}",
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning")
    ));
}

fn as_json(problems: &Problems) -> Value {
    let of = |severity| -> Vec<Value> {
        let found = problems.iter().filter(|found| found.severity == severity);
        found.map(entry).collect()
    };
    json!({
        "ok": !problems.has_errors(),
        "errors": of(Severity::Error),
        "warnings": of(Severity::Warning),
        "notes": of(Severity::Note),
        "shared_issuers": shared_issuers().collect::<Vec<_>>(),
        "ca_certificates": machine_roots(),
    })
}

fn shared_issuers() -> impl Iterator<Item = &'static str> {
    SHARED_ISSUERS
        .iter()
        .flat_map(|shared| shared.issuers)
        .copied()
}

fn entry(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    let position = place.and_then(|place| place.position);
    json!({
        "path": problem.path,
        "message": problem.message,
        "file": place.map(|place| &place.file),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
    })
}
