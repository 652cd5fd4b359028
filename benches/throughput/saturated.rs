//! What only shows at and below the highest rate of RS256.

use super::cores::{PINNED, move_to};
use super::load::{Connect, Pace, Target, drive};
use super::measure::{BUSY, Bench, Beside, Results};
use super::rounds::{Entry, Turns, measure, median};
use super::site::{Server, Site, Way};

/// Measures it.
pub(crate) async fn measure_all(bench: &mut Bench<'_>, results: &mut Results) {
    let server = bench.start(bench.site("RS256")).await;
    let signing = server.target(Way::Simple, "RS256", Connect::Kept);
    let operations = vec!["verify-RS256".to_owned(), "sign-RS256".to_owned()];
    let one = measure(
        &mut bench.probe,
        &[entry(&server, &signing, &operations)],
        bench.turns,
    )
    .await;
    let length = bench.turns.length * 6;
    let half = Pace::Rate(one[0].per_second / 2.0);
    let mut p99 = Vec::new();
    for _ in 0..5 {
        let load = drive(&signing, BUSY, half, length, || ()).await;
        p99.push(load.quantile_ms(0.99));
    }
    results.half_rate_p99_ms = Some(median(p99));
    for signing_connections in [BUSY, 1000] {
        for path in ["/healthz", "/.well-known/jwks.json"] {
            let small = server.get(path);
            let mut p99 = Vec::new();
            for _ in 0..3 {
                let (_, beside) = tokio::join!(
                    drive(&signing, signing_connections, Pace::Flat, length * 2, || ()),
                    async {
                        // All connections begin at once, which is a burst, and not what is measured here.
                        tokio::time::sleep(length / 2).await;
                        drive(&small, 4, Pace::Rate(200.0), length, || ()).await
                    },
                );
                p99.push(beside.quantile_ms(0.99));
            }
            results.beside.push(Beside {
                path,
                signing_connections,
                p99_ms: median(p99),
            });
        }
    }
    if !*PINNED {
        return;
    }
    let both = Site {
        cores: "0,1",
        ..bench.site("RS256")
    };
    let both = bench.start(both).await;
    let target = both.target(Way::Simple, "RS256", Connect::Kept);
    let mut gains = Vec::new();
    let single = Turns {
        count: 1,
        ..bench.turns
    };
    for _ in 0..bench.turns.count {
        let one = measure(
            &mut bench.probe,
            &[entry(&server, &signing, &operations)],
            single,
        )
        .await;
        move_to("0,1");
        let two = measure(
            &mut bench.probe,
            &[entry(&both, &target, &operations)],
            single,
        )
        .await;
        move_to("1");
        gains.push(two[0].per_second / one[0].per_second);
    }
    results.two_cores = Some(median(gains));
}

fn entry<'a>(server: &'a Server, target: &Target, operations: &[String]) -> Entry<'a> {
    Entry {
        process: &server.process,
        target: target.clone(),
        connections: BUSY,
        operations: operations.to_vec(),
    }
}
