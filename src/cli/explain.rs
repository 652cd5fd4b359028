//! `remint explain`: what /token would say to a token, and why; nothing is minted.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{BAD_CONFIG, LogFormat, load, out, serve};
use crate::app::App;
use crate::clients::{Identity, TOKEN_EXCHANGE};
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::config::Issuer;
use crate::grant::{Event, Issuable, Request, Secret};
use crate::oauth::{Reason, Refusal, TokenType, redact};
use crate::policy::{Line, Targets, Verdicts};

/// Exit status where the issuer does not give its keys, or its userinfo.
const KEYS_UNAVAILABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    config: PathBuf,
    /// The connector, as `connector_id` names it.
    #[arg(long, value_name = "ID")]
    connector: Option<String>,
    /// The client that asks, taken as authenticated.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// An audience to ask for; may stand several times.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// Scopes to ask for, separated by spaces.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// In whose name the token would be issued, where several issuers are configured.
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// The moment to decide for, such as 2026-11-22T10:00:00Z; CI tokens are short-lived.
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
}

pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let clock: Arc<dyn Clock> = match args.at {
        None => Arc::new(SystemClock::new()),
        Some(at) => {
            let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
            Arc::new(ManualClock::at(Duration::from_millis(millis)))
        }
    };
    let loaded = load::load(&args.config, &load::with_clock(clock));
    load::report(&loaded.problems);
    let Some(load::Built { settings, app, .. }) = loaded.built else {
        return ExitCode::from(BAD_CONFIG);
    };
    let mut token = String::new();
    if let Err(error) = std::io::stdin()
        .lock()
        .take(1 << 20)
        .read_to_string(&mut token)
    {
        out::error(format_args!(
            "error: the token cannot be read from standard input: {error}"
        ));
        return ExitCode::FAILURE;
    }
    if token.trim().is_empty() {
        out::error("there is no token on standard input: remint explain < token.jwt");
    }
    let issuer = match own_issuer(&settings.issuer, args.issuer.as_deref()) {
        Ok(issuer) => issuer,
        Err(words) => {
            out::error(format_args!("error: {words}"));
            return ExitCode::from(BAD_CONFIG);
        }
    };
    serve::block_on(LogFormat::Text, explain(&app, args, issuer, token.trim()))
}

/// The issuer that the token would have: one of those configured, or what a request's Host would make it.
fn own_issuer<'a>(configured: &'a Issuer, asked: Option<&'a str>) -> Result<&'a str, String> {
    match (configured, asked) {
        (Issuer::FromRequest, Some(issuer)) => Ok(issuer),
        (Issuer::FromRequest, None) => {
            Err("the issuer comes from each request: name one with --issuer http://HOST".to_owned())
        }
        (Issuer::Listed(issuers), Some(asked)) => {
            let known = issuers.iter().find(|issuer| *issuer == asked);
            let words = || format!("--issuer is one of {}", issuers.join(", "));
            known.map(String::as_str).ok_or_else(words)
        }
        (Issuer::Listed(issuers), None) => {
            let first = issuers.first().map(String::as_str);
            first.ok_or_else(|| "no issuer is configured".to_owned())
        }
    }
}

async fn explain(app: &App, args: &ExplainArgs, issuer: &str, token: &str) -> ExitCode {
    let scopes = args.scope.as_deref().unwrap_or_default();
    let scopes = scopes.split(' ').filter(|scope| !scope.is_empty());
    let scopes: Vec<_> = scopes.map(str::to_owned).collect();
    let mut targets = Targets::default();
    for audience in args.audience.iter().filter(|audience| !audience.is_empty()) {
        targets.audience(audience);
    }
    let mut verdicts = Verdicts::explain();
    let client = args
        .client
        .as_deref()
        .and_then(|id| identify(app, id, &mut verdicts));
    let request = Request {
        issuer,
        from: None,
        client: client.as_ref(),
        subject_token: Secret(token),
        may_be_opaque: true,
        connector_id: args.connector.as_deref(),
        actor_token: None,
        targets: &targets,
        scopes: &scopes,
        requested_token_type: TokenType::AccessToken,
        alg: None,
    };
    let decided = app
        .exchange()
        .decide(&request, &mut Event::default(), &mut verdicts)
        .await;
    let refusal = decided.as_ref().err().or(verdicts.refusal()).cloned();
    for line in verdicts.into_lines() {
        print(&line);
    }
    match (refusal, decided) {
        (Some(refusal), _) => refused(&refusal),
        (None, Ok(Some(issuable))) => issued(&issuable),
        (None, _) => ExitCode::FAILURE,
    }
}

/// The client with this id, as far as `/token` would let it come.
fn identify(app: &App, id: &str, verdicts: &mut Verdicts) -> Option<Identity> {
    let known = app.client(id).ok_or_else(|| {
        let words = format!("there is no client {id:?}");
        Refusal::new(Reason::ClientInvalid, words)
    });
    let known = verdicts.settle("client", known, |known| {
        let proved = if known.proved {
            "authenticated"
        } else {
            "public, and so proves nothing"
        };
        format!("{} is taken as {proved}", known.client.id)
    });
    let identity = known.ok().flatten()?;
    let grant = identity.client.check_grant(TOKEN_EXCHANGE);
    // A refusal is written down; the steps that follow are what they would say.
    let _ = verdicts.settle("grant", grant, |()| {
        format!("the client may use {TOKEN_EXCHANGE}")
    });
    Some(identity)
}

fn print(line: &Line) {
    let mark = match (line.refused, line.hypothetical) {
        (false, false) => "ok     ",
        (true, false) => "REFUSED",
        (false, true) => "(ok)   ",
        (true, true) => "(no)   ",
    };
    out::line(format_args!(
        "{mark}  {}: {}",
        line.step,
        redact(&line.text)
    ));
}

fn refused(refusal: &Refusal) -> ExitCode {
    out::line(format_args!("\nrefused: {}", refusal.reason.code()));
    out::line("Lines in parentheses are what the later steps would say.");
    match refusal.reason {
        Reason::KeysUnavailable
        | Reason::KeysTimedOut
        | Reason::KeysBusy
        | Reason::UserinfoUnavailable
        | Reason::UserinfoTimedOut
        | Reason::UserinfoBusy => ExitCode::from(KEYS_UNAVAILABLE),
        _ => ExitCode::from(1),
    }
}

fn issued(issuable: &Issuable) -> ExitCode {
    out::line("\nwould be issued, with these claims:");
    let claims = issuable.token.claims();
    match claims.and_then(|claims| serde_json::to_string_pretty(&claims)) {
        Ok(claims) => out::line(redact(&claims)),
        Err(error) => {
            out::error(format_args!("error: the claims cannot be shown: {error}"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
