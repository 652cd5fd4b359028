//! `remint publish`: the public documents as files, so that any static web server can hold them.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{BAD_CONFIG, load, out};
use crate::app::App;
use crate::config::{Issuer, Settings, explain_unreadable, problems::Problems};
use crate::http::Published;
use crate::jose::{KeyState, rfc3339};

/// What no issuer can do without: relying parties ask for these, and for the rest only if they know it.
const NEEDED: [&str; 2] = [
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
];

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// The folder that becomes the web root of the issuer's host; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration: TOML, YAML or JSON by its extension.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &PublishArgs) -> ExitCode {
    let mut loaded = load::load(&args.config, &load::machine());
    let files = loaded
        .built
        .as_ref()
        .map(|load::Built { settings, app, .. }| plan(settings, app, &mut loaded.problems));
    load::report(&loaded.problems);
    let Some(files) = files.filter(|_| !loaded.problems.has_errors()) else {
        return ExitCode::from(BAD_CONFIG);
    };
    for (place, document) in &files {
        let path = args.out.join(place);
        if let Err(error) = replace(&path, document.body) {
            let why = explain_unreadable(&path, &error);
            out::error(format_args!("error: {}: {why}", path.display()));
            return ExitCode::FAILURE;
        }
        out::line(format_args!(
            "{}\n    {}\n    Content-Type: {}",
            path.display(),
            url(document),
            document.content_type
        ));
    }
    advise(&args.out, &files);
    if let Some(built) = &loaded.built {
        advise_on_keys(&built.app);
    }
    ExitCode::SUCCESS
}

/// Each file's place under the folder and what it holds, keys before metadata that names them.
type Files<'a> = Vec<(PathBuf, Published<'a>)>;

fn plan<'a>(settings: &Settings, app: &'a App, problems: &mut Problems) -> Files<'a> {
    if settings.issuer == Issuer::FromRequest {
        problems.error(
            "issuer",
            "\"from-request\" has no URL to publish under: write the public URL of this service, such as issuer = \"https://sts.example.com\"",
        );
        return Files::new();
    }
    let documents = app.issuers().documents(app.now());
    let several = hosts(&documents).len() > 1;
    let mut files = Files::new();
    for document in documents {
        if let Some(path) = relative(&document, problems) {
            let place = if several {
                Path::new(document.host).join(path)
            } else {
                path.to_owned()
            };
            files.push((place, document));
        }
    }
    // What is needed, then what is higher up, takes its name first.
    files.sort_by_key(|(place, document)| (!is_needed(document), place.components().count()));
    without_clashes(files, problems)
}

fn hosts<'a>(documents: &[Published<'a>]) -> BTreeSet<&'a str> {
    documents.iter().map(|document| document.host).collect()
}

fn is_needed(document: &Published<'_>) -> bool {
    NEEDED.iter().any(|path| document.path.ends_with(path))
}

/// The path of a document's URL as a file's.
fn relative<'a>(document: &Published<'a>, problems: &mut Problems) -> Option<&'a Path> {
    let path = document.path.strip_prefix('/')?;
    // Servers differ in what file they look for at these.
    if path.contains('%') || path.split('/').any(str::is_empty) {
        problems.error_once(
            "issuer",
            format!(
                "the path of {:?} has an escape (`%`) or an empty part (`//`), which no file name can stand for: write a plain path",
                document.issuer
            ),
        );
        return None;
    }
    Some(Path::new(path))
}

/// The files whose names are free: a name is one file, and not a folder too. The earlier one keeps it.
fn without_clashes<'a>(files: Files<'a>, problems: &mut Problems) -> Files<'a> {
    let mut kept = Files::new();
    for (place, document) in files {
        let clash = kept
            .iter()
            .find(|(other, _)| place.starts_with(other) || other.starts_with(&place));
        match clash {
            None => kept.push((place, document)),
            Some((_, first)) if is_needed(&document) => problems.error_once(
                "issuer",
                format!(
                    "files cannot hold both {} and {}: publish each issuer with a configuration that names it alone",
                    url(first),
                    url(&document)
                ),
            ),
            Some((_, first)) => problems.warning(
                "issuer",
                format!(
                    "{} is left out: its name is taken, as a file or as a folder, by {}; the few relying parties that ask for it need a server that gives it",
                    url(&document),
                    url(first)
                ),
            ),
        }
    }
    kept
}

fn url(document: &Published<'_>) -> String {
    let scheme = document.issuer.split("://").next().unwrap_or_default();
    format!("{scheme}://{}{}", document.host, document.path)
}

/// Writes beside the file and renames over it: whoever reads it finds the old bytes or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".remint-")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    // A web server is often another user.
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn advise(folder: &Path, files: &Files<'_>) {
    let documents: Vec<_> = files.iter().map(|(_, document)| *document).collect();
    let hosts = hosts(&documents);
    let folder = folder.display();
    match hosts.first() {
        Some(host) if hosts.len() == 1 => {
            out::line(format_args!("{folder} is the web root of {host}."));
        }
        _ => out::line(format_args!(
            "The issuers have different hosts: each folder in {folder} is the web root of the host that it is named after."
        )),
    }
    let keep = documents.first().map(|document| document.cache_control);
    out::line(format_args!(
        "Serve each file with the Content-Type that stands under it (the names give a server nothing to guess it from), with
Cache-Control: {}, and for verifiers in browsers with Access-Control-Allow-Origin: *.
Publish again after every `keys generate`, rotation or removal of a key, and after every change of the issuer, of clients,
claims or scopes. A new key must be public before it signs: after `keys rotate` publish at once.
`remint check --online` says whether verifiers find what they should.",
        keep.unwrap_or_default()
    ));
}

/// Says when the files are out of date by the clock alone.
fn advise_on_keys(app: &App) {
    let now = app.now();
    for own in app.keys().keys().filter(|own| own.state == KeyState::Next) {
        out::line(format_args!(
            "The key {:?} signs from {} on: these files must be public well before.",
            own.key.kid(),
            rfc3339(own.times.signs_from.unwrap_or_default())
        ));
    }
    match app.issuers().next_change(now) {
        None => out::line("Time alone does not change the files."),
        Some(change) => {
            let outlook = app.exchange().keyring().outlook(now);
            let then: Vec<_> = outlook
                .into_iter()
                .filter(|(from, _)| *from == change)
                .map(|(_, words)| words)
                .collect();
            out::line(format_args!(
                "Publish again soon after {}: {}.",
                rfc3339(change),
                then.join("; ")
            ));
        }
    }
}
