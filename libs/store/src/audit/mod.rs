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

/// The last stretch ends here: beyond every uid of a run. What lies behind is of the rest.
const END: &str = "~";

/// Which rows to look at. All parts of the third kind that follow each other, and the fourth, are the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything.
    All,
    /// The run of this uid.
    Run(String),
    /// What is found by its run, of some runs that follow each other by uid.
    Runs {
        /// The last one before; empty: from the first on.
        after: String,
        /// The last one; `None`: to the end.
        upto: Option<String>,
    },
    /// What is not found by a run: other tables, rows that name none, constraints, the event log as a whole.
    Rest,
}

impl Part {
    /// Whether a run is of it.
    pub fn has(&self, uid: &str) -> bool {
        match self {
            Self::All => true,
            Self::Run(one) => one == uid,
            Self::Runs { after, upto } => {
                (after.is_empty() || uid > after.as_str()) && uid <= upto.as_deref().unwrap_or(END)
            }
            Self::Rest => uid > END,
        }
    }
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Which rows.
    pub part: Part,
    /// Findings at most.
    pub limit: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            part: Part::All,
            limit: 1000,
        }
    }
}

impl Scope {
    fn has(&self, table: &schema::Table) -> bool {
        match self.part {
            Part::All | Part::Rest => true,
            Part::Run(_) => !table.run.is_empty(),
            Part::Runs { .. } => sql::by_run(table),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// In the order of the checks: table by table, then what is looked at over several.
    pub findings: Vec<Finding>,
    /// The check that each is of.
    checks: Vec<usize>,
    /// Rows that were looked at.
    pub rows: u64,
    /// There is more than the limit.
    pub more: bool,
}

impl Audit {
    /// Adds findings of a check up to the limit.
    fn add(&mut self, check: usize, found: Vec<Finding>, limit: usize) {
        for finding in found {
            if self.findings.len() >= limit {
                self.more = true;
                return;
            }
            self.findings.push(finding);
            self.checks.push(check);
        }
    }

    /// Adds findings of checks beyond these, up to the limit.
    pub fn add_last(&mut self, found: Vec<Finding>, limit: usize) {
        self.add(usize::MAX, found, limit);
    }

    /// Takes the findings of another part without the first few; their order is that of the checks again.
    pub fn append(&mut self, part: Self, without: usize) {
        let old = self.checks.drain(..).zip(self.findings.drain(..));
        let new = part.checks.into_iter().zip(part.findings).skip(without);
        let mut all: Vec<(usize, Finding)> = old.chain(new).collect();
        all.sort_by_key(|(check, _)| *check);
        (self.checks, self.findings) = all.into_iter().unzip();
    }
}

/// Looks at everything in the scope.
pub async fn examine<C: ConnectionTrait>(db: &C, scope: &Scope) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    let all = schema::tables();
    for (check, table) in all.iter().enumerate() {
        if !scope.has(table) {
            continue;
        }
        audit.rows += sql::count(db, table, scope).await?;
        if audit.more {
            continue;
        }
        let mut found = columns::examine(db, table, scope).await?;
        found.extend(documents::examine(db, table, scope).await?);
        found.extend(relations::orphans(db, table, scope).await?);
        audit.add(check, found, scope.limit);
    }
    let over = all.len();
    audit.add(over, relations::missing(db, scope).await?, scope.limit);
    audit.add(over + 1, totals::examine(db, scope).await?, scope.limit);
    if matches!(scope.part, Part::All | Part::Rest) {
        audit.add(over + 2, database::constraints(db).await?, scope.limit);
        audit.add(over + 3, database::log(db).await?, scope.limit);
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
