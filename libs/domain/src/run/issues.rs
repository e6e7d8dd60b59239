//! Issues of a run: recorded by anybody who may, cleaned by the phases whose task that is.
//!
//! Invariant: after each change, the counts of phase, tier and run are computed anew from the book; a tier's
//! cleanliness and the run's debt follow from them and the frozen strategy.

use std::collections::BTreeSet;

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind, Fault, Reason, Refusal,
    backlog::Sighting,
    ids::{AttemptUid, Fence},
    issue::{Cleanliness, DebtStatus, INTEGRITY, Issue, IssueCounts, NewIssue, Place, REGISTRY},
    plan::{SafetyProfile, category},
    states::{PhaseState, TierState},
    time::Timestamp,
};

/// Issues of one run, over all places; more are refused.
pub const MAX_ISSUES: usize = 10_000;
/// The task category of phases that clean issues.
pub const CLEANUP: &str = "debt_cleanup";
/// The label that names the issue which such a phase cleans: `cleans`, or `cleans.` and anything for more of them.
pub const CLEANS: &str = "cleans";

impl RunAggregate {
    /// Records an issue. A worker names its attempt with the fence, and reports for its own phase only. A run that has
    /// ended keeps its state; its counts still grow, and with them what bars its promotion.
    pub fn record_issue(
        &mut self,
        place: Place,
        new: NewIssue,
        by: Option<(AttemptUid, Fence)>,
        now: Timestamp,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let mut place = place;
        if let Some((uid, fence)) = by {
            let attempt = self.attempt(uid)?;
            attempt.check_fence(fence)?;
            if *place.get_or_insert(attempt.phase) != attempt.phase {
                let own = &self.phases[attempt.phase].id;
                let text = format!("the attempt is one of phase {own}");
                let fault = Fault::new("phase_id", text).allowed([own.to_string()]);
                return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
            }
        }
        self.room_for_issues(1)?;
        self.note_issue(place, new, by.map(|(uid, _)| uid), now, changes);
        self.close(now, changes);
        Ok(())
    }

    /// Refuses more issues than a run may have.
    pub(super) fn room_for_issues(&self, more: usize) -> Result<(), Refusal> {
        if self.issues.len() + more <= MAX_ISSUES {
            return Ok(());
        }
        let text = format!(
            "run {} has {MAX_ISSUES} issues; no more are kept",
            self.run.id
        );
        Err(Refusal::new(Reason::LimitExceeded, text).with("max", MAX_ISSUES))
    }

    /// Takes a valid report into the book.
    pub(super) fn note_issue(
        &mut self,
        place: Place,
        new: NewIssue,
        attempt: Option<AttemptUid>,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        let aged = self.strategy.aged.contains(&new.key);
        let key = new.key.clone();
        changes.seen.push(Sighting {
            key: key.clone(),
            severity: new.severity,
            category: new.category.clone(),
            paths: new.paths.clone(),
            tier: place.map(|p| self.tiers[self.phases[p].tier].id.to_string()),
            new_in_run: !self.issues.knows(&key),
            at: now,
        });
        if let Some(issue) = self.issues.get_mut(place, &key) {
            issue.again(new, aged, attempt, now);
        } else {
            let spec = place.map(|p| self.spec(p));
            let phase = spec.map_or(("", ""), |s| {
                (s.task_category.as_str(), s.complexity.as_str())
            });
            let issue = Issue::first(new, phase, aged, attempt, now);
            self.issues.put(place, issue);
        }
        self.recount(place, &key, EventKind::IssueRecorded, changes);
    }

    /// The run's rows can be read again: what the registry said of them is resolved, here and in the backlog.
    pub fn resolve_unreadable(&mut self, now: Timestamp, changes: &mut Changes) {
        let open: Vec<String> = self
            .issues
            .iter()
            .filter(|(place, issue)| place.is_none() && issue.resolved_at.is_none())
            .filter(|(_, issue)| issue.category == INTEGRITY && issue.source == REGISTRY)
            .map(|(_, issue)| issue.key.clone())
            .collect();
        if open.is_empty() {
            return;
        }
        for key in open {
            if let Some(issue) = self.issues.get_mut(None, &key) {
                issue.resolved_at = Some(now);
            }
            changes.cleaned.insert(key.clone());
            self.recount(None, &key, EventKind::IssueResolved, changes);
        }
        self.close(now, changes);
    }

