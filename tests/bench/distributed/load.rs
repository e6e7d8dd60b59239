//! B2 runs, B3 fan-out: how many phases a second, by the number of workers.

use crate::numbers::Line;
use crate::processes::Watched;
use crate::rig::{Rig, chained, free, span};

/// Slots of all workers together.
const SLOTS: usize = 16;

/// B2: many runs of a few phases. `exporter` is where traces go; empty for nowhere.
pub(crate) async fn runs(
    (runs, phases): (usize, usize),
    workers: usize,
    exporter: &str,
) -> Vec<Line> {
    let rig = Rig::with(
        workers,
        SLOTS / workers,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", exporter)],
    );
    let ids: Vec<String> = (0..runs).map(|n| format!("run-{n}")).collect();
    rig.prepare_all(&ids, phases, chained).await;
    let before = rig.counted();
    let watched = Watched::of(&rig.cluster);
    let spent = watched.spent();
    rig.begin_all(&ids).await;
    let ended = rig.finish_all(&ids).await;
    let now = watched.spent();
    let total = runs * phases;
    let rate = Line::plain(
        "B2",
        format!("{runs} runs x {phases}, {workers} workers, {SLOTS} slots"),
        total as f64 / span(&ended),
        "phases/s",
    );
    let mut lines = vec![rate.at_least(800.0, "first aim")];
    if workers == 1 {
        lines.extend(rig.per_phase("B2", &before, total));
    }
    lines.extend(now.lines("B2", &spent, total));
    lines
}

/// B3: one run, independent phases.
pub(crate) async fn fan_out(phases: usize, workers: usize) -> Vec<Line> {
    let rig = Rig::start(workers, SLOTS / workers);
    rig.prepare("fan", phases, free).await;
    rig.begin("fan").await;
    let ended = rig.finish("fan").await;
    let rate = Line::plain(
        "B3",
        format!("{phases} independent phases, {workers} workers, {SLOTS} slots"),
        phases as f64 / span(&[ended]),
        "phases/s",
    );
    vec![rate.at_least(800.0, "first aim")]
}
