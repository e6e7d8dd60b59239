//! The self-check of what is stored, beneath the entities: every row is read as it is, not as it should be.
//!
//! Invariant: nothing is changed, and no row makes the check itself fail; findings are bounded, and a check that
//! found more says so.
//!
//! - [`columns`]: values against closed lists, forms, ranges and types
//! - [`documents`]: JSON columns against their schemas
//! - [`relations`]: rows without the row they belong to, or without one they need; records that disagree
//! - [`totals`]: counters of issues and accounts of tokens against what they count
//! - [`database`]: constraints of state columns, the event log and its cursors
//! - [`ids`]: ids of runs and phases, for the convention
//! - [`stretch`]: which runs are looked at in one go

pub mod columns;
pub mod database;
pub mod documents;
pub mod ids;
pub mod relations;
pub(crate) mod sql;
pub mod stretch;
pub mod totals;

use std::collections::BTreeMap;

use autopack_domain::{Finding, finding::Place};
use sea_orm::ConnectionTrait;

pub use stretch::Stretch;

use crate::{StoreError, repairs, schema};

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Uid of the only run to look at; `None`: everything.
    pub run: Option<String>,
    /// Findings at most.
    pub limit: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            run: None,
            limit: 1000,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// In the order of the tables.
    pub findings: Vec<Finding>,
    /// Rows that the tables hold.
    pub rows: u64,
    /// There is more than the limit.
    pub more: bool,
}

impl Audit {
    /// Adds findings up to the limit; whether there is room for more.
    fn add(&mut self, found: Vec<Finding>, limit: usize) -> bool {
        for finding in found {
            if self.findings.len() == limit {
                self.more = true;
                return false;
            }
            self.findings.push(finding);
        }
        true
    }
}

/// Looks at everything in the scope.
pub async fn examine<C: ConnectionTrait>(db: &C, scope: &Scope) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    let all = schema::tables();
    for table in &all {
        if scope.run.is_some() && table.run.is_empty() {
            continue;
        }
        audit.rows += sql::count(db, table, scope).await?;
        let mut found = columns::examine(db, table, scope).await?;
        found.extend(documents::examine(db, table, scope).await?);
        found.extend(relations::orphans(db, table, scope).await?);
        if !audit.add(found, scope.limit) {
            break;
        }
    }
    audit.add(relations::missing(db, scope).await?, scope.limit);
    audit.add(totals::examine(db, scope).await?, scope.limit);
    if scope.run.is_none() {
        audit.add(database::constraints(db).await?, scope.limit);
        audit.add(database::log(db).await?, scope.limit);
    }
    weigh(db, &mut audit.findings).await?;
    Ok(audit)
}

/// States alone, which is what a start can afford: what an alias or a case variant spells, each with the uid of its
/// run.
pub async fn aliases<C: ConnectionTrait>(
    db: &C,
    stretch: &Stretch,
) -> Result<Vec<(Finding, String)>, StoreError> {
    let mut found = Vec::new();
    for table in schema::tables() {
        if autopack_domain::alias::states_of(table.name).is_some() {
            found.extend(columns::states(db, &table, stretch).await?);
        }
    }
    found.retain(|finding| finding.safe.is_some());
    let runs: Vec<String> = found.iter().map(|finding| finding.run.clone()).collect();
    weigh(db, &mut found).await?;
    Ok(found.into_iter().zip(runs).collect())
}

/// Names the runs by their ids, and takes the safe mark from rows of runs that a worker may hold.
async fn weigh<C: ConnectionTrait>(db: &C, found: &mut [Finding]) -> Result<(), StoreError> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut leased: BTreeMap<String, bool> = BTreeMap::new();
    for finding in found.iter_mut().filter(|f| !f.run.is_empty()) {
        let uid = finding.run.clone();
        if finding.safe.is_some() {
            if !leased.contains_key(&uid) {
                let held = repairs::is_leased(db, &uid).await?;
                leased.insert(uid.clone(), held);
            }
            if leased.get(&uid).copied().unwrap_or(true) {
                finding.safe = None;
                finding.fix = format!(
                    "a worker holds, or may hold, a lease in this run: wait until it has ended, then `autopack doctor --fix`; {}",
                    finding.fix
                );
            }
        }
        if !names.contains_key(&uid) {
            let name = sql::run_id(db, &uid).await?.unwrap_or_else(|| uid.clone());
            names.insert(uid.clone(), name);
        }
        finding.run.clone_from(&names[&uid]);
    }
    Ok(())
}

/// A place in a table.
pub(crate) fn place(table: &str, row: &str, column: &str) -> Place {
    Place::new(table, row, column)
}
