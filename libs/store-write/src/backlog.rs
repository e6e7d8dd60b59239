//! What a command on a run means for the backlog of its project.
//!
//! Invariant: entries are read, changed in memory and written with the run's own rows, in one transaction; only this
//! writer changes them, so nothing is lost between. A command without issues costs nothing. An entry that does not parse
//! is left as it is; the run keeps the issue all the same.

use std::collections::BTreeSet;

use autopack_domain::{
    Timestamp,
    backlog::{BacklogEntry, Sighting},
    run::{Changes, RunAggregate},
};
use autopack_store::{StoreError, issues};

use crate::session::Session;

/// What one command saw and cleaned.
#[derive(Debug)]
pub(crate) struct Heard {
    project: String,
    run: String,
    seen: Vec<Sighting>,
    cleaned: BTreeSet<String>,
}

impl Heard {
    /// Takes it out of the changes; `None` if there is nothing.
    pub(crate) fn take(aggregate: &RunAggregate, changes: &mut Changes) -> Option<Self> {
        if changes.seen.is_empty() && changes.cleaned.is_empty() {
            return None;
        }
        Some(Self {
            project: aggregate.run.project.clone(),
            run: aggregate.run.id.to_string(),
            seen: std::mem::take(&mut changes.seen),
            cleaned: std::mem::take(&mut changes.cleaned),
        })
    }
}

impl Session {
    /// Brings the backlog up to date, in memory until the batch is written.
    pub(crate) async fn hear(&mut self, heard: Heard, now: Timestamp) -> Result<(), StoreError> {
        let Heard {
            project,
            run,
            seen,
            cleaned,
        } = heard;
        let mut aside = BTreeSet::new();
        let keys: BTreeSet<&str> = seen
            .iter()
            .map(|s| s.key.as_str())
            .chain(cleaned.iter().map(String::as_str))
            .filter(|key| !self.is_pending(&project, key))
            .collect();
        if !keys.is_empty() {
            for (key, entry) in issues::entries(&self.read, &project, keys).await? {
                match entry {
                    Ok(entry) => {
                        self.pending.backlog.insert((project.clone(), key), entry);
                    }
                    Err(row) => {
                        tracing::error!(%row, "an entry of a backlog was set aside; it stays as it is");
                        aside.insert(key);
                    }
                }
            }
        }
        for sighting in seen.into_iter().filter(|s| !aside.contains(&s.key)) {
            let place = (project.clone(), sighting.key.clone());
            let before = self.pending.backlog.remove(&place);
            let after = BacklogEntry::after(before, &run, sighting);
            self.pending.backlog.insert(place, after);
        }
        for key in cleaned {
            if let Some(entry) = self.pending.backlog.get_mut(&(project.clone(), key)) {
                entry.clean(&run, now);
            }
        }
        Ok(())
    }

    fn is_pending(&self, project: &str, key: &str) -> bool {
        let place = (project.to_owned(), key.to_owned());
        self.pending.backlog.contains_key(&place)
    }
}
