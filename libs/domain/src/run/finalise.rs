//! The one finalise rule (DESIGN): what a phase's end means for its dependants, its tier and the run,
//! and the run's state computed from its phases.
//!
//! Invariant: called at the end of every command, in the same transaction; computing it again changes nothing.

use super::{Changes, RunAggregate};
use crate::{
    Cause, EventKind,
    catalogue::EndClass,
    phase::PhaseCommand,
    states::{PhaseState, RunState, TierState},
    time::Timestamp,
};

impl RunAggregate {
    /// Computes the state of a run that has not ended again, after its rows were mended; whether it changed.
    pub fn reconsider(&mut self, now: Timestamp, changes: &mut Changes) -> bool {
        if self.run.state.is_terminal() || derived_state(self) == self.run.state {
            return false;
        }
        self.close(now, changes);
        true
    }

    pub(crate) fn finalise(&mut self, now: Timestamp, changes: &mut Changes) {
        if self.run.state.is_terminal() {
            return;
        }
        self.skip_dependants(now, changes);
        self.end_tiers(now, changes);
        self.end_by_issues();
        if self.run.cancelling {
            // What waits will not run any more; what is leased with an open intent settles first.
            self.abandon(Cause::Cancelled, "the run was cancelled", now, changes);
        }
        let next = derived_state(self);
        if next == self.run.state {
            return;
        }
        self.run.state = next;
        if next.is_terminal() {
            self.run.completed_at = Some(now);
            if next == RunState::DoneSuccess {
                self.run.cause = None;
                self.run.detail.clear();
            } else if let Some((cause, detail)) = self.leading_cause() {
                self.run.cause = Some(cause);
                self.run.detail = detail;
            }
            // A bootstrap may be under way: phases can be given up by hand before it ended.
            self.end_own_jobs(|_| true, changes);
            self.tell(EventKind::RunFinished, "", changes);
        } else {
            self.tell(EventKind::RunStateChanged, "", changes);
        }
    }

    /// Skips the queued dependants of every phase that failed or was skipped in this command.
    fn skip_dependants(&mut self, now: Timestamp, changes: &mut Changes) {
        let mut stack: Vec<usize> = changes
            .phases
            .iter()
            .copied()
            .filter(|&p| {
                matches!(
                    self.phases[p].state,
                    PhaseState::Failed | PhaseState::Skipped
                )
            })
            .collect();
        while let Some(from) = stack.pop() {
            if self.phases[from].cause == Some(Cause::SkippedByRequest) {
                continue;
            }
            for to in self.dependants[from].clone() {
                if self.phases[to].state == PhaseState::Queued && self.phases[to].current.is_none()
                {
                    self.phases[to].cause = Some(Cause::DependencyFailed);
                    self.phases[to].detail = format!(
                        "phase {} is {}",
                        self.phases[from].id, self.phases[from].state
                    );
                    if self
                        .shift_phase(to, PhaseCommand::Skip, now, changes)
                        .is_ok()
                    {
                        self.tell_phase(
                            EventKind::PhaseSkipped,
                            to,
                            None,
                            Cause::DependencyFailed.text(),
                            changes,
                        );
                        stack.push(to);
                    }
                }
            }
        }
    }

