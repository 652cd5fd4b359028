//! `remint serve`.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::listeners::Listeners;
use super::{BAD_CONFIG, LogFormat, load, logging, out};
use crate::app::App;
use crate::config::{Issuer, Settings};
use crate::http::Role;
use crate::http::serve::{Drained, Limits, Listener, serve};
use crate::upstream::Upstreams;

/// What the listeners beside the main ones may take up; their replies are short.
const BESIDE: Limits = Limits {
    drain: Duration::from_secs(2),
    ..Limits::DEFAULT
};
/// The admin listener has few callers.
const ADMIN: Limits = Limits {
    max_connections: 100,
    ..BESIDE
};

/// How many tasks run before the runtime looks for new requests. Each may be an RSA signature, so its own
/// choice, 61, would keep a health check waiting for 20 ms.
const BETWEEN_EVENTS: u32 = 8;

/// Serves until a signal; an unusable configuration or address ends it before anything is served.
pub(super) fn run(config: &Path, format: LogFormat) -> ExitCode {
    let loaded = load::load(config, &load::machine());
    let Some((settings, app)) = loaded.built else {
        load::report(&loaded.problems);
        return ExitCode::from(BAD_CONFIG);
    };
    let Some(_logs) = logging::start(format) else {
        return ExitCode::FAILURE;
    };
    match format {
        LogFormat::Text => load::report(&loaded.problems),
        // A reader of JSON lines can do nothing with other ones.
        LogFormat::Json => load::log(&loaded.problems),
    }
    block_on(listen(&settings, app))
}

/// Runs `work` on a runtime of its own.
pub(super) fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(BETWEEN_EVENTS)
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            out::error(format_args!("error: the runtime cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn listen(settings: &Settings, app: App) -> ExitCode {
    let Some(stop) = stop_signal() else {
        return ExitCode::FAILURE;
    };
    let listeners = match Listeners::open(&settings.server).await {
        Ok(listeners) => listeners,
        Err(error) => {
            out::error(format_args!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    listeners.announce(&match &settings.issuer {
        Issuer::Listed(issuers) => issuers.join(", "),
        Issuer::FromRequest => "from-request".to_owned(),
    });
    if let Some(proxies) = Upstreams::proxies() {
        tracing::info!("upstream keys are fetched through {proxies}");
    }
    run_until(stop, app, listeners).await
}

/// Serves `app` on `listeners` until `stop`, then lets what is in flight finish.
pub(super) async fn run_until(
    stop: impl Future<Output = ()>,
    app: App,
    listeners: Listeners,
) -> ExitCode {
    let maintenance = app.start();
    let app = &app;
    let shutdown = async move {
        stop.await;
        tracing::info!("stopping: requests in flight have 10 s to finish");
        app.drain();
    };
    // The others tell what goes on, so they stay until the main listeners have drained.
    let (up, gone) = watch::channel(());
    let beside = |role, listeners, limits| {
        let mut gone = gone.clone();
        tokio::spawn(answer(app, role, listeners, limits, async move {
            let _ = gone.changed().await;
        }))
    };
    let metadata = beside(Role::Metadata, listeners.metadata, BESIDE);
    let admin = beside(Role::Admin, listeners.admin, ADMIN);
    let main = answer(app, Role::Main, listeners.main, Limits::DEFAULT, shutdown);
    let mut main = std::pin::pin!(main);
    let drained = tokio::select! {
        drained = &mut main => drained,
        () = tell_connectors(app) => main.await,
    };
    drop(up);
    let _ = tokio::join!(metadata, admin);
    maintenance.stop();
    if drained.abandoned > 0 {
        tracing::warn!(abandoned = drained.abandoned, "requests were cut off");
    }
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

/// Serves what belongs to `role`, until `shutdown`.
fn answer<F: Future<Output = ()>>(
    app: &App,
    role: Role,
    listeners: Vec<Listener>,
    limits: Limits,
    shutdown: F,
) -> impl Future<Output = Drained> + use<F> {
    let service = TowerToHyperService::new(warp::service(app.routes_for(role)));
    serve(listeners, service, limits, shutdown)
}

/// Logs the state of each connector's keys, once each was tried for the first time.
async fn tell_connectors(app: &App) {
    for connector in app.connectors().iter() {
        while connector.keys.status().is_untried() {
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

/// Waits for SIGTERM or SIGINT. From the call on neither kills, so call it before there is anything
/// to tidy up, and before anybody is told that it runs; `None` after having said what is wrong.
pub(super) fn stop_signal() -> Option<impl Future<Output = ()>> {
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    match signals {
        Ok((mut terminate, mut interrupt)) => Some(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }),
        Err(error) => {
            out::error(format_args!("error: signals cannot be handled: {error}"));
            None
        }
    }
}
