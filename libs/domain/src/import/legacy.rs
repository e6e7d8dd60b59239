//! From the tables of an older database to runs of the past: each row becomes part of a run, or is set aside with a
//! reason.
//!
//! Invariant: rows in = rows of runs + rows set aside, for every table. A row is never made up, and one that cannot be
//! read sets its run aside, because figures over the rest would be wrong. Tables without a run, such as accounts and
//! keys, are never taken over.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    HistoricalBudgets, HistoricalNote, HistoricalPhase, HistoricalRun, HistoricalTier,
    HistoricalUsage, Origin, SCHEMA, moment,
};
use crate::time::Timestamp;

/// One row: its key, and its columns as texts; a null is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// Columns.
    pub columns: BTreeMap<String, String>,
    /// Why the row could not be read; `None`: it could.
    pub unreadable: Option<String>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its rows, in the order of their keys.
    pub rows: Vec<Row>,
}

/// A row that belongs to no run that can be taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aside {
    /// The table.
    pub table: String,
    /// Key of the row.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// A run with the rows that it was made of.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The run.
    pub run: HistoricalRun,
    /// Rows of it, by table.
    pub rows: BTreeMap<String, u64>,
    /// Why it cannot be taken over, if a row of it could not be read.
    pub broken: Option<String>,
}

/// What the tables hold.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Runs, in the order of their rows.
    pub runs: Vec<Assembled>,
    /// Rows that belong to none of them.
    pub aside: Vec<Aside>,
    /// Rows of each table.
    pub tables: BTreeMap<String, u64>,
}

/// Puts the rows of an older database together; `name` is the file's.
pub fn collect(tables: &[Table], name: &str) -> Collected {
    let mut all = Collected::default();
    for table in tables {
        let count = table.rows.len() as u64;
        all.tables.insert(table.name.clone(), count);
    }
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows(tables, "runs") {
        let id = row.text("id");
        if row.unreadable.is_some() || id.is_empty() {
            let reason = row
                .unreadable
                .clone()
                .unwrap_or_else(|| "it has no id".to_owned());
            all.set_aside("runs", row, reason);
        } else if by_id.contains_key(id) {
            all.set_aside(
                "runs",
                row,
                format!("another row has the id `{}`", clip(id)),
            );
        } else {
            by_id.insert(id, all.runs.len());
            all.runs.push(Assembled::new(row, name));
        }
    }
    let mut tier_ids: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for row in rows(tables, "tiers") {
        if let Some(n) = all.home("tiers", row, &by_id) {
            tier_ids.insert(row.text("id"), (n, row.text("tier_id")));
            let tier = all.runs[n].read(row, tier);
            all.runs[n].run.tiers.extend(tier);
        }
    }
    for row in rows(tables, "phases") {
        if let Some(n) = all.home("phases", row, &by_id) {
            let tier = tier_ids.get(row.text("tier_id"));
            let tier = tier
                .filter(|(of, _)| *of == n)
                .map(|(_, id)| (*id).to_owned());
            let phase = all.runs[n].read(row, |r| phase(r, tier.clone()));
            all.runs[n].run.phases.extend(phase);
        }
    }
    let phases: Vec<BTreeSet<String>> = all
        .runs
        .iter()
        .map(|a| a.run.phases.iter().map(|p| p.id.clone()).collect())
        .collect();
    for row in rows(tables, "llm_usage_events") {
        let Some(n) = by_id.get(row.text("run_id")).copied() else {
            all.homeless("llm_usage_events", row);
            continue;
        };
        if !phases[n].contains(row.text("phase_id")) {
            let id = clip(row.text("phase_id"));
            let reason = if id.is_empty() {
                "it names no phase".to_owned()
            } else {
                format!("its run has no phase `{id}`")
            };
            all.set_aside("llm_usage_events", row, reason);
        } else if all.home("llm_usage_events", row, &by_id).is_some() {
            let usage = all.runs[n].read(row, usage);
            all.runs[n].run.usage.extend(usage);
        }
    }
    for table in tables {
        if ["runs", "tiers", "phases", "llm_usage_events"].contains(&table.name.as_str()) {
            continue;
        }
        for row in &table.rows {
            if let Some(n) = all.home(&table.name, row, &by_id) {
                let id = row.text("phase_id");
                let note = HistoricalNote {
                    table: table.name.clone(),
                    key: row.key.clone(),
                    phase: phases[n].contains(id).then(|| id.to_owned()),
                    columns: row.columns.clone(),
                };
                all.runs[n].run.notes.push(note);
            }
        }
    }
    for assembled in &mut all.runs {
        assembled.run.usage.sort_by_key(|usage| usage.at);
    }
    all
}

