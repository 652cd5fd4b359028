//! `remint keys import`: a private key from a PEM file becomes one of the key file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::out;
use super::{AlgArg, FileArgs, KeyFile};
use crate::config;
use crate::jose::{PrivateJwk, SigningAlgorithm};
use crate::keyfile;

/// More than any private key takes.
const LARGEST: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The private key: PEM as PKCS#8, PKCS#1 (RSA) or SEC1 (EC), without a password.
    #[arg(value_name = "PEM")]
    pem: PathBuf,
    /// Its id; the default is its RFC 7638 thumbprint.
    #[arg(long)]
    pub(super) kid: Option<String>,
    /// What it must sign with; the default is what it can: RS256 (RSA) or ES256 (P-256).
    #[arg(long, value_enum, ignore_case = true)]
    alg: Option<AlgArg>,
    #[command(flatten)]
    pub(super) file: FileArgs,
}

/// Adds the key to the key file, which is made where it is missing.
pub(super) fn import(file: &KeyFile, args: &ImportArgs) -> Result<(), String> {
    let name = args.pem.display();
    let pem = read(&args.pem).map_err(|error| {
        let why = config::explain_unreadable(&args.pem, &error);
        format!("cannot read {name}: {why}")
    })?;
    let key = PrivateJwk::from_pem(&pem, args.kid.clone());
    let key = key.map_err(|error| format!("{name} {error}"))?;
    if let Some(wanted) = args.alg.map(SigningAlgorithm::from)
        && key.alg() != wanted
    {
        return Err(format!(
            "{name} holds a key that signs with {}, not {wanted}: leave --alg out, or import another",
            key.alg()
        ));
    }
    keyfile::add(&file.path, key.to_json()).map_err(|error| error.to_string())?;
    out::line(key.kid());
    out::error(format_args!(
        "note: {name} still holds the private key: delete it, or keep it where nobody else can read it"
    ));
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > LARGEST {
        return Err(io::Error::other(
            "it is larger than 64 KiB, so it is no key",
        ));
    }
    Ok(bytes)
}
