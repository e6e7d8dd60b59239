//! Stretches of the database: the runs whose rows are looked at in one go.
//!
//! Invariant: the stretches that follow each other from the first uid on are everything, rows without a run included;
//! what one costs depends on its own rows alone, however many there are beside them.

use autopack_domain::states::RunState;
use sea_orm::ConnectionTrait;

use super::sql;
use crate::{StoreError, schema::Table};

/// Runs that a condition names.
const NAMED: usize = 50;

/// Some runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// All of them.
    All,
    /// Those that have not ended, or whose state is not known.
    Open,
    /// By their uids.
    Runs {
        /// The last one before; empty: from the first on.
        after: String,
        /// The last one; `None`: to the end.
        upto: Option<String>,
    },
}

impl Stretch {
    /// Conditions on the rows of a table `t`, each of which keeps those of some of these runs. Runs that have not ended
    /// are named one by one: by a join a database might read the whole table.
    pub(super) async fn within<C: ConnectionTrait>(
        &self,
        db: &C,
        table: &Table,
    ) -> Result<Vec<String>, StoreError> {
        let run = match (self, table.run) {
            (Self::All, _) | (_, "") => return Ok(vec!["1 = 1".to_owned()]),
            (_, run) => format!("t.{run}"),
        };
        if let Self::Runs { after, upto } = self {
            return Ok(vec![between(&run, after, upto.as_deref())]);
        }
        let uids = self.uids(db).await?;
        let named = uids.chunks(NAMED).map(|some| {
            let list: Vec<String> = some.iter().map(|uid| sql::quoted(uid)).collect();
            format!("{run} IN ({})", list.join(","))
        });
        Ok(named.collect())
    }

    /// The uids of these runs, as far as there are rows of them.
    pub(crate) async fn uids<C: ConnectionTrait>(&self, db: &C) -> Result<Vec<String>, StoreError> {
        let condition = match self {
            Self::All => "1 = 1".to_owned(),
            Self::Open => open(),
            Self::Runs { after, upto } => between("t.uid", after, upto.as_deref()),
        };
        let statement = format!("SELECT CAST(t.uid AS TEXT) AS uid FROM run t WHERE {condition}");
        let found = sql::rows(db, statement).await?;
        let mut uids: Vec<String> = found
            .iter()
            .filter_map(|row| sql::text(row, "uid"))
            .collect();
        uids.sort_unstable();
        Ok(uids)
    }
}

/// The stretch of so many runs after one; the last stretch has no end.
pub async fn next<C: ConnectionTrait>(
    db: &C,
    after: &str,
    runs: usize,
) -> Result<Stretch, StoreError> {
    Ok(Stretch::Runs {
        after: after.to_owned(),
        upto: end(db, after, runs).await?,
    })
}

/// The last one of so many runs after one; `None`: there are no more than these.
pub async fn end<C: ConnectionTrait>(
    db: &C,
    after: &str,
    runs: usize,
) -> Result<Option<String>, StoreError> {
    let statement = format!(
        "SELECT CAST(t.uid AS TEXT) AS uid FROM run t WHERE {} ORDER BY t.uid LIMIT {runs}",
        between("t.uid", after, None)
    );
    let found = sql::rows(db, statement).await?;
    let last = found.last().and_then(|row| sql::text(row, "uid"));
    Ok(last.filter(|_| found.len() == runs))
}

/// As PostgreSQL's index `run_open` has it, word for word, else it would not be used; SQLite goes through `run_by_state`.
fn open() -> String {
    let ended = RunState::ALL.iter().filter(|state| state.is_terminal());
    let ended: Vec<String> = ended.map(|state| sql::quoted(state.as_str())).collect();
    format!("(t.state IS NULL OR t.state NOT IN ({}))", ended.join(","))
}

/// Both ends are said where both are known: a range with one end is half a table to SQLite, and not worth an index.
pub(super) fn between(run: &str, after: &str, upto: Option<&str>) -> String {
    let from = if after.is_empty() {
        format!("{run} >= ''")
    } else {
        format!("{run} > {}", sql::quoted(after))
    };
    let upto = upto.map_or_else(String::new, |upto| {
        format!(" AND {run} <= {}", sql::quoted(upto))
    });
    format!("{from}{upto}")
}
