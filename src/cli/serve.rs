//! `remint serve`.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinError;

use super::listeners::Listeners;
use super::reload::{Hangup, InForce, Reloading};
use super::{BAD_CONFIG, LogFormat, activation, descriptors, load, logging, notify};
use crate::app::App;
use crate::config::{self, Issuer};
use crate::http::serve::{Drained, Limits, Listener, serve_counted};
use crate::http::{Front, Role};
use crate::upstream::Upstreams;

/// How long the main listeners stay open once readiness says 503, so that load balancers see it.
const NOTICE: Duration = Duration::from_secs(1);

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
    let passed = activation::take();
    let surroundings = load::machine();
    let loaded = load::load(config, &surroundings);
    let Some(built) = loaded.built else {
        logging::report(format, &loaded.problems);
        return ExitCode::from(BAD_CONFIG);
    };
    let dropped_lines = built.app.front().dropped_lines().clone();
    let Some(_logs) = logging::start(format, dropped_lines) else {
        return ExitCode::FAILURE;
    };
    match format {
        LogFormat::Text => load::report(&loaded.problems),
        // A reader of JSON lines can do nothing with other ones.
        LogFormat::Json => load::log(&loaded.problems),
    }
    let load::Built { settings, app, tls } = built;
    block_on(format, async move {
        let (stop, hangup) = match (Stop::listen(), Hangup::listen()) {
            (Ok(stop), Ok(hangup)) => (stop, hangup),
            (Err(error), _) | (_, Err(error)) => {
                logging::fail(format, error);
                return ExitCode::FAILURE;
            }
        };
        let reloading = Reloading {
            config: config.to_owned(),
            hangup,
            started: settings,
            tls: tls.map(Arc::new),
            watched: loaded.watched,
            clock: surroundings.clock,
        };
        let opened = open(&reloading, passed).await;
        match opened {
            Ok(listeners) => listen(stop, app, reloading, listeners).await,
            Err(error) => {
                logging::fail(format, error);
                ExitCode::FAILURE
            }
        }
    })
}

/// Runs `work` on a runtime of its own; says on standard error, as `format` has it, where there can be none.
pub(super) fn block_on(format: LogFormat, work: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(BETWEEN_EVENTS)
        .build()
    {
        Ok(runtime) => {
            let status = runtime.block_on(work);
            // What still waits for a name server or a hash is not waited for.
            runtime.shutdown_background();
            status
        }
        Err(error) => {
            logging::fail(format, format_args!("the runtime cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Sockets that were passed to the process, or why they cannot be used.
type Passed = Result<Vec<(Option<activation::Use>, activation::Passed)>, String>;

/// Opens every listener, or says why one cannot be.
async fn open(reloading: &Reloading, passed: Passed) -> Result<Listeners, String> {
    let settings = &reloading.started;
    descriptors::raise(settings.limits.max_connections);
    Listeners::open(&settings.server, reloading.tls.as_ref(), passed?).await
}

async fn listen(stop: Stop, app: App, reloading: Reloading, listeners: Listeners) -> ExitCode {
    let settings = &reloading.started;
    listeners.announce(&match &settings.issuer {
        Issuer::Listed(issuers) => issuers.join(", "),
        Issuer::FromRequest => "from-request".to_owned(),
    });
    load::log_key_schedule(&app);
    if let Some(proxies) = Upstreams::proxies() {
        tracing::info!("upstream keys are fetched through {proxies}");
    }
    let limits = settings.limits;
    run_until(stop, app, Some(reloading), listeners, limits, NOTICE).await
}

/// Serves `app` on `listeners` until `stop`, then lets what is in flight finish, unless told to stop again.
///
/// For `notice` the main listeners stay open while readiness already says that they will not.
pub(super) async fn run_until(
    mut stop: Stop,
    app: App,
    reloading: Option<Reloading>,
    listeners: Listeners,
    limits: config::Limits,
    notice: Duration,
) -> ExitCode {
    let (end, mut told) = watch::channel(());
    let front = app.front().clone();
    let upkeep = tokio::spawn(keep_up(app, reloading));
    let serving = serve_all(front.clone(), listeners, limits, notice, async move {
        let _ = told.changed().await;
    });
    // On a worker, so that what accepts connections shares a thread with them and does not wake another for each.
    let mut serving = tokio::spawn(serving);
    notify::ready();
    tokio::select! {
        // It ends only after it was told to.
        served = &mut serving => return status_of(&served),
        () = stop.again() => {}
    }
    tracing::info!("stopping: requests in flight have 10 s to finish");
    notify::stopping();
    front.drain();
    drop(end);
    let status = tokio::select! {
        served = &mut serving => status_of(&served),
        () = stop.again() => {
            tracing::warn!("told to stop again: requests in flight were cut off");
            ExitCode::FAILURE
        }
    };
    upkeep.abort();
    front.sum_up();
    status
}

/// A panic has been printed where it happened.
fn status_of(served: &Result<(), JoinError>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Fetches upstream keys, and follows the configuration where it may change.
async fn keep_up(app: App, reloading: Option<Reloading>) {
    let in_force = InForce::first(app);
    match reloading {
        Some(reloading) => reloading.run(in_force).await,
        None => std::future::pending().await,
    }
}

/// Serves on all listeners until `shutdown`, and until they have drained.
async fn serve_all(
    front: Front,
    listeners: Listeners,
    limits: config::Limits,
    notice: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    // The others tell what goes on, so they stay until the main listeners have drained.
    let (up, gone) = watch::channel(());
    let beside = |role, listeners, limits| {
        let mut gone = gone.clone();
        tokio::spawn(answer(&front, role, listeners, limits, async move {
            let _ = gone.changed().await;
        }))
    };
    let max_connections = limits.max_connections;
    let limits = Limits {
        max_connections,
        ..BESIDE
    };
    let metadata = beside(Role::Metadata, listeners.metadata, limits);
    let admin = beside(Role::Admin, listeners.admin, ADMIN);
    let limits = Limits {
        notice,
        max_connections,
        ..Limits::DEFAULT
    };
    let drained = answer(&front, Role::Main, listeners.main, limits, shutdown).await;
    drop(up);
    let _ = tokio::join!(metadata, admin);
    if drained.abandoned > 0 {
        tracing::warn!(abandoned = drained.abandoned, "requests were cut off");
    }
    tracing::info!("stopped");
}

/// Serves what belongs to `role`, until `shutdown`.
fn answer<F: Future<Output = ()>>(
    front: &Front,
    role: Role,
    listeners: Vec<Listener>,
    limits: Limits,
    shutdown: F,
) -> impl Future<Output = Drained> + use<F> {
    let service = TowerToHyperService::new(warp::service(front.routes_for(role)));
    let counts = front.connections().of(role);
    serve_counted(listeners, service, limits, counts, shutdown)
}

/// SIGTERM and SIGINT. Once it is there neither kills, so it comes before there is anything to tidy up, and
/// before anybody is told that it runs.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes both signals, or says why that cannot be.
    pub(super) fn listen() -> Result<Self, String> {
        let take =
            |kind| signal(kind).map_err(|error| format!("signals cannot be handled: {error}"));
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
