//! `remint check`: everything that `serve` checks, without serving.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::online;
use super::{BAD_CONFIG, ReportFormat, load, out, serve};
use crate::config::problems::{Problem, Problems, Severity};
use crate::policy::tenant::SHARED_ISSUERS;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration: TOML, YAML or JSON by its extension.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
    /// Also fetch upstream keys, and the public metadata and keys from `issuer` as a verifier would.
    #[arg(long)]
    online: bool,
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
            serve::block_on(async move {
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
    match args.format {
        ReportFormat::Text => print_text(&problems),
        ReportFormat::Json => out::line(as_json(&problems)),
    }
    if problems.has_errors() {
        ExitCode::from(BAD_CONFIG)
    } else {
        ExitCode::SUCCESS
    }
}

fn print_text(problems: &Problems) {
    let of = |severity| {
        problems
            .iter()
            .filter(move |found| found.severity == severity)
    };
    for severity in [Severity::Note, Severity::Warning, Severity::Error] {
        for problem in of(severity) {
            out::line(problem);
        }
    }
    let shared: Vec<_> = shared_issuers().collect();
    out::line(format_args!(
        "note: issuers where anybody can get a token need a condition that pins the tenant: {}",
        shared.join(", ")
    ));
    let count = |severity, word| match of(severity).count() {
        1 => format!("1 {word}"),
        n => format!("{n} {word}s"),
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
