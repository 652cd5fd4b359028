//! `remint keys`: make, list and publish signing keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{BAD_CONFIG, ReportFormat, load, out};
use crate::config::{self, problems::Problems};
use crate::jose::{Choice, Keyring, PrivateJwk, SigningAlgorithm};
use crate::keyfile;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and put it into the key file, which is created with mode 0600 where it is missing.
    Generate(GenerateArgs),
    /// Show each key and what it does.
    List(ListArgs),
    /// Print the public JWKS.
    Public(FileArgs),
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The key file.
    #[arg(long, value_name = "FILE", default_value = "jwks.json")]
    file: PathBuf,
    /// Take the key file, and what it says of signing, from this configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// What the key signs with.
    #[arg(long, value_enum, ignore_case = true)]
    alg: AlgArg,
    /// Its id; the default is its RFC 7638 thumbprint.
    #[arg(long)]
    kid: Option<String>,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How the list looks.
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AlgArg {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "ES256")]
    Es256,
}

impl From<AlgArg> for SigningAlgorithm {
    fn from(alg: AlgArg) -> Self {
        match alg {
            AlgArg::Rs256 => Self::Rs256,
            AlgArg::Es256 => Self::Es256,
        }
    }
}

pub(super) fn run(command: &KeysCommand) -> ExitCode {
    match command {
        KeysCommand::Generate(args) => generate(args),
        KeysCommand::List(args) => with_keyring(&args.file, |keyring| list(keyring, args.format)),
        KeysCommand::Public(args) => with_keyring(args, |keyring| out::line(keyring.jwks())),
    }
}

fn generate(args: &GenerateArgs) -> ExitCode {
    let mut problems = Problems::new();
    let Some((path, _)) = key_file(&args.file, &mut problems) else {
        load::report(&problems);
        return ExitCode::from(BAD_CONFIG);
    };
    if args.kid.as_deref() == Some("") {
        out::error("error: --kid is empty: leave it out for the key's thumbprint");
        return ExitCode::FAILURE;
    }
    let made = PrivateJwk::generate(args.alg.into(), args.kid.clone());
    let added = made.map_err(|error| error.to_string()).and_then(|key| {
        let added = keyfile::add(&path, key.to_json()).map_err(|error| error.to_string());
        added.map(|()| key.kid())
    });
    match added {
        Ok(kid) => {
            out::line(kid);
            ExitCode::SUCCESS
        }
        Err(error) => {
            out::error(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The key file that the arguments name, and which of its keys sign.
fn key_file(args: &FileArgs, problems: &mut Problems) -> Option<(PathBuf, Choice)> {
    let Some(config) = &args.config else {
        return Some((args.file.clone(), Choice::default()));
    };
    let settings = config::load(config, config::process_environment(), problems)?;
    let choice = Choice {
        default_alg: settings.keys.default_alg,
        signing: settings.keys.signing,
    };
    (!problems.has_errors()).then_some((settings.keys.file, choice))
}

fn with_keyring(args: &FileArgs, print: impl FnOnce(&Keyring)) -> ExitCode {
    let mut problems = Problems::new();
    let keyring = key_file(args, &mut problems).and_then(|(path, choice)| {
        let json = keyfile::read(&path, &mut problems)?;
        Keyring::load(&json, &choice, &mut problems)
    });
    load::report(&problems);
    match keyring {
        Some(keyring) if !problems.has_errors() => {
            print(&keyring);
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(BAD_CONFIG),
    }
}

fn list(keyring: &Keyring, format: ReportFormat) {
    let rows: Vec<Value> = keyring
        .keys()
        .map(|(key, signs)| {
            json!({
                "kid": key.kid(),
                "alg": key.alg().name(),
                "state": if signs { "signing" } else { "retiring" },
                "signs_from": null,
                "signs_until": null,
                "published_until": null,
            })
        })
        .collect();
    match format {
        ReportFormat::Json => out::line(Value::Array(rows)),
        ReportFormat::Text => {
            for (key, signs) in keyring.keys() {
                let state = if signs {
                    "signing"
                } else {
                    "published, does not sign"
                };
                out::line(format_args!("{}  {}  {state}", key.alg(), key.kid()));
            }
        }
    }
}
