//! The results as tables to read.

use super::measure::Results;

pub(crate) fn print(results: &Results) {
    let raw = &results.raw;
    println!(
        "aws-lc-rs alone, us: RSA-2048 sign {:.1}, verify {:.1}; P-256 sign {:.1}, verify {:.1}\n",
        raw.rsa_sign, raw.rsa_verify, raw.p256_sign, raw.p256_verify
    );
    println!(
        "| way in | subject | issued | exchanges/s | p50 ms | p99 ms | CPU us | limit/s | ratio | CPU ratio |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for row in &results.exchanges {
        println!(
            "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} | {:.2} | {:.2} |",
            row.way,
            row.subject.unwrap_or("-"),
            row.issued,
            row.per_second,
            row.p50_ms,
            row.p99_ms,
            row.cpu_us,
            row.limit,
            row.ratio,
            row.cpu_ratio,
        );
    }
    println!("\n| simple, ES256 to ES256, with | exchanges/s | CPU us | p99 ms | resident MiB |");
    println!("|---|--:|--:|--:|--:|");
    for row in &results.circumstances {
        println!(
            "| {} | {:.0} | {:.1} | {:.2} | {:.1} |",
            row.what, row.per_second, row.cpu_us, row.p99_ms, row.memory_mib
        );
    }
    println!("\n| while RS256 saturates the core | p99 ms |\n|---|--:|");
    for row in &results.beside {
        let (path, connections) = (row.path, row.signing_connections);
        println!(
            "| {path} beside {connections} connections | {:.2} |",
            row.p99_ms
        );
    }
    println!("\n| else | |\n|---|--:|");
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
    println!(
        "| binary, MiB | {:.1} |",
        results.binary_mib.as_f64().unwrap_or(f64::NAN)
    );
}
