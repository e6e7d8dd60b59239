//! Start-up validation: which runs hold a value that this version does not know (DESIGN rule 8).
//!
//! Invariant: every open run is looked at with all its rows, every ended one with its own; a fault is found for
//! its run alone.

use sea_orm::{ConnectionTrait, EntityTrait};

use crate::{CorruptRow, StoreError, audit::sql, entity::run, read, rows, unlike};

/// A run that is left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its id, as stored.
    pub run_id: String,
    /// Its uid, as stored.
    pub run_uid: String,
    /// The value that this version does not know.
    pub corrupt: CorruptRow,
}

impl std::fmt::Display for SetAside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.run_id, self.corrupt)
    }
}

/// Runs whose rows do not parse, each with the first fault.
pub async fn find<C: ConnectionTrait>(db: &C) -> Result<Vec<SetAside>, StoreError> {
    let rows = match run::Entity::find().all(db).await {
        Err(error) if unlike::is_unlike(&error) => return one_by_one(db).await,
        rows => rows?,
    };
    let mut found = Vec::new();
    for row in rows {
        found.extend(look_at(db, row).await?);
    }
    Ok(found)
}

/// The fault of one run; `None`: it can be read, or is not there.
pub async fn find_one<C: ConnectionTrait>(
    db: &C,
    uid: &str,
) -> Result<Option<SetAside>, StoreError> {
    match run::Entity::find_by_id(uid.to_owned()).one(db).await {
        Ok(Some(row)) => look_at(db, row).await,
        Ok(None) => Ok(None),
        Err(error) => match unlike::of_row("run", uid, error) {
            StoreError::Corrupt(corrupt) => Ok(Some(SetAside {
                run_id: sql::run_id(db, uid)
                    .await?
                    .unwrap_or_else(|| uid.to_owned()),
                run_uid: uid.to_owned(),
                corrupt,
            })),
            failed @ StoreError::Database(_) => Err(failed),
        },
    }
}

/// Row by row: one of them holds a value of another type than its column's.
async fn one_by_one<C: ConnectionTrait>(db: &C) -> Result<Vec<SetAside>, StoreError> {
    let mut found = Vec::new();
    for row in sql::rows(db, "SELECT CAST(uid AS TEXT) AS uid FROM run".to_owned()).await? {
        if let Some(uid) = sql::text(&row, "uid") {
            found.extend(find_one(db, &uid).await?);
        }
    }
    Ok(found)
}

async fn look_at<C: ConnectionTrait>(
    db: &C,
    row: run::Model,
) -> Result<Option<SetAside>, StoreError> {
    let (run_id, run_uid) = (row.id.clone(), row.uid.clone());
    let looked_into = read::open_states().contains(&row.state.as_str());
    let fault = match rows::run::read(row) {
        Err(corrupt) => Some(corrupt),
        Ok(run) if looked_into => match read::aggregate(db, run.uid).await {
            Err(StoreError::Corrupt(corrupt)) => Some(corrupt),
            Err(failed @ StoreError::Database(_)) => return Err(failed),
            Ok(_) => None,
        },
        Ok(_) => None,
    };
    Ok(fault.map(|corrupt| SetAside {
        run_id,
        run_uid,
        corrupt,
    }))
}