fn rows<'a>(tables: &'a [Table], name: &str) -> impl Iterator<Item = &'a Row> {
    let named = name.to_owned();
    let of = tables.iter().filter(move |table| table.name == named);
    of.flat_map(|table| &table.rows)
}

impl Collected {
    fn set_aside(&mut self, table: &str, row: &Row, reason: impl Into<String>) {
        self.aside.push(Aside {
            table: table.to_owned(),
            key: row.key.clone(),
            reason: reason.into(),
        });
    }

    fn homeless(&mut self, table: &str, row: &Row) {
        let reason = match row.columns.get("run_id") {
            _ if row.unreadable.is_some() => row.unreadable.clone().unwrap_or_default(),
            Some(run) if !run.is_empty() => "its run is not in the file".to_owned(),
            _ => "it belongs to no run, and this system has no table for it".to_owned(),
        };
        self.set_aside(table, row, reason);
    }

    /// The run that the row belongs to, which then counts it; else it is set aside.
    fn home(&mut self, table: &str, row: &Row, by_id: &BTreeMap<&str, usize>) -> Option<usize> {
        let found = row
            .columns
            .get("run_id")
            .and_then(|id| by_id.get(id.as_str()));
        let Some(&n) = found else {
            self.homeless(table, row);
            return None;
        };
        let home = &mut self.runs[n];
        *home.rows.entry(table.to_owned()).or_default() += 1;
        if let Some(reason) = &row.unreadable {
            home.breaks(format!("{table} {}: {reason}", row.key));
        }
        Some(n)
    }
}

impl Assembled {
    fn new(row: &Row, name: &str) -> Self {
        let mut assembled = Self {
            run: HistoricalRun::default(),
            rows: BTreeMap::from([("runs".to_owned(), 1)]),
            broken: None,
        };
        let origin = Origin {
            kind: "sqlite".to_owned(),
            name: name.to_owned(),
            key: row.text("id").to_owned(),
        };
        if let Some(run) = assembled.read(row, run) {
            assembled.run = run;
        } else {
            row.text("id").clone_into(&mut assembled.run.id);
        }
        assembled.run.origin = origin;
        assembled
    }

    fn breaks(&mut self, reason: String) {
        self.broken.get_or_insert(reason);
    }

    fn read<T>(&mut self, row: &Row, of: impl Fn(&mut Reader<'_>) -> T) -> Option<T> {
        let mut reader = Reader {
            row,
            taken: BTreeSet::new(),
            fault: None,
        };
        let value = of(&mut reader);
        match reader.fault {
            None => Some(value),
            Some(fault) => {
                self.breaks(fault);
                None
            }
        }
    }
}

impl Row {
    /// The text of a column; empty where there is none.
    pub fn text(&self, column: &str) -> &str {
        self.columns.get(column).map_or("", String::as_str)
    }
}

/// Reads a row column by column; what nobody asked for stays as it stands.
struct Reader<'a> {
    row: &'a Row,
    taken: BTreeSet<&'static str>,
    fault: Option<String>,
}

