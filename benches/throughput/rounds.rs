//! Several servers measured in turns, each turn beside the bare operations at that moment.
//!
//! A shared machine is a third slower at one moment than at the next. What is compared is therefore
//! measured within half a second, again and again, and the median counts. A turn behind which the
//! machine is not as fast as before it is taken again.

use std::time::Duration;

use serde::Serialize;

use super::load::{Load, Pace, Target, as_f64, drive};
use super::probe::Probe;
use super::process::Process;

/// By which share the machine may change its speed during a turn.
const STEADY: f64 = 0.04;

/// One thing that is measured: a server under some load.
pub(crate) struct Entry<'a> {
    pub(crate) process: &'a Process,
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// The bare operations of one exchange.
    pub(crate) operations: Vec<String>,
}

/// What a saturated server came to; medians over the turns. Costs are in microseconds.
#[derive(Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_us: f64,
    /// Exchanges a second if nothing but the verification and the signature cost anything.
    pub(crate) limit: f64,
    /// The rate as a share of the limit of the same moment.
    pub(crate) ratio: f64,
    /// The same by processor time, which other processes on the core disturb less.
    pub(crate) cpu_ratio: f64,
    /// Processor time per exchange against that of the first entry in the same turn.
    pub(crate) cpu_to_first: f64,
    /// That of the bare server in the same turn as a share of it, where that was measured.
    pub(crate) of_bare_server: Option<f64>,
    /// Resident memory under load, at most.
    pub(crate) memory_mib: f64,
}

/// How long and how often.
#[derive(Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) count: usize,
    pub(crate) length: Duration,
    /// How often at most one is taken again.
    pub(crate) again: usize,
}

struct Turn {
    load: Load,
    cpu_us: f64,
    /// The bare operations, before and behind.
    bare_us: [f64; 2],
    memory_mib: f64,
}

impl Turn {
    fn bare_us(&self) -> f64 {
        self.bare_us.iter().sum::<f64>() / 2.0
    }

    fn is_steady(&self) -> bool {
        let [before, behind] = self.bare_us;
        (before / behind - 1.0).abs() < STEADY
    }

    /// Processor time per exchange in bare operations.
    fn cost(&self) -> f64 {
        self.cpu_us / self.bare_us()
    }
}

/// Measures each entry in turns.
pub(crate) async fn measure(
    probe: &mut Probe,
    entries: &[Entry<'_>],
    turns: Turns,
) -> Vec<Measured> {
    let all = take(probe, entries, turns).await;
    all.iter().map(|own| sum_up(own, &all[0])).collect()
}

/// The same, each turn against one of the bare server.
pub(crate) async fn measure_against(
    probe: &mut Probe,
    bare: Entry<'_>,
    mut entries: Vec<Entry<'_>>,
    turns: Turns,
) -> Vec<Measured> {
    entries.push(bare);
    let mut all = take(probe, &entries, turns).await;
    let bare = all.pop().expect("its turns");
    let summed = all.iter().map(|own| Measured {
        of_bare_server: Some(over_turns(&bare, own)),
        ..sum_up(own, &all[0])
    });
    summed.collect()
}

async fn take(probe: &mut Probe, entries: &[Entry<'_>], turns: Turns) -> Vec<Vec<Turn>> {
    let mut all: Vec<Vec<Turn>> = entries.iter().map(|_| Vec::new()).collect();
    for _ in 0..turns.count {
        for (entry, own) in entries.iter().zip(&mut all) {
            let mut last = turn(probe, entry, turns.length).await;
            for _ in 0..turns.again {
                if last.is_steady() {
                    break;
                }
                last = turn(probe, entry, turns.length).await;
            }
            own.push(last);
        }
    }
    all
}

async fn turn(probe: &mut Probe, entry: &Entry<'_>, length: Duration) -> Turn {
    let before = probe.cost(&entry.operations);
    let (mut cpu, mut memory_mib) = (Vec::new(), 0.0);
    let edge = || {
        cpu.push(entry.process.cpu_us());
        memory_mib = entry.process.memory_mib();
    };
    let load = drive(&entry.target, entry.connections, Pace::Flat, length, edge).await;
    Turn {
        cpu_us: (cpu[1] - cpu[0]) / as_f64(load.count()),
        load,
        bare_us: [before, probe.cost(&entry.operations)],
        memory_mib,
    }
}

fn sum_up(turns: &[Turn], first: &[Turn]) -> Measured {
    let over = |value: &dyn Fn(&Turn) -> f64| median(turns.iter().map(value).collect());
    Measured {
        per_second: over(&|turn| turn.load.rate()),
        p50_ms: over(&|turn| turn.load.quantile_ms(0.5)),
        p99_ms: over(&|turn| turn.load.quantile_ms(0.99)),
        cpu_us: over(&|turn| turn.cpu_us),
        limit: over(&|turn| 1e6 / turn.bare_us()),
        ratio: over(&|turn| turn.load.rate() * turn.bare_us() / 1e6),
        cpu_ratio: over(&|turn| 1.0 / turn.cost()),
        cpu_to_first: over_turns(turns, first),
        of_bare_server: None,
        memory_mib: turns.iter().map(|turn| turn.memory_mib).fold(0.0, f64::max),
    }
}

/// What an exchange costs against what the other takes for it, turn by turn.
fn over_turns(own: &[Turn], other: &[Turn]) -> f64 {
    let pairs = own.iter().zip(other);
    median(
        pairs
            .map(|(own, other)| own.cost() / other.cost())
            .collect(),
    )
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
