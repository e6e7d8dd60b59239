//! Start-up validation: which runs hold a value that this version does not know (DESIGN rule 8).
//!
//! Invariant: every open run is looked at with all its rows, every ended one with its own; a fault is found for
//! its run alone.

use sea_orm::{ConnectionTrait, EntityTrait};

use crate::{CorruptRow, StoreError, entity::run, read, rows};

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
    let open = read::open_states();
    let mut found = Vec::new();
    for row in run::Entity::find().all(db).await? {
        let (run_id, run_uid) = (row.id.clone(), row.uid.clone());
        let looked_into = open.contains(&row.state.as_str());
        let fault = match rows::run::read(row) {
            Err(corrupt) => Some(corrupt),
            Ok(run) if looked_into => match read::aggregate(db, run.uid).await {
                Err(StoreError::Corrupt(corrupt)) => Some(corrupt),
                Err(failed @ StoreError::Database(_)) => return Err(failed),
                Ok(_) => None,
            },
            Ok(_) => None,
        };
        found.extend(fault.map(|corrupt| SetAside {
            run_id,
            run_uid,
            corrupt,
        }));
    }
    Ok(found)
}
