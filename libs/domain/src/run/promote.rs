//! Promotions of a run that ended well: asked for, prepared, ended.
//!
//! Invariant: a run has one open promotion at most. Its job is fenced like every other; a job that fails for a reason
//! that time may heal is offered again, at most [`JOB_FAILURES`] times.

use super::{Changes, JobKind, RunAggregate, bootstrap::JOB_FAILURES};
use crate::{
    Cause, Reason, Refusal,
    catalogue::Charge,
    ids::{Fence, JobUid, PromotionUid},
    promotion::{Promoted, Promotion, PromotionIntent, PromotionState, Wanted},
    states::RunState,
    time::Timestamp,
};

/// A promotion that is asked for.
#[derive(Clone, Debug)]
pub struct NewPromotion {
    /// Its uid.
    pub uid: PromotionUid,
    /// The job that carries it out.
    pub job: JobUid,
    /// What is asked for.
    pub wanted: Wanted,
    /// Who asks.
    pub by: String,
    /// The `request_id`.
    pub request: String,
}

impl RunAggregate {
    /// Asks for a promotion; the rules of promotion were answered by the caller. The same once more, while it is
    /// open, is the one that is open.
    pub fn request_promotion(
        &mut self,
        new: NewPromotion,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Promotion, Refusal> {
        if self.run.state != RunState::DoneSuccess {
            return Err(self.wrong_state("promoting", "a run that is DONE_SUCCESS"));
        }
        if let Some(open) = self.promotion.clone() {
            if open.wanted == new.wanted {
                return Ok(open);
            }
            if open.wanted.pull_request {
                // Whoever was to open it has gone: no worker holds it.
                let given_up = "another promotion was asked for".to_owned();
                let end = Err((Cause::PullRequestRefused, given_up));
                self.end_promotion(open, end, now, changes);
                return self.request_promotion(new, now, changes);
            }
            return Err(Refusal::new(
                Reason::PromotionBusy,
                format!(
                    "run {} is being promoted to {} already (promotion {})",
                    self.run.id, open.wanted.target, open.uid
                ),
            )
            .with("run", &self.run.id)
            .with("promotion", open.uid));
        }
        let promotion = Promotion {
            uid: new.uid,
            wanted: new.wanted,
            by: new.by,
            request: new.request,
            tested: self.run.tip.clone(),
            state: PromotionState::Pending,
            intent: None,
            commit: String::new(),
            url: String::new(),
            cause: None,
            detail: String::new(),
            asked_at: now,
            finished_at: None,
        };
        if !promotion.wanted.pull_request {
            self.offer_aside(new.job, JobKind::Promote, (0, None), changes);
        }
        self.put_promotion(promotion.clone(), changes);
        self.close(now, changes);
        Ok(promotion)
    }

    /// Stores the move that is about to be made.
    pub fn prepare_promotion(
        &mut self,
        (job, fence): (JobUid, Fence),
        intent: PromotionIntent,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_aside(job, fence, JobKind::Promote)?;
        let mut promotion = self.open_promotion()?;
        promotion.intent = Some(intent);
        self.put_promotion(promotion, changes);
        self.close(now, changes);
        Ok(())
    }

    /// The worker has ended it well.
    pub fn finish_promotion(
        &mut self,
        (job, fence): (JobUid, Fence),
        end: Promoted,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_aside(job, fence, JobKind::Promote)?;
        let promotion = self.open_promotion()?;
        let text = format!("{} {}", promotion.wanted.target, end.state);
        self.end_job(job, &text, changes);
        self.end_promotion(promotion, Ok(end), now, changes);
        self.close(now, changes);
        Ok(())
    }

    /// The caller has opened the pull request, or could not. The same once more changes nothing.
    pub fn finish_pull_request(
        &mut self,
        uid: PromotionUid,
        end: Result<Promoted, (Cause, String)>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Promotion, Refusal> {
        let open = self.open_promotion()?;
        if open.uid != uid || !open.wanted.pull_request {
            return Err(no_promotion(&self.run.id, uid));
        }
        let promotion = self.end_promotion(open, end, now, changes);
        self.close(now, changes);
        Ok(promotion)
    }

    /// A job beside the run's own failed, or its lease is over: it is offered again as `next`, or ends with its cause.
    pub fn fail_aside(
        &mut self,
        (uid, fence, next): (JobUid, Option<Fence>, JobUid),
        (cause, detail): (Cause, &str),
        not_before: Timestamp,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if let Some(fence) = fence {
            self.check_job_fence(uid, fence)?;
        }
        let job = self.job(uid)?;
        let charged = cause != Cause::HandedOver;
        let failures = job.failures + u32::from(charged);
        self.end_job(uid, &format!("{cause}: {detail}"), changes);
        if cause.charge() != Charge::Final && failures < JOB_FAILURES {
            let again = (failures, charged.then_some(not_before));
            self.offer_aside(next, job.kind, again, changes);
        } else if job.kind == JobKind::Promote {
            if let Some(promotion) = self.promotion.clone() {
                self.end_promotion(promotion, Err((cause, detail.to_owned())), now, changes);
            }
        } else {
            self.end_look(Err((cause, detail.to_owned())), now, changes);
        }
        self.close(now, changes);
        Ok(())
    }

    /// Refuses a fence that is not the current one, and a job of another kind.
    pub(super) fn check_aside(
        &self,
        job: JobUid,
        fence: Fence,
        kind: JobKind,
    ) -> Result<(), Refusal> {
        self.check_job_fence(job, fence)?;
        if self.job(job)?.kind == kind {
            return Ok(());
        }
        let text = format!("job {job} is no {}", kind.as_str());
        Err(Refusal::new(Reason::JobGone, text).with("job", job))
    }

    fn open_promotion(&self) -> Result<Promotion, Refusal> {
        self.promotion.clone().ok_or_else(|| {
            Refusal::new(
                Reason::PromotionNotFound,
                format!("run {} has no open promotion", self.run.id),
            )
            .with("run", &self.run.id)
        })
    }

    fn end_promotion(
        &mut self,
        mut promotion: Promotion,
        end: Result<Promoted, (Cause, String)>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Promotion {
        promotion.finished_at = Some(now);
        match end {
            Ok(end) => {
                promotion.state = end.state;
                promotion.commit = end.commit;
                promotion.url = end.url;
            }
            Err((cause, detail)) => {
                promotion.state = PromotionState::Failed;
                promotion.cause = Some(cause);
                promotion.detail = detail;
            }
        }
        self.put_promotion(promotion.clone(), changes);
        promotion
    }

    fn put_promotion(&mut self, promotion: Promotion, changes: &mut Changes) {
        changes.run = true;
        changes.promotions.insert(promotion.uid, promotion.clone());
        self.promotion = Some(promotion).filter(|p| !p.state.is_terminal());
    }
}

/// The refusal for a promotion that the run does not have open.
pub fn no_promotion(run: &impl ToString, uid: impl ToString) -> Refusal {
    let (run, uid) = (run.to_string(), uid.to_string());
    let text = format!("run {run} has no promotion {uid} that is open");
    Refusal::new(Reason::PromotionNotFound, text)
        .with("run", run)
        .with("promotion", uid)
}
