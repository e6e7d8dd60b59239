//! Runs that cannot be read: each has a major issue that says so, recorded and listed without reading the run.
//!
//! Invariant: an issue is recorded once per place of a fault, and is open as long as the run is set aside.

use std::collections::BTreeSet;

use autopack_domain::{Refusal, RunUid, issue::NewIssue};
use autopack_store::{SetAside, StoreError, issues};
use autopack_store_write::{Setting, Unreadable, WriteError};

use super::{Core, lock, self_check, store_refusal, write_refusal};

/// What has been recorded since the start.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Whether the issues that an earlier registry recorded were looked at.
    looked_back: bool,
    /// Uids of runs whose issue is stored.
    runs: BTreeSet<String>,
}

impl Core {
    /// Runs without those that were set aside: nobody schedules or reconciles what cannot be read.
    pub(crate) fn sound(
        &self,
        runs: Result<Vec<RunUid>, StoreError>,
    ) -> Result<Vec<RunUid>, Refusal> {
        let mut runs = runs.map_err(store_refusal)?;
        let aside = lock(&self.set_aside);
        if !aside.is_empty() {
            runs.retain(|uid| {
                let uid = uid.to_string();
                aside.iter().all(|found| found.run_uid != uid)
            });
        }
        Ok(runs)
    }

    /// A run whose rows went bad after the start is set aside as well, once.
    pub(crate) fn note(&self, run: RunUid, error: &WriteError) {
        let WriteError::Store(StoreError::Corrupt(corrupt)) = error else {
            return;
        };
        let (run_uid, corrupt) = (run.to_string(), corrupt.clone());
        let mut aside = lock(&self.set_aside);
        if aside.iter().all(|found| found.run_uid != run_uid) {
            let found = SetAside {
                run_id: run_uid.clone(),
                run_uid,
                corrupt,
            };
            self_check::tell(&found);
            aside.push(found);
            self.news.notify_one();
        }
    }

    /// The run that a caller names by id or uid, if it was set aside.
    pub(crate) fn aside(&self, id: &str) -> Option<SetAside> {
        let aside = lock(&self.set_aside);
        let mut all = aside.iter();
        all.find(|found| found.run_id.eq_ignore_ascii_case(id) || found.run_uid == id)
            .cloned()
    }

    /// Brings issues in line with what is set aside; idempotent, and without work mostly nothing.
    pub(crate) async fn tell_unreadable(&self) -> Result<(), Refusal> {
        if !lock(&self.told).looked_back {
            self.look_back().await?;
            lock(&self.told).looked_back = true;
        }
        let aside: Vec<SetAside> = {
            let told = lock(&self.told);
            let aside = lock(&self.set_aside);
            let new = aside.iter().filter(|a| !told.runs.contains(&a.run_uid));
            new.cloned().collect()
        };
        for found in aside {
            self.record_unreadable(&found).await?;
            lock(&self.told).runs.insert(found.run_uid);
        }
        Ok(())
    }

    /// Issues of an earlier registry whose runs were mended while none ran.
    async fn look_back(&self) -> Result<(), Refusal> {
        let told = issues::unreadable(&self.database.read).await;
        for uid in self.sound(told)? {
            // Runs that have ended are looked at beside the service, and this one perhaps not yet.
            match self.writer.read(uid, |_| ()).await {
                Err(error @ WriteError::Store(StoreError::Corrupt(_))) => self.note(uid, &error),
                Err(error) => return Err(write_refusal(error)),
                Ok(()) => self.is_readable(uid).await?,
            }
        }
        Ok(())
    }

    async fn record_unreadable(&self, found: &SetAside) -> Result<(), Refusal> {
        let Ok(run) = found.run_uid.parse::<RunUid>() else {
            // No issue can name it; the finding does.
            return Ok(());
        };
        let whose = issues::whose(&self.database.read, run).await;
        let Some(whose) = whose.map_err(store_refusal)? else {
            return Ok(());
        };
        let c = &found.corrupt;
        let issue = NewIssue::unreadable((c.table, &c.id, c.column), &c.to_string());
        let unreadable = Unreadable {
            run,
            run_id: whose.run_id,
            project: whose.project,
            issue,
        };
        let put = self.writer.put(Setting::Unreadable(unreadable)).await;
        put.map_err(write_refusal)
    }

    /// The run can be read again: its issue is resolved.
    pub(crate) async fn is_readable(&self, uid: RunUid) -> Result<(), Refusal> {
        lock(&self.told).runs.remove(&uid.to_string());
        let command = self.command(uid, None, |a, c, now| {
            a.resolve_unreadable(now, c);
            Ok(())
        });
        command.await.map(drop)
    }
}
