//! `autopack bench`: calibration first, then the scenarios on the embedded form, each as a ratio to it.
//!
//! Invariant: one run, one machine, one durability class (D2: SQLite in WAL mode, synchronous = FULL, fsync
//! before every acknowledgement); figures of other runs are never compared with these (DURABILITY a.4).

mod calibrate;
mod govern;
mod numbers;
mod patch;
mod scenarios;
mod stack;
mod usage;

use std::path::Path;

use numbers::Line;
pub(crate) use patch::make_repository;

/// Everything that was printed.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Report {
    /// The lines, in order.
    pub(crate) lines: Vec<Line>,
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Phases of the chain.
    pub(crate) chain: usize,
    /// Runs by phases.
    pub(crate) runs: (usize, usize),
    /// Independent phases of one run.
    pub(crate) fan_out: usize,
    /// Runs submitted one after the other.
    pub(crate) starts: usize,
    /// Runs that only wait.
    pub(crate) idle: usize,
    /// Files of the repository for the patch phases.
    pub(crate) files: usize,
    /// Patch phases.
    pub(crate) patches: usize,
}

impl Sizes {
    /// The sizes of DURABILITY a.4, with fewer idle runs.
    pub(crate) const FULL: Self = Self {
        chain: 200,
        runs: (300, 10),
        fan_out: 5000,
        starts: 20,
        idle: 1000,
        files: 3000,
        patches: 30,
    };
    /// A tenth, for a quick look.
    pub(crate) const QUICK: Self = Self {
        chain: 50,
        runs: (30, 10),
        fan_out: 500,
        starts: 5,
        idle: 100,
        files: 3000,
        patches: 10,
    };
}

/// The scenarios, by the names of DURABILITY a.4, `govern` and `patch`.
pub(crate) const SCENARIOS: [&str; 7] = ["b1", "b2", "b3", "b5", "b7", "govern", "patch"];

/// Measures the scenarios in `only` (none: all) in a folder that is empty, and prints as it goes. The
/// calibration is always part of it: a figure without one says nothing.
pub(crate) async fn run(
    folder: &Path,
    sizes: Sizes,
    only: &[String],
    mut print: impl FnMut(&str),
) -> Result<Report, String> {
    let mut report = Report::default();
    print("durability class: D2 (SQLite WAL, synchronous = FULL; in-process bus; one process)");
    let calibration = calibrate::run(folder).await?;
    let mut say = |report: &mut Report, lines: Vec<Line>| {
        for line in lines {
            print(&line.to_string());
            report.lines.push(line);
        }
    };
    say(&mut report, calibration.lines());
    for name in SCENARIOS {
        if !only.is_empty() && !only.iter().any(|o| o == name) {
            continue;
        }
        let lines = match name {
            "b1" => scenarios::chain(folder, sizes.chain, &calibration).await?,
            "b2" => scenarios::runs(folder, sizes.runs).await?,
            "b3" => scenarios::fan_out(folder, sizes.fan_out).await?,
            "b5" => scenarios::start_latency(folder, sizes.starts).await?,
            "b7" => scenarios::idle(folder, sizes.idle).await?,
            "govern" => govern::large_patch(folder, sizes.files, sizes.patches).await?,
            _ => patch::overhead(folder, sizes.files, sizes.patches).await?,
        };
        say(&mut report, lines);
    }
    Ok(report)
}
