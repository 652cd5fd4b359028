//! The command line: one file per command.

mod activation;
mod check;
mod demo;
mod descriptors;
mod discovered;
mod endpoint;
mod explain;
mod fixed;
mod health;
mod keys;
mod lines;
mod listeners;
mod load;
mod logging;
mod notify;
mod online;
mod out;
mod own_tls;
mod practice;
mod publish;
mod reload;
mod serve;
mod version;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Exit status for a configuration or a command line that is wrong (`EX_USAGE` of sysexits).
const BAD_CONFIG: u8 = 64;

/// A token-exchange service for machines.
#[derive(Debug, Parser)]
#[command(name = "remint", version)]
struct Cli {
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How a report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve token exchanges.
    Serve(ConfigArg),
    /// Check a configuration without serving.
    Check(check::CheckArgs),
    /// Make and show signing keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Write the public metadata and keys as files, for any static web server.
    Publish(publish::PublishArgs),
    /// Say what /token would say to the token on standard input, and why; nothing is minted.
    Explain(explain::ExplainArgs),
    /// Ask the running server whether it is ready, as a container's health check does.
    Health(health::HealthArgs),
    /// Try it out: throw-away keys, a practice CI issuer, and curl lines to paste.
    Demo(DemoArgs),
    /// Say which version this is, of which commit, and with which cargo features.
    Version,
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The configuration: TOML, YAML or JSON by its extension.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where to serve; the practice issuer gets the next port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are results. The rest is a usage error: clap's own 2 would say to
            // the caller of `explain` that keys are unavailable.
            return if error.use_stderr() {
                ExitCode::from(BAD_CONFIG)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match cli.command {
        Command::Serve(args) => serve::run(&args.config, cli.log_format),
        Command::Check(args) => check::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Publish(args) => publish::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Demo(args) => demo::run(args.listen, cli.log_format),
        Command::Version => version::run(),
    }
}