    /// Ends tiers whose phases have all ended; after a failed tier the later ones are skipped.
    fn end_tiers(&mut self, now: Timestamp, changes: &mut Changes) {
        let mut failed = false;
        for t in 0..self.tiers.len() {
            if failed && !self.tiers[t].state.is_terminal() {
                for p in 0..self.phases.len() {
                    if self.phases[p].tier == t && self.phases[p].state == PhaseState::Queued {
                        self.phases[p].cause = Some(Cause::TierFailed);
                        if self
                            .shift_phase(p, PhaseCommand::Skip, now, changes)
                            .is_ok()
                        {
                            self.tell_phase(
                                EventKind::PhaseSkipped,
                                p,
                                None,
                                Cause::TierFailed.text(),
                                changes,
                            );
                        }
                    }
                }
            }
            if self.tiers[t].counts.open() > 0 {
                return;
            }
            if !self.tiers[t].state.is_terminal() {
                let skipped_by_request = if self.tiers[t].counts.skipped == 0 {
                    0
                } else {
                    self.phases
                        .iter()
                        .filter(|p| p.tier == t && p.cause == Some(Cause::SkippedByRequest))
                        .count() as u32
                };
                let mut state = self.tiers[t].derived_state(skipped_by_request);
                if self.fails_by_issues(t, state) {
                    state = TierState::Failed;
                }
                self.tiers[t].state = state;
                self.tiers[t].completed_at = Some(now);
                changes.tiers.insert(t);
                let kind = match state {
                    TierState::Complete => EventKind::TierCompleted,
                    TierState::Failed => EventKind::TierFailed,
                    TierState::Skipped | TierState::Pending | TierState::InProgress => {
                        EventKind::TierSkipped
                    }
                };
                self.tell_tier(kind, t, changes);
            }
            failed |= matches!(self.tiers[t].state, TierState::Failed | TierState::Skipped);
        }
    }

    /// The first matching cause of the phases and the run: cancelled, budget, policy, environment, human.
    pub fn leading_cause(&self) -> Option<(Cause, String)> {
        let own = self.run.cause.map(|c| (c, self.run.detail.clone()));
        let phases = self
            .phases
            .iter()
            .filter(|p| matches!(p.state, PhaseState::Failed | PhaseState::Skipped))
            .filter(|p| !matches!(p.cause, Some(Cause::DependencyFailed | Cause::TierFailed)))
            .filter_map(|p| {
                p.cause
                    .map(|c| (c, format!("phase {}: {}", p.id, p.detail)))
            });
        own.into_iter()
            .chain(phases)
            .filter_map(|(c, d)| c.end().map(|end| (end, c, d)))
            .min_by_key(|(end, ..)| *end)
            .map(|(_, c, d)| (c, d))
    }

    /// Records that a completed tier is held by a private ref.
    pub fn record_snapshot(
        &mut self,
        tier: usize,
        commit: &str,
        now: Timestamp,
        changes: &mut Changes,
    ) {
        if self.tiers[tier].state == TierState::Complete && self.tiers[tier].snapshot.is_empty() {
            commit.clone_into(&mut self.tiers[tier].snapshot);
            changes.tiers.insert(tier);
            self.close(now, changes);
        }
    }
}

/// The run's state, from its flags and its phases alone (DESIGN "States"); pure, also used by the doctor.
pub fn derived_state(aggregate: &RunAggregate) -> RunState {
    let run = &aggregate.run;
    let counts = &run.counts;
    if counts.open() == 0 && run.open_intents == 0 {
        if run.cancelling {
            return RunState::DoneCancelled;
        }
        let all_well = counts.failed == 0
            && run.cause.is_none()
            && (counts.skipped == 0
                || aggregate.phases.iter().all(|p| {
                    p.state != PhaseState::Skipped || p.cause == Some(Cause::SkippedByRequest)
                }));
        if all_well {
            return if run.started {
                RunState::DoneSuccess
            } else {
                run.state
            };
        }
        return aggregate
            .leading_cause()
            .and_then(|(c, _)| c.end())
            .unwrap_or(EndClass::Human)
            .state();
    }
    if !run.frozen {
        return run.state;
    }
    if !run.started {
        return RunState::RunCreated;
    }
    if counts.executing > 0 {
        return RunState::PhaseExecution;
    }
    if counts.gate > 0 {
        return RunState::Gate;
    }
    if counts.ci_running > 0 {
        return RunState::CiRunning;
    }
    let open = aggregate.open_tier().unwrap_or(0);
    if open > 0
        && aggregate.tiers[open].started_at.is_none()
        && !aggregate.tiers[open - 1].snapshot.is_empty()
    {
        return RunState::SnapshotCreated;
    }
    RunState::PhaseQueueing
}
