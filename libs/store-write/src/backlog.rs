//! What a command on a run means for the backlog of its project.
//!
//! Invariant: entries are read, changed in memory and written with the run's own rows, in one transaction; only this
//! writer changes them, so nothing is lost between. A command without issues costs nothing. An entry that does not parse
//! is left as it is; the run keeps the issue all the same.

use std::collections::BTreeSet;

use autopack_domain::{
    Reason, Refusal, Timestamp,
    backlog::{BacklogEntry, Sighting},
    issue::Issue,
    run::{Changes, RunAggregate},
};
use autopack_store::{StoreError, issues};

use crate::{
    handle::{Close, Unreadable},
    session::{LoadError, Session},
};

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

    /// Takes an issue of a run that cannot be read into the run's rows and the backlog; one that is open is left as it is.
    pub(crate) async fn note_unreadable(
        &mut self,
        found: &Unreadable,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if self.pending.changes.contains_key(&found.run) {
            // A command has just read it.
            return Ok(());
        }
        let new = found.issue.clone();
        let place = (found.run, new.key.clone());
        let known = issues::one(&self.read, found.run, None, &new.key).await?;
        let open = known
            .as_ref()
            .is_some_and(|issue| issue.resolved_at.is_none());
        if open || self.pending.unreadable.contains_key(&place) {
            return Ok(());
        }
        let seen = Sighting {
            key: new.key.clone(),
            severity: new.severity,
            category: new.category.clone(),
            paths: new.paths.clone(),
            tier: None,
            new_in_run: known.is_none(),
            at: now,
        };
        let issue = match known {
            Some(mut issue) => {
                issue.again(new, false, None, now);
                issue
            }
            None => Issue::first(new, ("", ""), false, None, now),
        };
        self.pending.unreadable.insert(place, issue);
        let heard = Heard {
            project: found.project.clone(),
            run: found.run_id.clone(),
            seen: vec![seen],
            cleaned: BTreeSet::new(),
        };
        self.hear(heard, now).await
    }

    /// Closes an entry, in memory until the batch is written.
    pub(crate) async fn close(
        &mut self,
        close: &Close,
        now: Timestamp,
    ) -> Result<BacklogEntry, LoadError> {
        let place = (close.project.clone(), close.key.clone());
        if !self.pending.backlog.contains_key(&place) {
            let key = [close.key.as_str()];
            let found = issues::entries(&self.read, &close.project, key).await?;
            if let Some((_, entry)) = found.into_iter().next() {
                let entry = entry.map_err(StoreError::from)?;
                self.pending.backlog.insert(place.clone(), entry);
            }
        }
        let Some(entry) = self.pending.backlog.get_mut(&place) else {
            return Err(no_entry(&close.project, &close.key).into());
        };
        entry.close(&close.note, now);
        Ok(entry.clone())
    }

    fn is_pending(&self, project: &str, key: &str) -> bool {
        let place = (project.to_owned(), key.to_owned());
        self.pending.backlog.contains_key(&place)
    }
}

/// The refusal for a key that a project's backlog does not have.
pub fn no_entry(project: &str, key: &str) -> Refusal {
    let text = format!("the backlog of {project} has no issue `{key}`");
    Refusal::new(Reason::IssueNotFound, text)
        .with("project", project)
        .with("key", key)
}
