//! Promotions of a run that ended well: asked for, prepared, ended.
//!
//! Invariant: a run has one open promotion at most. Its job is fenced like every other; a job that fails for a reason
//! that time may heal is offered again, at most [`JOB_FAILURES`] times. A promotion whose move was stored, and may
//! have happened, ends only by a worker that has read the branch: until then it is tried however often that fails, or
//! until an operator gives it up.

use std::time::Duration;

use super::{Changes, Job, JobKind, JobState, RunAggregate, bootstrap::JOB_FAILURES};
use crate::{
    Cause, Reason, Refusal,
    catalogue::Charge,
    ids::{Fence, JobUid, PromotionUid},
    promotion::{Promoted, Promotion, PromotionIntent, PromotionState, Wanted},
    states::RunState,
    time::Timestamp,
};

/// The longest pause between two tries of a job beside the run's own.
pub const ASIDE_PAUSE: Duration = Duration::from_mins(5);

/// How long whoever asked for a pull request may take to say what became of it.
pub const PULL_REQUEST_PATIENCE: Duration = Duration::from_mins(10);

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
        if let Some(mut open) = self.promotion.clone() {
            if open.wanted == new.wanted {
                if open.wanted.pull_request {
                    // Whoever asks now is to open it: their time begins.
                    open.asked_at = now;
                    self.put_promotion(open.clone(), changes);
                    self.close(now, changes);
                }
                self.hasten(new.job, now, changes);
                return Ok(open);
            }
            if !open.wanted.pull_request || now < open.asked_at.plus(PULL_REQUEST_PATIENCE) {
                return Err(self.busy(&open));
            }
            // Whoever was to open it has gone: no worker holds it.
            let text = "nobody has said what became of it, and another promotion was asked for";
            let end = Err((Cause::PullRequestUnclear, text.to_owned()));
            self.end_promotion(open, end, now, changes);
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

    /// Somebody waits for a promotion that is to be tried again later: it is tried now.
    fn hasten(&mut self, next: JobUid, now: Timestamp, changes: &mut Changes) {
        let waits = |j: &&Job| {
            let later = j.not_before.is_some_and(|at| at > now);
            j.kind == JobKind::Promote && j.state == JobState::Offered && later
        };
        if let Some(job) = self.jobs.iter().find(waits).cloned() {
            self.end_job(job.uid, "asked for again", changes);
            self.offer_aside(next, job.kind, (job.failures, None), changes);
            self.close(now, changes);
        }
    }

    fn busy(&self, open: &Promotion) -> Refusal {
        let (run, target) = (&self.run.id, &open.wanted.target);
        let text = if open.wanted.pull_request {
            format!(
                "a pull request to {target} was asked for of run {run} (promotion {}), and nobody has said yet what \
                 became of it; `autopack promote {run} --pull-request --to {target}` goes on with it, and after {} \
                 minutes it gives way to another promotion",
                open.uid,
                PULL_REQUEST_PATIENCE.as_secs() / 60
            )
        } else {
            format!(
                "run {run} is being promoted to {target} already (promotion {})",
                open.uid
            )
        };
        Refusal::new(Reason::PromotionBusy, text)
            .with("run", run)
            .with("promotion", open.uid)
    }

    /// Stores the move that is about to be made. It counts as a try, for only the next one can tell whether it was
    /// made if nothing more is heard.
    pub fn prepare_promotion(
        &mut self,
        (job, fence): (JobUid, Fence),
        intent: PromotionIntent,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        self.check_aside(job, fence, JobKind::Promote)?;
        let mut promotion = self.open_promotion()?;
        if promotion.intent.as_ref() != Some(&intent) {
            self.count_try(job, changes)?;
        }
        promotion.intent = Some(intent);
        self.put_promotion(promotion, changes);
        self.close(now, changes);
        Ok(())
    }

    /// The worker has read the branch, and it does not hold the move that an earlier one stored: that is forgotten, and
    /// failures count again. Whether the promotion has ended by this: it was tried [`JOB_FAILURES`] times.
    pub fn withdraw_promotion(
        &mut self,
        (job, fence): (JobUid, Fence),
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<bool, Refusal> {
        self.check_aside(job, fence, JobKind::Promote)?;
        let mut promotion = self.open_promotion()?;
        promotion.intent = None;
        let is_over = self.job(job)?.failures >= JOB_FAILURES;
        if is_over {
            let cause = promotion.cause.unwrap_or(Cause::RepositoryUnavailable);
            let detail = std::mem::take(&mut promotion.detail);
            self.end_job(job, &format!("{cause}: {detail}"), changes);
            self.end_promotion(promotion, Err((cause, detail)), now, changes);
        } else {
            self.put_promotion(promotion, changes);
        }
        self.close(now, changes);
        Ok(is_over)
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

    /// An operator gives up what would be tried for ever: the move may have happened, and the last try could not read
    /// the branch. A promotion that a worker holds, or that ends by itself, is not given up.
    pub fn abandon_promotion(
        &mut self,
        (by, why): (&str, &str),
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<Promotion, Refusal> {
        let open = self.open_promotion()?;
        let job = self.jobs.iter().find(|j| j.kind == JobKind::Promote);
        let is_held = job.is_some_and(|j| j.state == JobState::Leased);
        let (Some(intent), Some(cause), false) = (&open.intent, open.cause, is_held) else {
            let text = format!(
                "promotion {} of run {} is not given up: {}",
                open.uid,
                self.run.id,
                if is_held {
                    "a worker holds it at the moment, and says how it ended; ask again if it cannot"
                } else {
                    "no move of it waits for somebody who can read the branch, so it ends by itself"
                }
            );
            return Err(Refusal::new(Reason::PromotionReadable, text)
                .with("run", &self.run.id)
                .with("promotion", open.uid));
        };
        let said = |text: &str, or: &str| match text.trim() {
            "" => or.to_owned(),
            text => text.to_owned(),
        };
        let detail = format!(
            "given up by {} ({}); whether {} was moved from {} to {} is not known; the last try: {cause}: {}",
            said(by, "an operator"),
            said(why, "no reason was given"),
            open.wanted.target,
            intent.from,
            intent.commit,
            open.detail
        );
        if let Some(job) = job.map(|j| j.uid) {
            self.end_job(
                job,
                &format!("{}: {detail}", Cause::PromotionAbandoned),
                changes,
            );
        }
        let end = Err((Cause::PromotionAbandoned, detail));
        let promotion = self.end_promotion(open, end, now, changes);
        self.close(now, changes);
        Ok(promotion)
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
        self.end_job(uid, &format!("{cause}: {detail}"), changes);
        if let Some(mut promotion) = self.unread(job.kind, cause) {
            let patience = (now.since(promotion.asked_at) / 4).min(ASIDE_PAUSE);
            let later = not_before.max(now.plus(patience));
            let again = (job.failures, charged.then_some(later));
            self.offer_aside(next, job.kind, again, changes);
            if charged {
                promotion.cause = Some(cause);
                detail.clone_into(&mut promotion.detail);
                self.put_promotion(promotion, changes);
            }
            self.close(now, changes);
            return Ok(());
        }
        let failures = job.failures + u32::from(charged);
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

    /// The open promotion, if its move may have happened and the cause does not tell: what keeps a worker from reading
    /// the branch is no answer.
    fn unread(&self, kind: JobKind, cause: Cause) -> Option<Promotion> {
        let open = self.promotion.as_ref().filter(|_| kind == JobKind::Promote);
        let open = open.filter(|open| open.intent.is_some() && !cause.saw_target());
        open.cloned()
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
                // Those of an earlier try.
                promotion.cause = None;
                promotion.detail.clear();
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
