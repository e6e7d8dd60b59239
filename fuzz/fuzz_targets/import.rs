//! Any bytes given to the import: as a document of a run of the past, and as the rows of an older database.
#![no_main]

use std::collections::BTreeMap;

use autopack_domain::import::{
    HistoricalRun,
    legacy::{Row, Table, collect},
};
use libfuzzer_sys::fuzz_target;

/// A table, its rows, and their columns.
type Rows = BTreeMap<String, Vec<BTreeMap<String, String>>>;

fuzz_target!(|data: &[u8]| {
    if let Ok(run) = serde_json::from_slice::<HistoricalRun>(data) {
        judge(&run);
    }
    let Ok(tables) = serde_json::from_slice::<Rows>(data) else {
        return;
    };
    let row = |columns| Row {
        key: String::new(),
        columns,
        unreadable: None,
    };
    let tables: Vec<Table> = tables
        .into_iter()
        .map(|(name, rows)| Table {
            name,
            rows: rows.into_iter().map(row).collect(),
        })
        .collect();
    let found = collect(&tables, "a.db");
    let of_runs: u64 = found.runs.iter().flat_map(|run| run.rows.values()).sum();
    let all: u64 = found.tables.values().sum();
    assert_eq!(of_runs + found.aside.len() as u64, all, "each row is told");
    for run in &found.runs {
        judge(&run.run);
    }
});

fn judge(run: &HistoricalRun) {
    match run.check() {
        Ok(sound) => {
            let (plan, places) = run.plan("p");
            assert_eq!(places.len(), sound.phases.len());
            let phases: usize = plan.tiers.iter().map(|tier| tier.phases.len()).sum();
            assert_eq!(phases, places.len());
        }
        Err(faults) => assert!(!faults.is_empty()),
    }
}
