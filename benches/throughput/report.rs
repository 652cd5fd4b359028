//! The results as tables to read.

use super::measure::Results;

pub(crate) fn print(results: &Results) {
    let raw: Vec<_> = results
        .raw
        .iter()
        .map(|(name, cost)| format!("{name} {cost:.1}"))
        .collect();
    println!("aws-lc-rs alone, us: {}\n", raw.join(", "));
    exchanges(results);
    if !results.circumstances.is_empty() {
        println!(
            "\n| simple, ES256 to ES256, with | exchanges/s | CPU us | CPU to first | p99 ms | resident MiB |"
        );
        println!("|---|--:|--:|--:|--:|--:|");
    }
    for row in &results.circumstances {
        let it = &row.measured[0];
        println!(
            "| {} | {:.0} | {:.1} | {:.2} | {:.2} | {:.1} |",
            row.name, it.per_second, it.cpu_us, it.cpu_to_first, it.p99_ms, it.memory_mib
        );
    }
    println!("\n| else | |\n|---|--:|");
    for row in &results.beside {
        println!(
            "| p99 of {} beside {} connections that saturate RS256, ms | {:.2} |",
            row.path, row.signing_connections, row.p99_ms
        );
    }
    for flood in &results.floods {
        println!(
            "| p99 beside a flood of {}, over quiet (ms) | {:.2} ({:.2} / {:.2}) |",
            flood.what, flood.ratio, flood.p99_ms, flood.quiet_p99_ms
        );
    }
    let known = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    println!(
        "| p99 at half of the highest RS256 rate, ms | {} |",
        known(results.half_rate_p99_ms)
    );
    println!(
        "| two cores over one, RS256 | {} |",
        known(results.two_cores)
    );
    println!(
        "| exec to first exchange, 10 connectors, ms | {:.1} |",
        results.first_reply_ms
    );
    println!("| resident idle, MiB | {:.1} |", results.idle_mib);
    for binary in &results.binary_mib {
        println!("| binary, MiB | {binary:.1} |");
    }
}

fn exchanges(results: &Results) {
    println!(
        "| way in | subject | issued | exchanges/s | p50 ms | p99 ms | CPU us | of bare hyper | of bare signatures | CPU to first |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in &results.exchanges {
        for it in &row.measured {
            println!(
                "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.2} |",
                row.name,
                it.per_second,
                it.p50_ms,
                it.p99_ms,
                it.cpu_us,
                it.of_bare_server.unwrap_or(f64::NAN),
                it.cpu_ratio,
                it.cpu_to_first,
            );
        }
    }
}
