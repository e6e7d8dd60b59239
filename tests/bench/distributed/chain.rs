//! B1 chain, B4 diamonds, B5 start latency: how long one step waits for another.

use std::time::{Duration, Instant};

use autopack_wire::types::Attempt;

use crate::calibrate::Calibration;
use crate::numbers::{Line, percentile};
use crate::rig::{Rig, chained, free, micros};

/// B1: one run, phases in sequence, one slot. With an empty body the gap between two leases is the whole cycle.
pub(crate) async fn chain(phases: usize, calibration: &Calibration) -> Vec<Line> {
    let rig = Rig::start(1, 1);
    rig.prepare("warm", 20, chained).await;
    rig.begin("warm").await;
    rig.finish("warm").await;
    rig.prepare("chain", phases, chained).await;
    let before = rig.counted();
    rig.begin("chain").await;
    rig.finish("chain").await;
    let per_phase = rig.per_phase("B1", &before, phases);
    let mut leased = leases(&rig.attempts("chain").await);
    leased.sort_unstable();
    let gaps: Vec<Duration> = leased.windows(2).map(|w| between(w[0], w[1])).collect();
    let p50 = percentile(&gaps, 0.5);
    let mut lines = vec![
        Line::plain("B1", format!("chain of {phases}: gap p50"), p50, "ms"),
        Line::plain(
            "B1",
            "gap p50 as a ratio to the floor of B0",
            p50 / calibration.chain_floor(),
            "x",
        )
        .at_most(3.0, "first aim"),
        Line::plain("B1", "gap p90", percentile(&gaps, 0.9), "ms"),
        Line::plain("B1", "gap p99", percentile(&gaps, 0.99), "ms"),
    ];
    lines.extend(per_phase);
    lines
}

fn leases(attempts: &[Attempt]) -> Vec<i64> {
    let times = attempts.iter().filter(|a| a.lease_time.is_some());
    times.map(|a| micros(a.lease_time.as_ref())).collect()
}

fn between(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or(0))
}

/// B4: one phase, 50 that wait for it, one that waits for all of them.
pub(crate) async fn diamonds(runs: usize) -> Vec<Line> {
    let rig = Rig::start(2, 8);
    let shape = |n: usize| match n {
        0 => free(0),
        51 => {
            let all: Vec<String> = (1..51).map(|n| format!("\"P{n}\"")).collect();
            format!(r#""depends_on": [{}]"#, all.join(", "))
        }
        _ => r#""depends_on": ["P0"]"#.to_owned(),
    };
    let mut joins = Vec::new();
    for n in 0..runs {
        let id = format!("diamond-{n}");
        rig.prepare(&id, 52, shape).await;
        rig.begin(&id).await;
        rig.finish(&id).await;
        let attempts = rig.attempts(&id).await;
        let (join, others): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|a| a.phase == 51);
        let last = others.iter().map(|a| micros(a.finish_time.as_ref())).max();
        joins.push(between(last.unwrap(), leases(&join)[0]));
    }
    vec![
        Line::plain(
            "B4",
            format!("{runs} times 1, 50, 1: last end to the join's lease, p50"),
            percentile(&joins, 0.5),
            "ms",
        ),
        Line::plain("B4", "the same, p99", percentile(&joins, 0.99), "ms"),
    ]
}

/// B5: from the call that starts a run to its first lease, on an idle engine.
pub(crate) async fn start_latency(starts: usize) -> Vec<Line> {
    let rig = Rig::start(2, 2);
    let spans = started(&rig, "bench", starts).await;
    vec![
        Line::plain(
            "B5",
            "start call to first lease seen, idle, p50",
            percentile(&spans, 0.5),
            "ms",
        ),
        Line::plain(
            "B5",
            "start call to first lease seen, idle, p99",
            percentile(&spans, 0.99),
            "ms",
        ),
    ]
}

/// So many one-phase runs of a project, one after the other: from the call to the first lease seen.
pub(crate) async fn started(rig: &Rig, project: &str, starts: usize) -> Vec<Duration> {
    let mut spans = Vec::with_capacity(starts);
    for n in 0..starts {
        let id = format!("start-{project}-{n}");
        rig.prepare_in(project, &id, 1, free).await;
        let start = Instant::now();
        rig.begin(&id).await;
        rig.wait(&id, |run| run.first_lease_time.is_some()).await;
        spans.push(start.elapsed());
        rig.finish(&id).await;
    }
    spans
}