    /// The phase completed: what it was to clean is resolved, here and in the backlog.
    pub(super) fn clean_issues(&mut self, phase: usize, now: Timestamp, changes: &mut Changes) {
        let spec = self.spec(phase);
        if spec.labels.is_empty() || category(&spec.task_category).name != CLEANUP {
            return;
        }
        let cleaned: BTreeSet<String> = spec
            .labels
            .iter()
            .filter(|(name, _)| name.split('.').next() == Some(CLEANS))
            .map(|(_, key)| key.clone())
            .collect();
        let open: Vec<(Place, String)> = self
            .issues
            .iter()
            .filter(|(_, issue)| issue.resolved_at.is_none() && cleaned.contains(&issue.key))
            .map(|(place, issue)| (place, issue.key.clone()))
            .collect();
        for (place, key) in open {
            if let Some(issue) = self.issues.get_mut(place, &key) {
                issue.resolved_at = Some(now);
            }
            self.recount(place, &key, EventKind::IssueResolved, changes);
        }
        changes.cleaned.extend(cleaned);
    }

    /// Computes what depends on the issues of a place, and tells it.
    fn recount(&mut self, place: Place, key: &str, kind: EventKind, changes: &mut Changes) {
        changes.issues.insert((place, key.to_owned()));
        changes.run = true;
        self.run.issues = self.issues.counts(|_| true);
        self.run.debt = self.run.issues.debt(self.strategy.max_minor_issues);
        let Some(phase) = place else {
            self.tell(kind, key, changes);
            return;
        };
        self.phases[phase].issues = self.issues.counts(|p| p == place);
        let tier = self.phases[phase].tier;
        let in_tier = |p: Place| p.is_some_and(|p| self.phases[p].tier == tier);
        let counts = self.issues.counts(in_tier);
        self.tiers[tier].issues = counts;
        self.tiers[tier].cleanliness = self.cleanliness(tier, counts);
        changes.phases.insert(phase);
        changes.tiers.insert(tier);
        self.tell_phase(kind, phase, None, key, changes);
    }

    pub(super) fn cleanliness(&self, tier: usize, counts: IssueCounts) -> Cleanliness {
        let limits = &self.strategy.tier[tier];
        counts.cleanliness(limits.max_minor_issues, limits.max_major_issues)
    }

    /// In a safety-critical run, a tier that is not clean has failed although its phases are complete.
    pub(super) fn fails_by_issues(&mut self, tier: usize, state: TierState) -> bool {
        let critical = self.strategy.safety_profile == SafetyProfile::SafetyCritical;
        let t = &self.tiers[tier];
        if !critical || state != TierState::Complete || t.cleanliness == Cleanliness::Clean {
            return false;
        }
        let limits = &self.strategy.tier[tier];
        let detail = format!(
            "tier {} is not clean: {} major issues ({} tolerated), {} minor ({} tolerated)",
            t.id, t.issues.major, limits.max_major_issues, t.issues.minor, limits.max_minor_issues
        );
        self.blame_issues(detail);
        true
    }

    /// A safety-critical run that would succeed fails for issues of its own, or for too many minor ones.
    pub(super) fn end_by_issues(&mut self) {
        let critical = self.strategy.safety_profile == SafetyProfile::SafetyCritical;
        let ends = self.run.counts.open() == 0 && self.run.started && !self.run.cancelling;
        if !critical || !ends || self.run.cause.is_some() {
            return;
        }
        if self.run.issues.major > 0 || self.run.debt == DebtStatus::ExcessMinorIssues {
            let detail = format!(
                "{} major issues are open, and {} minor ones ({} tolerated)",
                self.run.issues.major, self.run.issues.minor, self.strategy.max_minor_issues
            );
            self.blame_issues(detail);
        }
    }

    fn blame_issues(&mut self, detail: String) {
        if self.run.cause.is_none() && self.run.counts.failed == 0 {
            self.run.cause = Some(Cause::IssuesOverLimit);
            self.run.detail = detail;
        }
    }

    /// A retry: tiers that only their issues failed are judged anew.
    pub(super) fn reopen_by_issues(&mut self, changes: &mut Changes) {
        for t in 0..self.tiers.len() {
            let complete = self.phases.iter().filter(|p| p.tier == t).all(|p| {
                p.state == PhaseState::Complete || p.cause == Some(Cause::SkippedByRequest)
            });
            if self.tiers[t].state == TierState::Failed && complete {
                self.tiers[t].state = TierState::InProgress;
                self.tiers[t].completed_at = None;
                self.tell_tier(EventKind::TierReopened, t, changes);
                changes.tiers.insert(t);
            }
        }
    }
}
