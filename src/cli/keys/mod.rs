//! `remint keys`: make, list, publish, rotate and remove signing keys.

mod import;
mod list;
mod remove;
mod rotate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{BAD_CONFIG, ReportFormat, load, out};
use crate::config::{self, Settings, problems::Problems};
use crate::jose::{Choice, Keyring, PrivateJwk, SigningAlgorithm};
use crate::keyfile;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and put it into the key file, which is created with mode 0600 where it is missing.
    Generate(GenerateArgs),
    /// Put a private key from a PEM file into the key file, which is created with mode 0600 where it is missing.
    Import(import::ImportArgs),
    /// Add the next key: it is published at once, and later signs in place of the one that signs now.
    Rotate(RotateArgs),
    /// Take out the keys that are past.
    Prune(FileArgs),
    /// Take a key out at once, because it leaked.
    Remove(RemoveArgs),
    /// Show each key, what it does, and what happens next.
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
pub(super) struct RotateArgs {
    /// What the key signs with.
    #[arg(long, value_enum, ignore_case = true)]
    alg: AlgArg,
    /// How long the new key is only published, so that every verifier has it before it signs.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    lead: Duration,
    /// How long the old key stays published after it stopped signing, so that its tokens can be verified.
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = duration)]
    retire_after: Duration,
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The id of the key.
    #[arg(long)]
    kid: String,
    /// Do it; without this, only say what would happen.
    #[arg(long)]
    yes: bool,
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

/// The key file that the arguments name, and what a configuration says of it.
struct KeyFile {
    path: PathBuf,
    choice: Choice,
    settings: Option<Settings>,
}

pub(super) fn run(command: &KeysCommand) -> ExitCode {
    match command {
        KeysCommand::Generate(args) => generate(args),
        KeysCommand::Import(args) => named(args.kid.as_deref(), &args.file, |file| {
            import::import(file, args)
        }),
        KeysCommand::Rotate(args) => changed(&args.file, |file| rotate::rotate(file, args)),
        KeysCommand::Prune(args) => changed(args, rotate::prune),
        KeysCommand::Remove(args) => changed(&args.file, |file| remove::remove(file, args)),
        KeysCommand::List(args) => {
            with_keyring(&args.file, |keyring| list::list(keyring, args.format))
        }
        KeysCommand::Public(args) => {
            with_keyring(args, |keyring| out::line(keyring.at(now()).jwks()))
        }
    }
}

fn generate(args: &GenerateArgs) -> ExitCode {
    named(args.kid.as_deref(), &args.file, |file| {
        let made = PrivateJwk::generate(args.alg.into(), args.kid.clone());
        let key = made.map_err(|error| error.to_string())?;
        keyfile::add(&file.path, key.to_json()).map_err(|error| error.to_string())?;
        out::line(key.kid());
        Ok(())
    })
}

/// Adds a key to the key file under the kid that was asked for.
fn named(
    kid: Option<&str>,
    args: &FileArgs,
    add: impl FnOnce(&KeyFile) -> Result<(), String>,
) -> ExitCode {
    if kid == Some("") {
        out::error("error: --kid is empty: leave it out for the key's thumbprint");
        return ExitCode::FAILURE;
    }
    changed(args, add)
}

/// Changes the key file that the arguments name, or says why not.
fn changed(args: &FileArgs, change: impl FnOnce(&KeyFile) -> Result<(), String>) -> ExitCode {
    let mut problems = Problems::new();
    let Some(file) = KeyFile::find(args, &mut problems) else {
        load::report(&problems);
        return ExitCode::from(BAD_CONFIG);
    };
    match change(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn with_keyring(args: &FileArgs, print: impl FnOnce(&Keyring)) -> ExitCode {
    let mut problems = Problems::new();
    let keyring = KeyFile::find(args, &mut problems).and_then(|file| {
        let json = keyfile::read(&file.path, &mut problems)?;
        Keyring::load(&json, &file.choice, &mut problems)
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

impl KeyFile {
    fn find(args: &FileArgs, problems: &mut Problems) -> Option<Self> {
        let Some(config) = &args.config else {
            return Some(Self {
                path: args.file.clone(),
                choice: Choice::default(),
                settings: None,
            });
        };
        let settings = config::load(config, config::process_environment(), problems)?;
        (!problems.has_errors()).then(|| Self {
            path: settings.keys.file.clone(),
            choice: Choice {
                default_alg: settings.keys.default_alg.clone(),
                signing: settings.keys.signing.clone(),
            },
            settings: Some(settings),
        })
    }

    /// How long a token may live, with all leeway, and where that number comes from.
    fn longest(&self) -> (Duration, &'static str) {
        let tokens = self.settings.as_ref().map(|settings| &settings.tokens);
        tokens.map_or(
            (
                Duration::from_secs(60 * 60 + 60),
                "the defaults of tokens.max_lifetime and tokens.leeway; --config takes yours",
            ),
            |tokens| {
                (
                    tokens.max_lifetime + tokens.leeway,
                    "tokens.max_lifetime and tokens.leeway",
                )
            },
        )
    }
}

fn now() -> Duration {
    load::machine().clock.unix()
}

/// Reads a length of time of the command line, written as in the configuration.
fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| {
        "a duration such as \"90s\", \"10m\", \"24h\" or \"2d\" is expected".to_owned()
    })
}
