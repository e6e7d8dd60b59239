//! The self-check that goes by itself: of runs that have not ended before anything is served, of the others beside the
//! service, some at a time.
//!
//! Invariant: how long a start takes depends on the runs that have not ended; how many have ended changes nothing. A run
//! that has ended and cannot be read is refused by name from the first request on, looked at or not.

use std::collections::BTreeSet;

use autopack_domain::{Refusal, RunUid};
use autopack_store::{
    SetAside,
    audit::{Stretch, stretch},
    set_aside,
};

use super::{Core, lock, store_refusal};
use crate::SelfRepair;

/// Runs that are looked at in one go beside the service.
const RUNS: usize = 100;

/// Says that a run is left alone.
pub(super) fn tell(found: &SetAside) {
    tracing::error!(run = found.run_id, corrupt = %found.corrupt, "a run was set aside; every other run goes on");
}

impl Core {
    /// At the start, before leases are granted: as the configuration asks.
    pub(crate) async fn check_itself(&self) -> Result<(), Refusal> {
        let mended = self.check(&Stretch::Open).await?;
        if mended.is_empty() {
            return Ok(());
        }
        let left = set_aside::find(&self.database.read, &Stretch::Open).await;
        *lock(&self.set_aside) = left.map_err(store_refusal)?;
        self.reconsider_all(mended).await
    }

    /// Beside the service: the runs that follow one, by uid. The last of them; `None`: there are no more.
    pub(crate) async fn check_next(&self, after: &str) -> Result<Option<String>, Refusal> {
        let db = &self.database.read;
        let some = stretch::next(db, after, RUNS).await;
        let some = some.map_err(store_refusal)?;
        let mended = self.check(&some).await?;
        let left = set_aside::find(db, &some).await.map_err(store_refusal)?;
        {
            let mut aside = lock(&self.set_aside);
            for found in left {
                if aside.iter().all(|known| known.run_uid != found.run_uid) {
                    tell(&found);
                    aside.push(found);
                    self.news.notify_one();
                }
            }
        }
        if !mended.is_empty() {
            self.take_back().await?;
            self.reconsider_all(mended).await?;
        }
        Ok(match some {
            Stretch::Runs { upto, .. } => upto,
            Stretch::All | Stretch::Open => None,
        })
    }

    /// Mends what is safe in a stretch, or tells it; the runs of which something was mended.
    async fn check(&self, stretch: &Stretch) -> Result<BTreeSet<RunUid>, Refusal> {
        match self.config.self_repair {
            SelfRepair::Off => Ok(BTreeSet::new()),
            SelfRepair::Report => {
                for (finding, _) in self.safe(stretch).await? {
                    tracing::warn!(place = %finding.place, problem = finding.problem, run = finding.run,
                        "`autopack doctor --fix` or self_repair = safe mends this");
                }
                Ok(BTreeSet::new())
            }
            SelfRepair::Safe => {
                let mended = self.mend(stretch, false).await?;
                let runs = mended.iter().filter_map(|r| r.run_uid.parse().ok());
                Ok(runs.collect())
            }
        }
    }

    async fn reconsider_all(&self, runs: BTreeSet<RunUid>) -> Result<(), Refusal> {
        for uid in self.sound(Ok(runs.into_iter().collect()))? {
            self.reconsider(uid).await?;
        }
        Ok(())
    }
}
