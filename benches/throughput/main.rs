//! How close an exchange comes to its limit, the bare signature and verification.
//!
//! `cargo bench --bench throughput` prints tables; `-- --json` the same for machines; `-- --smoke`
//! sends a few requests each way and measures nothing worth reading. The server runs as its own process
//! on core 0, the load comes from core 1. Only ratios within one run compare: machines differ, and
//! so do hours.
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

mod cores;
mod load;
mod measure;
mod raw;
mod report;
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

use remint::clock::{Clock, SystemClock};

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemClock::new().unix().as_secs()
}

fn main() {
    let has = |switch: &str| env::args().any(|argument| argument == switch);
    if has(raw::SWITCH) {
        return raw::print();
    }
    let smoke = has("--smoke");
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
    let results = runtime.block_on(measure::all(smoke));
    if has("--json") {
        println!(
            "{}",
            serde_json::to_string_pretty(&results).expect("plain values")
        );
    } else if smoke {
        println!("{} ways in answered", results.exchanges.len());
    } else {
        report::print(&results);
    }
}
