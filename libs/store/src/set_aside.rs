//! Validation of what is stored: which runs hold a value that this version does not know (DESIGN rule 8).
//!
//! Invariant: every open run is looked at with all its rows, every ended one with its own; a fault is found for
//! its run alone. A page of runs is in memory at a time.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::{
    CorruptRow, StoreError,
    audit::{Stretch, sql},
    entity::run,
    read, rows, unlike,
};

/// Runs of a page.
const PAGE: usize = 200;

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

/// Runs of a stretch whose rows do not parse, each with the first fault.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    stretch: &Stretch,
) -> Result<Vec<SetAside>, StoreError> {
    let mut found = Vec::new();
    for uids in stretch.uids(db).await?.chunks(PAGE) {
        let query = run::Entity::find().filter(run::Column::Uid.is_in(uids));
        let rows = match query.all(db).await {
            // One of them holds a value of another type than its column's.
            Err(error) if unlike::is_unlike(&error) => {
                for uid in uids {
                    found.extend(find_one(db, uid).await?);
                }
                continue;
            }
            rows => rows?,
        };
        for row in rows {
            found.extend(look_at(db, row).await?);
        }
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
