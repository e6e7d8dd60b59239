//! Ids of runs and their phases, for the convention.
//!
//! Invariant: at most [`RUNS`] runs are looked at, the newest; a row that cannot be read is passed over.

use std::collections::BTreeSet;

use autopack_domain::import::ORIGIN_FACT;
use sea_orm::ConnectionTrait;

use super::sql;
use crate::StoreError;

/// Runs that are looked at.
pub const RUNS: usize = 1000;

/// The uid of a run by its id (without regard to case) or uid, whether the run can be read or not.
pub async fn uid_of<C: ConnectionTrait>(db: &C, id: &str) -> Result<Option<String>, StoreError> {
    let statement = format!(
        "SELECT CAST(uid AS TEXT) AS uid FROM run WHERE uid = {} OR id_fold = {}",
        sql::quoted(id),
        sql::quoted(&id.to_ascii_lowercase())
    );
    let found = sql::rows(db, statement).await?;
    Ok(found.first().and_then(|row| sql::text(row, "uid")))
}

/// The id of a run by its uid.
pub async fn id_of<C: ConnectionTrait>(db: &C, uid: &str) -> Result<Option<String>, StoreError> {
    sql::run_id(db, uid).await
}

/// Those of these runs that come from an older system: nobody can name them otherwise any more.
pub async fn imported<C: ConnectionTrait>(
    db: &C,
    runs: impl Iterator<Item = &str>,
) -> Result<BTreeSet<String>, StoreError> {
    let runs: Vec<String> = runs.map(sql::quoted).collect();
    if runs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = format!(
        "SELECT CAST(id AS TEXT) AS id FROM run WHERE CAST(id AS TEXT) IN ({}) AND CAST(facts AS TEXT) LIKE '%\"{ORIGIN_FACT}\":%'",
        runs.join(",")
    );
    let found = sql::rows(db, statement).await?;
    Ok(found
        .iter()
        .filter_map(|row| sql::text(row, "id"))
        .collect())
}

/// The newest runs, each with its phases' ids in order; empty `project`: of every project.
pub async fn newest<C: ConnectionTrait>(
    db: &C,
    project: &str,
) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let of = if project.is_empty() {
        "1 = 1".to_owned()
    } else {
        format!("t.project = {}", sql::quoted(project))
    };
    let statement = format!(
        "SELECT r.id AS run, CAST(p.id AS TEXT) AS phase FROM \
         (SELECT t.uid AS uid, CAST(t.id AS TEXT) AS id, t.created_at AS at FROM run t WHERE {of} ORDER BY t.created_at DESC, t.uid DESC LIMIT {RUNS}) r \
         JOIN phase p ON p.run_uid = r.uid ORDER BY r.at DESC, r.uid DESC, p.idx"
    );
    let mut runs: Vec<(String, Vec<String>)> = Vec::new();
    for row in sql::rows(db, statement).await? {
        let (Some(run), Some(phase)) = (sql::text(&row, "run"), sql::text(&row, "phase")) else {
            continue;
        };
        match runs.last_mut() {
            Some((last, phases)) if *last == run => phases.push(phase),
            _ => runs.push((run, vec![phase])),
        }
    }
    Ok(runs)
}
