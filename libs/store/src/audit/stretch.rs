//! Stretches of the database: the runs whose rows are looked at in one go.
//!
//! Invariant: the stretches that follow each other from the first uid on are everything, rows without a run included;
//! what one costs depends on its own rows alone, however many there are beside them.

use autopack_domain::states::RunState;
use sea_orm::ConnectionTrait;

use super::sql;
use crate::{StoreError, schema::Table};

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
    /// A condition that keeps the rows of these runs.
    pub(super) fn within(&self, table: &Table, of: &str) -> String {
        if table.run.is_empty() {
            return "1 = 1".to_owned();
        }
        let run = format!("{of}.{}", table.run);
        match self {
            Self::All => "1 = 1".to_owned(),
            Self::Open => format!("{run} IN (SELECT o.uid FROM run o WHERE {})", open("o")),
            Self::Runs { after, upto } => {
                let upto = upto.as_ref().map_or(String::new(), |upto| {
                    format!(" AND {run} <= {}", sql::quoted(upto))
                });
                format!("{run} > {}{upto}", sql::quoted(after))
            }
        }
    }

    /// The uids of these runs, as far as there are rows of them.
    pub(crate) async fn uids<C: ConnectionTrait>(&self, db: &C) -> Result<Vec<String>, StoreError> {
        let condition = match self {
            Self::All => "1 = 1".to_owned(),
            Self::Open => open("t"),
            Self::Runs { after, upto } => {
                let upto = upto.as_ref().map_or(String::new(), |upto| {
                    format!(" AND t.uid <= {}", sql::quoted(upto))
                });
                format!("t.uid > {}{upto}", sql::quoted(after))
            }
        };
        let statement = format!(
            "SELECT CAST(t.uid AS TEXT) AS uid FROM run t WHERE {condition} ORDER BY t.uid"
        );
        let found = sql::rows(db, statement).await?;
        Ok(found
            .iter()
            .filter_map(|row| sql::text(row, "uid"))
            .collect())
    }
}

/// The stretch of so many runs after one; the last stretch has no end.
pub async fn next<C: ConnectionTrait>(
    db: &C,
    after: &str,
    runs: usize,
) -> Result<Stretch, StoreError> {
    let statement = format!(
        "SELECT CAST(t.uid AS TEXT) AS uid FROM run t WHERE t.uid > {} ORDER BY t.uid LIMIT {runs}",
        sql::quoted(after)
    );
    let found = sql::rows(db, statement).await?;
    let last = found.last().and_then(|row| sql::text(row, "uid"));
    Ok(Stretch::Runs {
        after: after.to_owned(),
        upto: last.filter(|_| found.len() == runs),
    })
}

/// As the index `run_open` has it, word for word: else it would not be used.
fn open(of: &str) -> String {
    let ended = RunState::ALL.iter().filter(|state| state.is_terminal());
    let ended: Vec<String> = ended.map(|state| sql::quoted(state.as_str())).collect();
    format!(
        "({of}.state IS NULL OR {of}.state NOT IN ({}))",
        ended.join(",")
    )
}
