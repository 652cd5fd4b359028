//! A program that serves its own pages and, under `/sts`, Remint.
//!
//! ```sh
//! cargo run --example embed -- site.toml 127.0.0.1:8080
//! ```
//!
//! The issuer of the configuration has that path: `issuer = "http://127.0.0.1:8080/sts"`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use hyper_util::service::TowerToHyperService;
use remint::app::{App, Surroundings};
use remint::config::{self, problems::Problems};
use remint::http::serve::{Limits, bind, serve};
use tokio::net::TcpListener;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply};

#[tokio::main]
async fn main() -> ExitCode {
    // The audit events come out here, too.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1);
    let site = arguments.next().unwrap_or_else(|| "site.toml".to_owned());
    let listen = arguments.next();
    let listener = bind(listen.as_deref().unwrap_or("127.0.0.1:8080")).await;
    let ended = async {
        let interrupted = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        run(Path::new(&site), listener?, interrupted).await
    };
    match ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until `stop`, then lets the requests in flight end.
pub(crate) async fn run(
    site: &Path,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let remint = remint(site)?;
    let background = remint.start();
    let own = warp::path!("hello").map(|| "hello from the host program\n".into_response());
    let routes = mount(&remint).or(own);
    // Any server does; this one limits its clients, and tells Remint their addresses.
    let service = TowerToHyperService::new(warp::service(routes));
    let shutdown = async {
        stop.await;
        // Tells load balancers that ask its health; `/healthz` belongs to the host unless it is mounted, too.
        remint.drain();
    };
    serve(vec![listener.into()], service, Limits::default(), shutdown).await;
    background.stop();
    Ok(())
}

/// Builds Remint from its configuration file and the key file that stands in it.
fn remint(site: &Path) -> Result<App, Box<dyn Error>> {
    let mut problems = Problems::new();
    let app = match config::load(site, config::process_environment(), &mut problems) {
        Some(settings) => {
            let keys = std::fs::read(&settings.keys.file)?;
            let machine = Surroundings::machine();
            App::build(&settings, Some(&keys), &machine, &mut problems)
        }
        None => None,
    };
    for problem in problems.iter() {
        tracing::warn!("{problem}");
    }
    app.ok_or_else(|| format!("{} has errors", site.display()).into())
}

/// Everything under `/sts`, and the one document that RFC 8414 puts elsewhere. The paths stay whole.
fn mount(remint: &App) -> BoxedFilter<(Response,)> {
    warp::path("sts")
        .or(warp::path!(
            ".well-known" / "oauth-authorization-server" / "sts"
        ))
        .unify()
        .and(remint.routes())
        .boxed()
}
