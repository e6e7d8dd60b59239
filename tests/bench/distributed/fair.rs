//! B11 a noisy neighbour; B12 what tracing costs.

use crate::chain::started;
use crate::load;
use crate::numbers::{Line, percentile};
use crate::rig::{Rig, free};

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
    let [alone, beside] = [&alone, &beside].map(|spans| percentile(spans, 0.99));
    vec![
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

/// B12: B2 with traces sent to a collector and without, in turn.
pub(crate) async fn tracing_cost(runs: (usize, usize), collector: &str) -> Vec<Line> {
    let (mut off, mut on) = (0.0, 0.0);
    for _ in 0..2 {
        off += load::runs(runs, 2, "").await[0].value;
        on += load::runs(runs, 2, collector).await[0].value;
    }
    let cost = (1.0 - on / off) * 100.0;
    vec![
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
