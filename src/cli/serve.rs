//! `remint serve`.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{BAD_CONFIG, LogFormat, load, logging, out};
use crate::app::App;
use crate::config::{Issuer, Settings};
use crate::http::serve::{self, Limits};
use crate::upstream::{SourceState, Upstreams};

/// Serves until a signal; an unusable configuration or address ends it before anything is served.
pub(super) fn run(config: &Path, format: LogFormat) -> ExitCode {
    let loaded = load::load(config, &load::machine());
    let Some((settings, app)) = loaded.built else {
        load::report(&loaded.problems);
        return ExitCode::from(BAD_CONFIG);
    };
    let _logs = logging::start(format);
    match format {
        LogFormat::Text => load::report(&loaded.problems),
        // A reader of JSON lines can do nothing with other ones.
        LogFormat::Json => load::log(&loaded.problems),
    }
    block_on(serve(&settings, app))
}

/// Runs `work` on a runtime of its own.
pub(super) fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            out::error(format_args!("error: the runtime cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: &Settings, app: App) -> ExitCode {
    let mut listeners = Vec::new();
    for address in &settings.server.listen {
        match serve::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                out::error(format_args!("error: {error}"));
                return ExitCode::FAILURE;
            }
        }
    }
    run_until_signal(app, listeners, |listeners| announce(settings, listeners)).await
}

/// Serves `app` on `listeners` until SIGTERM or SIGINT, then lets what is in flight finish.
///
/// `announce` is called once a signal no longer kills: who reads it may send one at once.
pub(super) async fn run_until_signal(
    app: App,
    listeners: Vec<TcpListener>,
    announce: impl FnOnce(&[TcpListener]),
) -> ExitCode {
    let stop = match stop_signal() {
        Ok(stop) => stop,
        Err(error) => {
            out::error(format_args!("error: signals cannot be handled: {error}"));
            return ExitCode::FAILURE;
        }
    };
    announce(&listeners);
    let maintenance = app.start();
    let service = TowerToHyperService::new(warp::service(app.routes()));
    let app = &app;
    let shutdown = async move {
        stop.await;
        tracing::info!("stopping: requests in flight have 10 s to finish");
        app.drain();
    };
    let serving = serve::serve(listeners, service, Limits::default(), shutdown);
    let mut serving = std::pin::pin!(serving);
    let drained = tokio::select! {
        drained = &mut serving => drained,
        () = tell_connectors(app) => serving.await,
    };
    maintenance.stop();
    if drained.abandoned > 0 {
        tracing::warn!(abandoned = drained.abandoned, "requests were cut off");
    }
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

fn announce(settings: &Settings, listeners: &[TcpListener]) {
    let issuer = match &settings.issuer {
        Issuer::Listed(issuers) => issuers.join(", "),
        Issuer::FromRequest => "from-request".to_owned(),
    };
    for listener in listeners {
        match listener.local_addr() {
            Ok(address) => {
                tracing::info!(issuer, "listening on http://{address}");
            }
            Err(error) => tracing::warn!("a listener does not tell its address: {error}"),
        }
    }
    if let Some(proxies) = Upstreams::proxies() {
        tracing::info!("upstream keys are fetched through {proxies}");
    }
}

/// Logs the state of each connector's keys, once each was tried for the first time.
async fn tell_connectors(app: &App) {
    for connector in app.connectors().iter() {
        while connector.keys.status().state == SourceState::NeverFetched {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let status = connector.keys.status();
        if status.is_degraded() {
            tracing::warn!(connector = %connector.id, issuer = connector.issuer, "keys: {status}");
        } else {
            tracing::info!(connector = %connector.id, issuer = connector.issuer, "keys: {status}");
        }
    }
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
