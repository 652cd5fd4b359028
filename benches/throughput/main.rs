//! How close an exchange comes to a bare hyper server that makes the same signatures, and to the signatures alone.
//!
//! `cargo bench --bench throughput` prints tables; `-- --json` the same for machines; `-- --smoke`
//! sends a few requests each way and measures nothing worth reading. `-- --only TEXT` keeps to the rows
//! whose name holds TEXT (or to `circumstances`, `saturated` or `floods`), `-- --turns N` takes N turns for each row
//! instead of 9, and `-- --server A --server B` measures these binaries against each other. The
//! server runs as its own process on core 0, the load comes from core 1. Only ratios within one run
//! compare: machines differ, and so do moments.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark: whatever goes wrong ends it, and it takes the time"
)]

mod bare;
mod certificate;
mod cores;
mod exchanges;
mod floods;
mod load;
mod measure;
mod operations;
mod probe;
mod process;
mod report;
mod rounds;
mod saturated;
mod site;

#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/keys.rs"]
mod keys;
#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/shapes.rs"]
mod shapes;
#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/tokens.rs"]
mod tokens;

use std::env;
use std::path::PathBuf;

use remint::clock::{Clock, SystemClock};

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemClock::new().unix().as_secs()
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |switch: &str| arguments.iter().any(|argument| argument == switch);
    let values = |switch: &str| {
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        let values = pairs.filter(|(name, _)| *name == switch);
        values.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    if has(probe::SWITCH) {
        return probe::serve();
    }
    if let Some(folder) = values(bare::SWITCH).pop() {
        return bare::serve(folder.as_ref());
    }
    let mut servers: Vec<PathBuf> = values("--server").into_iter().map(PathBuf::from).collect();
    if servers.is_empty() {
        servers.push(env!("CARGO_BIN_EXE_remint").into());
    }
    let options = measure::Options {
        smoke: has("--smoke"),
        only: values("--only").pop(),
        turns: values("--turns")
            .pop()
            .map(|turns| turns.parse().expect("--turns takes a number")),
        servers,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    cores::move_to("1");
    if !*cores::PINNED {
        eprintln!(
            "taskset or a second core is missing: nothing is pinned, so the ratios mean little"
        );
    }
    let results = runtime.block_on(measure::all(&options));
    if has("--json") {
        println!(
            "{}",
            serde_json::to_string_pretty(&results).expect("plain values")
        );
    } else if options.smoke {
        println!("{} ways in answered", results.exchanges.len());
    } else {
        report::print(&results);
    }
}
