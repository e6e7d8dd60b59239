//! What became of the rows of an older database.
//!
//! Invariant: for each table, imported + there already + set aside are its rows.

use std::{collections::BTreeMap, fmt::Write as _};

use autopack_domain::{
    Fault,
    import::legacy::{Aside, Assembled},
};
use autopack_wire::registry::{ImportRepair, ImportedRun, imported_run::Outcome};
use serde_json::{Value, json};

use super::{count, table::Table};

/// Rows of one table.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    all: u64,
    imported: u64,
    present: u64,
    aside: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tables: BTreeMap<String, Rows>,
    /// Rows that were set aside, by table and reason.
    reasons: BTreeMap<(String, String), u64>,
    runs: Vec<ImportedRun>,
    /// Runs that were set aside before they were sent.
    broken: u64,
}

impl Tally {
    /// The rows of the file, and those that belong to no run.
    pub(crate) fn new(tables: BTreeMap<String, u64>, aside: Vec<Aside>) -> Self {
        let rows = |all| Rows {
            all,
            ..Rows::default()
        };
        let mut tally = Self {
            tables: tables
                .into_iter()
                .map(|(name, all)| (name, rows(all)))
                .collect(),
            ..Self::default()
        };
        for row in aside {
            tally.tables.entry(row.table.clone()).or_default().aside += 1;
            *tally.reasons.entry((row.table, row.reason)).or_default() += 1;
        }
        tally
    }

    /// A run that is not sent.
    pub(crate) fn set_aside(&mut self, run: &Assembled, reason: &str) {
        self.broken += 1;
        self.rows_aside(run, reason);
    }

    fn rows_aside(&mut self, run: &Assembled, reason: &str) {
        for (table, rows) in &run.rows {
            self.tables.entry(table.clone()).or_default().aside += rows;
            let reason = format!("run `{}`: {reason}", run.run.id);
            *self.reasons.entry((table.clone(), reason)).or_default() += rows;
        }
    }

    /// What the registry says of a run.
    pub(crate) fn take(&mut self, run: &Assembled, answer: ImportedRun) {
        if matches!(answer.outcome(), Outcome::SetAside | Outcome::Unspecified) {
            let faults = answer.reasons.iter().cloned().map(Fault::from);
            let faults: Vec<String> = faults.map(|fault| fault.to_string()).collect();
            self.rows_aside(run, &faults.join("; "));
        } else {
            let present = answer.outcome() == Outcome::Present;
            for (table, n) in &run.rows {
                let rows = self.tables.entry(table.clone()).or_default();
                if present {
                    rows.present += n;
                } else {
                    rows.imported += n;
                }
            }
        }
        self.runs.push(answer);
    }

    /// Whether every run was taken over, or was there. Rows without a run do not count.
    pub(crate) fn is_whole(&self) -> bool {
        let aside = |run: &ImportedRun| run.outcome() == Outcome::SetAside;
        self.broken == 0 && !self.runs.iter().any(aside)
    }

    fn repairs(&self) -> impl Iterator<Item = (&ImportedRun, &ImportRepair)> {
        let runs = self.runs.iter();
        runs.flat_map(|run| run.repairs.iter().map(move |repair| (run, repair)))
    }

    /// For programs.
    pub(crate) fn json(&self, dry_run: bool) -> Value {
        json!({
            "dry_run": dry_run,
            "tables": self.tables.iter().map(|(name, rows)| json!({
                "table": name,
                "rows": rows.all,
                "imported": rows.imported,
                "present": rows.present,
                "set_aside": rows.aside,
            })).collect::<Value>(),
            "set_aside": self.reasons.iter().map(|((table, reason), rows)| json!({
                "table": table,
                "rows": rows,
                "reason": reason,
            })).collect::<Value>(),
            "runs": self.runs.iter().map(|run| json!({
                "run": run.run_id,
                "uid": run.run_uid,
                "outcome": spelled(run.outcome()),
                "state": run.state,
            })).collect::<Value>(),
            "repairs": self.repairs().map(|(run, repair)| json!({
                "run": run.run_id,
                "table": repair.table,
                "id": repair.id,
                "before": repair.before,
                "after": repair.after,
            })).collect::<Value>(),
        })
    }

    /// For people.
    pub(crate) fn text(&self, dry_run: bool) -> String {
        let mut table = Table::new(&["TABLE", "ROWS", "IMPORTED", "ALREADY THERE", "SET ASIDE"]);
        for (name, rows) in &self.tables {
            let numbers = [rows.all, rows.imported, rows.present, rows.aside];
            let numbers = numbers.into_iter().map(|n| n.to_string());
            table.row(std::iter::once(name.clone()).chain(numbers));
        }
        let mut text = table.render();
        let mut reasons = Table::new(&["SET ASIDE", "ROWS", "REASON"]);
        for ((name, reason), rows) in &self.reasons {
            reasons.row([name.clone(), rows.to_string(), reason.clone()]);
        }
        if !reasons.is_empty() {
            let _ = write!(text, "\n{}", reasons.render());
        }
        let mut repairs = Table::new(&["MENDED", "ID", "BEFORE", "AFTER"]);
        for (run, repair) in self.repairs() {
            let id = if repair.table == "run" {
                repair.id.clone()
            } else {
                format!("{}/{}", run.run_id, repair.id)
            };
            repairs.row([
                repair.table.clone(),
                id,
                repair.before.clone(),
                repair.after.clone(),
            ]);
        }
        if !repairs.is_empty() {
            let _ = write!(text, "\n{}", repairs.render());
        }
        let of = |outcome| {
            self.runs
                .iter()
                .filter(|run| run.outcome() == outcome)
                .count()
        };
        let _ = write!(
            text,
            "\n{} {}, {} there already, {} set aside\n",
            count(of(Outcome::Imported), "run"),
            if dry_run {
                "would be imported"
            } else {
                "imported"
            },
            of(Outcome::Present),
            of(Outcome::SetAside) as u64 + self.broken,
        );
        text
    }
}

fn spelled(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Imported => "imported",
        Outcome::Present => "present",
        Outcome::SetAside => "set_aside",
        Outcome::Unspecified => "",
    }
}
