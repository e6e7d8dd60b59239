//! Looks at a run's integration branch: asked for at any time, ended by the worker that looked.
//!
//! Invariant: a run has one look under way at most; asking again while it is under way asks for the same.

use super::{Changes, JobKind, JobState, RunAggregate};
use crate::{
    Cause, Refusal,
    ids::{Fence, JobUid},
    integration::{Integration, Seen},
    time::Timestamp,
};

impl RunAggregate {
    /// Asks for a look; `known` is what was stored before.
    pub fn request_look(
        &mut self,
        job: JobUid,
        target: &str,
        known: Option<Integration>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Integration, Refusal> {
        if let Some(under_way) = self.integration.clone().filter(|_| self.looks()) {
            return Ok(under_way);
        }
        if !self.run.frozen {
            return Err(self.wrong_state("looking at its branch", "a run that is bootstrapped"));
        }
        let (looked_at, seen) = known.map_or_else(Default::default, |k| (k.looked_at, k.seen));
        let integration = Integration {
            target: target.to_owned(),
            asked_at: now,
            looked_at,
            seen,
            cause: None,
            detail: String::new(),
        };
        self.offer_aside(job, JobKind::IntegrationStatus, (0, None), changes);
        self.put_integration(integration.clone(), changes);
        self.close(now, changes);
        Ok(integration)
    }

    /// Whether a look is under way.
    pub fn looks(&self) -> bool {
        let live = |j: &&super::Job| j.state != JobState::Done;
        self.jobs
            .iter()
            .filter(live)
            .any(|j| j.kind == JobKind::IntegrationStatus)
    }

    /// The worker has looked.
    pub fn finish_look(
        &mut self,
        (job, fence): (JobUid, Fence),
        seen: Seen,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_aside(job, fence, JobKind::IntegrationStatus)?;
        self.end_job(job, "", changes);
        self.end_look(Ok(seen), now, changes);
        self.close(now, changes);
        Ok(())
    }

    pub(super) fn end_look(
        &mut self,
        end: Result<Seen, (Cause, String)>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let Some(mut integration) = self.integration.take() else {
            return;
        };
        match end {
            Ok(seen) => {
                integration.looked_at = Some(now);
                integration.seen = seen;
            }
            Err((cause, detail)) => {
                integration.cause = Some(cause);
                integration.detail = detail;
            }
        }
        changes.run = true;
        changes.integration = Some(integration);
    }

    fn put_integration(&mut self, integration: Integration, changes: &mut Changes) {
        changes.run = true;
        changes.integration = Some(integration.clone());
        self.integration = Some(integration);
    }
}
