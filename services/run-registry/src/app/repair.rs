//! Mending what the reviewed alias table knows.
//!
//! Invariant: a state is mended by the writer, in a transaction that records the old and the new spelling, and only
//! where no worker holds a lease in the run; everything else is left for a person.

use autopack_domain::{Finding, Refusal, RunUid};
use autopack_store::{
    audit::{self, Stretch},
    entity::repair,
    repairs,
};
use autopack_store_write::{Mend, Setting};

use super::{
    Core, store_refusal,
    walk::{Mending, Page},
    write_refusal,
};

/// Repairs of an answer: by default, and at most.
const LIMIT: (u64, u64) = (50, 1000);
/// Findings of an answer.
const LEFT: usize = 1000;

impl Core {
    /// Mends what is safe, or says what it would mend; the findings of the page are what is left.
    pub async fn repair(&self, validate_only: bool, token: &str) -> Result<Page, Refusal> {
        let mending = if validate_only {
            Mending::Told
        } else {
            Mending::Done
        };
        self.walk(None, LEFT, token, mending).await
    }

    /// Repairs, newest first.
    pub async fn list_repairs(&self, limit: u32) -> Result<Vec<repair::Model>, Refusal> {
        let limit = if limit == 0 {
            LIMIT.0
        } else {
            u64::from(limit).min(LIMIT.1)
        };
        let found = repairs::list(&self.database.read, limit).await;
        found.map_err(store_refusal)
    }

    /// What the alias says is the best guess at a state; what the run's own phases say is the state.
    pub(crate) async fn reconsider(&self, uid: RunUid) -> Result<(), Refusal> {
        let command = self.command(uid, None, |a, c, now| {
            a.reconsider(now, c);
            Ok(())
        });
        command.await.map(drop)
    }

    /// What could be mended in a stretch, each with the uid of its run.
    pub(super) async fn safe(&self, stretch: &Stretch) -> Result<Vec<(Finding, String)>, Refusal> {
        let found = audit::aliases(&self.database.read, stretch).await;
        let mut found = found.map_err(store_refusal)?;
        found.retain(|(finding, _)| finding.safe.is_some());
        Ok(found)
    }

    /// Mends what is safe in a stretch.
    pub(super) async fn mend(
        &self,
        stretch: &Stretch,
        validate_only: bool,
    ) -> Result<Vec<repair::Model>, Refusal> {
        let _one_at_a_time = self.settings.lock().await;
        let mut done = Vec::new();
        for (finding, run) in self.safe(stretch).await? {
            let Ok(run) = run.parse::<RunUid>() else {
                continue;
            };
            let uid = self.ports.ids.uuid();
            let Some(mend) = Mend::of(&finding, uid, run, self.epoch) else {
                continue;
            };
            let row = record(&mend, run, self.epoch, self.now().0);
            if validate_only {
                done.push(row);
                continue;
            }
            let put = self.writer.put(Setting::Mend(mend)).await;
            put.map_err(write_refusal)?;
            let stored = repairs::find(&self.database.read, &uid.to_string()).await;
            // Without a record the row had changed in the meantime, and was left as it is.
            if let Some(stored) = stored.map_err(store_refusal)? {
                tracing::warn!(
                    table = stored.table_name,
                    row = stored.row_key,
                    before = stored.before_value,
                    after = stored.after_value,
                    "a stored state was mended"
                );
                done.push(stored);
            }
        }
        Ok(done)
    }
}

fn record(mend: &Mend, run: RunUid, epoch: u64, at: i64) -> repair::Model {
    let (before, after) = mend.change();
    repair::Model {
        uid: mend.uid.to_string(),
        table_name: mend.table().to_owned(),
        row_key: mend.row().to_owned(),
        column_name: "state".to_owned(),
        run_uid: run.to_string(),
        before_value: before.to_owned(),
        after_value: after.to_owned(),
        rule: autopack_domain::FindingCode::StateAlias.code().to_owned(),
        epoch: i64::try_from(epoch).unwrap_or(i64::MAX),
        at,
    }
}
