//! B11 a noisy neighbour; B12 what tracing costs.

use crate::chain::started;
use crate::load;
use crate::numbers::{Line, percentile};
use crate::rig::{Rig, free, span};

/// B11: one project floods the queue, another starts a run of one phase now and then.
pub(crate) async fn noisy_neighbour(flood: usize, starts: usize) -> Vec<Line> {
    let rig = Rig::start(4, 4);
    let alone = started(&rig, "quiet", starts).await;
    // Several runs: one run's phases are limited by its own budget of phases at a time.
    let share = flood.div_ceil(10);
    for n in 0..10 {
        rig.prepare_in("noisy", &format!("flood-{n}"), share, free)
            .await;
    }
    for n in 0..10 {
        rig.begin(&format!("flood-{n}")).await;
    }
    let beside = started(&rig, "beside", starts).await;
    let halves = [&alone, &beside].map(|spans| percentile(spans, 0.5));
    let [alone, beside] = [&alone, &beside].map(|spans| percentile(spans, 0.99));
    vec![
        Line::plain(
            "B11",
            "start call to first lease, alone, p50",
            halves[0],
            "ms",
        ),
        Line::plain(
            "B11",
            "the same beside the other project, p50",
            halves[1],
            "ms",
        ),
        Line::plain("B11", "start call to first lease, alone, p99", alone, "ms"),
        Line::plain(
            "B11",
            format!("the same beside {flood} phases of another project, p99"),
            beside,
            "ms",
        ),
        Line::plain("B11", "ratio", beside / alone, "x").at_most(3.0, "first aim"),
    ]
}

/// How long a run takes whose phases sleep for 50 ms, one after the other, in seconds. `exporter` is where traces go.
async fn sleepers(phases: usize, exporter: &str) -> f64 {
    let rig = Rig::with(1, 1, &[("OTEL_EXPORTER_OTLP_ENDPOINT", exporter)]);
    let sleeper = |n| {
        format!(
            r#""scope": {{"paths": ["*.txt"]}}, "builder": {{"kind": "command", "run": "sleep 0.05; echo x > P{n}.txt"}}"#
        )
    };
    rig.prepare("sleepers", phases, sleeper).await;
    rig.begin("sleepers").await;
    span(&[rig.finish("sleepers").await])
}

/// B12: B2 with traces sent to a collector and without, in turn.
pub(crate) async fn tracing_cost(runs: (usize, usize), collector: &str) -> Vec<Line> {
    let (mut off, mut on) = (0.0, 0.0);
    for _ in 0..2 {
        off += load::runs(runs, 2, "").await[0].value;
        on += load::runs(runs, 2, collector).await[0].value;
    }
    let cost = (1.0 - on / off) * 100.0;
    let phases = runs.1 * 10;
    let (mut plain, mut traced) = (0.0, 0.0);
    for _ in 0..2 {
        plain += sleepers(phases, "").await;
        traced += sleepers(phases, collector).await;
    }
    let slower = (traced / plain - 1.0) * 100.0;
    vec![
        Line::plain("B12", "cost of tracing on phases of 50 ms", slower, "%")
            .at_most(5.0, "first aim"),
        Line::plain(
            "B12",
            "B2 without traces, mean of two",
            off / 2.0,
            "phases/s",
        ),
        Line::plain(
            "B12",
            "B2 with every span sent, mean of two",
            on / 2.0,
            "phases/s",
        ),
        Line::plain("B12", "cost of tracing on no-op phases", cost, "%"),
    ]
}