impl Reader<'_> {
    fn text(&mut self, column: &'static str) -> String {
        self.taken.insert(column);
        self.row.text(column).to_owned()
    }

    fn fault(&mut self, column: &str, wanted: &str) {
        let value = clip(self.row.text(column));
        let text = format!("row {}: {column} `{value}` is no {wanted}", self.row.key);
        self.fault.get_or_insert(text);
    }

    fn count(&mut self, column: &'static str) -> Option<i64> {
        self.taken.insert(column);
        let text = self.row.columns.get(column)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.fault(column, "whole number");
        }
        number
    }

    fn time(&mut self, column: &'static str) -> Option<Timestamp> {
        self.taken.insert(column);
        let text = self.row.columns.get(column)?;
        let time = moment::parse(text);
        if time.is_none() {
            self.fault(column, "time");
        }
        time
    }

    fn due(&mut self, column: &'static str) -> Timestamp {
        let time = self.time(column);
        if time.is_none() {
            self.fault(column, "time");
        }
        time.unwrap_or_default()
    }

    /// What nobody asked for.
    fn rest(&self) -> BTreeMap<String, String> {
        let left = |name: &str| !self.taken.contains(name);
        let columns = self.row.columns.iter();
        let rest = columns.filter(|(name, _)| left(name));
        rest.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

fn run(r: &mut Reader<'_>) -> HistoricalRun {
    HistoricalRun {
        schema: SCHEMA.to_owned(),
        id: r.text("id"),
        state: r.text("state"),
        goal: r.text("goal_anchor"),
        safety_profile: r.text("safety_profile"),
        run_scope: r.text("run_scope"),
        budgets: HistoricalBudgets {
            tokens: r.count("token_cap"),
            phases: r.count("max_phases"),
            minutes: r.count("max_duration_minutes"),
        },
        created_at: r.due("created_at"),
        updated_at: r.time("updated_at"),
        started_at: r.time("started_at"),
        completed_at: r.time("completed_at"),
        failure: r.text("failure_reason"),
        texts: r.rest(),
        ..HistoricalRun::default()
    }
}

fn tier(r: &mut Reader<'_>) -> HistoricalTier {
    r.taken.insert("run_id");
    HistoricalTier {
        id: r.text("tier_id"),
        index: r.count("tier_index").unwrap_or(0),
        name: r.text("name"),
        description: r.text("description"),
        state: r.text("state"),
        tokens: r.count("token_cap"),
        ci_runs: r.count("ci_runs_used").unwrap_or(0),
        texts: r.rest(),
    }
}

fn phase(r: &mut Reader<'_>, tier: Option<String>) -> HistoricalPhase {
    r.taken.insert("run_id");
    HistoricalPhase {
        id: r.text("phase_id"),
        tier,
        index: r.count("phase_index").unwrap_or(0),
        name: r.text("name"),
        description: r.text("description"),
        state: r.text("state"),
        task_category: r.text("task_category"),
        complexity: r.text("complexity"),
        builder_mode: r.text("builder_mode"),
        scope: r.text("scope"),
        attempts: r.count("builder_attempts").unwrap_or(0),
        tokens: r.count("tokens_used").unwrap_or(0),
        created_at: r.time("created_at"),
        updated_at: r.time("updated_at"),
        started_at: r.time("started_at"),
        completed_at: r.time("completed_at"),
        failure: r.text("last_failure_reason"),
        texts: r.rest(),
    }
}

fn usage(r: &mut Reader<'_>) -> HistoricalUsage {
    HistoricalUsage {
        phase: r.text("phase_id"),
        provider: r.text("provider"),
        model: r.text("model"),
        role: r.text("role"),
        purpose: r.text("doctor_action"),
        prompt: r.count("prompt_tokens"),
        completion: r.count("completion_tokens"),
        // A later form of the table has a total and may lack the split.
        total: r.count("total_tokens"),
        at: r.due("created_at"),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
