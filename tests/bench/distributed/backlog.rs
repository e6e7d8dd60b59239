//! B6: a small and a large backlog over 500 runs, drained by eight workers.

use std::time::Instant;

use crate::numbers::Line;
use crate::processes::Watched;
use crate::rig::{Rig, free, span};

/// Drains each, in this order.
pub(crate) async fn drain(backlogs: [(usize, usize); 2]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rates = Vec::new();
    for (runs, phases) in backlogs {
        let rig = Rig::start(8, 2);
        let ids: Vec<String> = (0..runs).map(|n| format!("run-{n}")).collect();
        let total = runs * phases;
        let began = Instant::now();
        rig.prepare_all(&ids, phases, free).await;
        let stored = total as f64 / began.elapsed().as_secs_f64();
        let watched = Watched::of(&rig.cluster);
        let peak = watched.sampled();
        rig.begin_all(&ids).await;
        let ended = rig.finish_all(&ids).await;
        let rate = total as f64 / span(&ended);
        rates.push(rate);
        lines.push(Line::plain(
            "B6",
            format!("{total} phases of {runs} runs stored and frozen"),
            stored,
            "phases/s",
        ));
        lines.push(Line::plain(
            "B6",
            format!("{total} pending, drained by 8 workers"),
            rate,
            "phases/s",
        ));
        for (name, mib) in peak.end() {
            lines.push(Line::plain(
                "B6",
                format!("most memory of {name}"),
                mib,
                "MiB",
            ));
        }
    }
    let ratio = Line::plain(
        "B6",
        "large backlog's rate to the small one's",
        rates[1] / rates[0],
        "x",
    );
    lines.push(ratio.at_least(0.8, "first aim"));
    lines
}
