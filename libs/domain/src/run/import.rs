//! `ImportRuns`: a run of the past becomes a stored run that has ended.
//!
//! Invariant: an imported run is terminal and never gets work. Its state is computed by the one finalise rule from its
//! phases and its own cause; where that is not the state that the older system recorded, the run is not taken over.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use uuid::Uuid;

use super::{Changes, RunAggregate, create::NewRun};
use crate::{
    Cause, EventKind,
    attempt::Attempt,
    event::{RepairFact, UsageFact},
    fault::Fault,
    ids::{AttemptUid, Fence, JobUid},
    import::{
        HistoricalIssue, HistoricalNote, HistoricalPhase, HistoricalRun, HistoricalUsage, KEY_FACT,
        ORIGIN_FACT, Sound, check,
        plan::{Places, unsigned},
    },
    issue::{Issue, Place},
    phase::PhaseCommand,
    plan::Plan,
    states::{AttemptState, PhaseState, RunState},
    strategy::Strategy,
    time::Timestamp,
    usage::{Provenance, Usage},
};

/// Characters of a detail, and of a note in the event log, at most.
const MAX_TEXT: usize = 2_000;

/// A run of the past, checked, with the plan that it was.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The run.
    pub history: &'a HistoricalRun,
    /// What its check found out.
    pub sound: &'a Sound,
    /// Where its phases stand in the plan.
    pub places: &'a Places,
    /// The registry that takes it over.
    pub epoch: u64,
}

impl RunAggregate {
    /// Takes a run of the past over. `mint` gives uids.
    pub fn import(
        mut new: NewRun,
        import: &Import<'_>,
        plan: Arc<Plan>,
        strategy: Arc<Strategy>,
        mint: &mut dyn FnMut() -> Uuid,
    ) -> Result<(Self, Changes), Fault> {
        let history = import.history;
        let origin = format!("{} {}", history.origin.kind, history.origin.name);
        new.facts.insert(ORIGIN_FACT.to_owned(), origin.clone());
        new.facts
            .insert(KEY_FACT.to_owned(), history.origin.key.clone());
        let (mut run, mut changes) = Self::create(new, plan, strategy, history.created_at);
        changes.source = serde_json::to_string(history).unwrap_or_default();
        run.own_record(import);
        run.tell(EventKind::RunImported, origin, &mut changes);
        run.old_issues(&history.issues, history.created_at, &mut changes);
        let mut usage: BTreeMap<&str, Vec<&HistoricalUsage>> = BTreeMap::new();
        for used in &history.usage {
            usage.entry(&used.phase).or_default().push(used);
        }
        for (index, &(.., old)) in import.places.iter().enumerate() {
            let phase = &history.phases[old];
            let used = usage.remove(phase.id.as_str()).unwrap_or_default();
            run.old_phase(
                index,
                phase,
                import.sound.phases[old],
                history,
                &mut changes,
            )?;
            run.old_attempts(index, phase, &used, history, mint, &mut changes);
            run.tell_end(index, &mut changes);
        }
        for note in &history.notes {
            run.old_note(note, &mut changes);
        }
        run.record_repairs(import, mint, &mut changes);
        run.close(history.ended_at(), &mut changes);
        let wanted = match import.sound.state {
            ended if ended.is_terminal() => ended,
            _ => RunState::DoneCancelled,
        };
        if run.run.state == wanted {
            return Ok((run, changes));
        }
        let problem = format!(
            "the run is {wanted}, and its phases make it {}",
            run.run.state
        );
        Err(Fault::new("state", problem))
    }

    fn own_record(&mut self, import: &Import<'_>) {
        let history = import.history;
        for tier in &history.tiers {
            let stored = self.tiers.iter_mut().find(|t| t.id.as_str() == tier.id);
            if let Some(stored) = stored {
                stored.ci_runs.settle(0, unsigned(tier.ci_runs));
            }
        }
        let run = &mut self.run;
        run.frozen = true;
        run.started = true;
        run.started_at = history.started_at;
        run.phases_used = 0;
        let state = import.sound.state;
        run.cause = match state {
            RunState::DoneSuccess => None,
            RunState::DoneFailedBudgetExhausted => Some(Cause::ImportedBudgetSpent),
            RunState::DoneFailedPolicyViolation => Some(Cause::ImportedPolicyViolation),
            RunState::DoneFailedRequiresHumanReview => Some(Cause::ImportedFailure),
            RunState::DoneFailedEnvironment => Some(Cause::ImportedEnvironmentFailure),
            RunState::DoneCancelled => Some(Cause::Cancelled),
            RunState::Queued
            | RunState::PlanBootstrap
            | RunState::RunCreated
            | RunState::PhaseQueueing
            | RunState::PhaseExecution
            | RunState::Gate
            | RunState::CiRunning
            | RunState::SnapshotCreated => Some(Cause::ImportedUnfinished),
        };
        if state.is_terminal() {
            run.detail = clip(&history.failure);
        } else {
            run.detail = format!("it was {state}");
        }
    }

    /// The phase's own record, and its end. An open phase is skipped: nobody will work on it.
    fn old_phase(
        &mut self,
        index: usize,
        old: &HistoricalPhase,
        state: PhaseState,
        history: &HistoricalRun,
        changes: &mut Changes,
    ) -> Result<(), Fault> {
        let (command, cause, detail) = match state {
            PhaseState::Complete => (PhaseCommand::Complete, None, String::new()),
            PhaseState::Failed => {
                let cause = Some(Cause::ImportedFailure);
                (PhaseCommand::Fail, cause, clip(&old.failure))
            }
            PhaseState::Skipped => {
                let cause = Some(Cause::SkippedByRequest);
                (PhaseCommand::Skip, cause, clip(&old.failure))
            }
            PhaseState::Queued
            | PhaseState::Executing
            | PhaseState::Gate
            | PhaseState::CiRunning => {
                let cause = Some(Cause::ImportedOpen);
                (PhaseCommand::Skip, cause, format!("it was {state}"))
            }
        };
        let phase = &mut self.phases[index];
        phase.cause = cause;
        phase.detail = detail;
        phase.started_at = old.started_at;
        let ended = old.completed_at.or(old.updated_at);
        let ended = ended.unwrap_or_else(|| history.ended_at());
        let tier = &mut self.tiers[phase.tier];
        tier.started_at = earlier(tier.started_at, old.started_at);
        // From QUEUED each of the three is legal.
        self.shift_phase(index, command, ended, changes)
            .map_err(|refusal| Fault::new(format!("phases[{index}].state"), refusal.message))
    }

    /// As many attempts as a builder made, the last one with the tokens. The older system kept no record of each, so
    /// nothing else is said of them.
    fn old_attempts(
        &mut self,
        index: usize,
        old: &HistoricalPhase,
        used: &[&HistoricalUsage],
        history: &HistoricalRun,
        mint: &mut dyn FnMut() -> Uuid,
        changes: &mut Changes,
    ) {
        let tokens = if used.is_empty() {
            unsigned(old.tokens)
        } else {
            used.iter().map(|u| unsigned(u.tokens().unwrap_or(0))).sum()
        };
        let made = unsigned(old.attempts).max(u64::from(!used.is_empty()));
        let made = u32::try_from(made).unwrap_or(u32::MAX);
        let complete = self.phases[index].state == PhaseState::Complete;
        let phase = &mut self.phases[index];
        phase.attempts_made = made;
        phase.attempts_charged = made - u32::from(complete && made > 0);
        phase.tokens.settle(0, tokens);
        let ended = phase.completed_at;
        let tier = phase.tier;
        self.tiers[tier].tokens.settle(0, tokens);
        self.run.tokens.settle(0, tokens);
        if made > 0 {
            self.run.phases_used += 1;
            let first = earlier(old.started_at, used.iter().map(|u| u.at).min());
            self.run.first_lease_at =
                earlier(self.run.first_lease_at, first).map(|at| at.min(history.ended_at()));
        }
        let mut last = None;
        for number in 1..=made {
            let uid = AttemptUid(mint());
            let succeeded = complete && number == made;
            let attempt = Attempt {
                uid,
                phase: index,
                number,
                state: if succeeded {
                    AttemptState::Succeeded
                } else {
                    AttemptState::Failed
                },
                job: JobUid(mint()),
                fence: Fence(0),
                worker: None,
                tip: String::new(),
                tree: String::new(),
                commit: String::new(),
                intent: None,
                cause: (!succeeded).then_some(Cause::ImportedFailure),
                detail: String::new(),
                gate: String::new(),
                tests: None,
                tokens_reserved: 0,
                tokens_used: if number == made { tokens } else { 0 },
                offered_at: old
                    .started_at
                    .or(old.created_at)
                    .unwrap_or(history.created_at),
                leased_at: old.started_at,
                finished_at: ended,
                artifacts: Vec::new(),
                facts: serde_json::Map::new(),
            };
            changes.attempts.insert(uid, attempt);
            last = Some(uid);
        }
        let Some(attempt) = last else {
            return;
        };
        changes.usage.extend(used.iter().map(|u| UsageFact {
            phase: index,
            attempt,
            usage: usage(u),
            at: Some(u.at),
        }));
    }

    fn tell_end(&mut self, index: usize, changes: &mut Changes) {
        let kind = match self.phases[index].state {
            PhaseState::Complete => EventKind::PhaseCompleted,
            PhaseState::Failed => EventKind::PhaseFailed,
            PhaseState::Skipped
            | PhaseState::Queued
            | PhaseState::Executing
            | PhaseState::Gate
            | PhaseState::CiRunning => EventKind::PhaseSkipped,
        };
        let text = self.phases[index].cause.map_or("imported", Cause::text);
        self.tell_phase(kind, index, None, text, changes);
    }

    /// The issues, with their counts at phases, tiers and run. The project's backlog hears nothing of them: what was
    /// found long ago does not age what is found now.
    fn old_issues(&mut self, old: &[HistoricalIssue], begin: Timestamp, changes: &mut Changes) {
        let mut places: Vec<Place> = Vec::new();
        for issue in old {
            let place = issue.phase.as_deref().and_then(|id| self.place(id));
            let spec = place.map(|p| self.spec(p));
            let of = spec.map_or(("", ""), |s| {
                (s.task_category.as_str(), s.complexity.as_str())
            });
            let first = issue.first_seen_at.unwrap_or(begin);
            let mut new = Issue::first(check::new_issue(issue), of, false, None, first);
            let aged = check::severity(&issue.effective_severity);
            new.effective = new.effective.max(aged.unwrap_or(new.effective));
            new.occurrences = u32::try_from(issue.occurrences.max(1)).unwrap_or(u32::MAX);
            new.last_seen_at = issue.last_seen_at.unwrap_or(first).max(first);
            new.resolved_at = issue.resolved_at;
            changes.issues.insert((place, new.key.clone()));
            self.issues.put(place, new);
            places.push(place);
        }
        places.sort_unstable();
        places.dedup();
        for &place in places.iter().flatten() {
            self.phases[place].issues = self.issues.counts(|p| p == Some(place));
        }
        let mut tiers: Vec<usize> = places
            .iter()
            .flatten()
            .map(|&p| self.phases[p].tier)
            .collect();
        tiers.dedup();
        for tier in tiers {
            let counts = self
                .issues
                .counts(|p| p.is_some_and(|p| self.phases[p].tier == tier));
            self.tiers[tier].issues = counts;
            self.tiers[tier].cleanliness = self.cleanliness(tier, counts);
        }
        self.run.issues = self.issues.counts(|_| true);
        self.run.debt = self.run.issues.debt(self.strategy.max_minor_issues);
    }

    fn old_note(&mut self, note: &HistoricalNote, changes: &mut Changes) {
        let mut text = format!("{} {}:", note.table, note.key);
        for (name, value) in &note.columns {
            let _ = write!(text, " {name}={value};");
        }
        let text = clip(&text);
        match note.phase.as_deref().and_then(|id| self.place(id)) {
            Some(phase) => self.tell_phase(EventKind::HistoryNoted, phase, None, text, changes),
            None => self.tell(EventKind::HistoryNoted, text, changes),
        }
    }

    fn record_repairs(
        &self,
        import: &Import<'_>,
        mint: &mut dyn FnMut() -> Uuid,
        changes: &mut Changes,
    ) {
        let uid = self.run.uid;
        for mended in &import.sound.mended {
            let index = match mended.table {
                "tier" => self.tiers.iter().position(|t| t.id.as_str() == mended.id),
                "phase" => self.place(&mended.id),
                _ => None,
            };
            changes.repairs.push(RepairFact {
                uid: mint(),
                table: mended.table,
                row: index.map_or_else(|| uid.to_string(), |i| format!("{uid}/{i}")),
                before: mended.before.clone(),
                after: mended.after,
                epoch: import.epoch,
            });
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.phases.iter().position(|phase| phase.id.as_str() == id)
    }
}

fn usage(old: &HistoricalUsage) -> Usage {
    let total = old.tokens();
    Usage {
        provider: old.provider.clone(),
        model: old.model.clone(),
        role: old.role.clone(),
        purpose: old.purpose.clone(),
        total: unsigned(total.unwrap_or(0)),
        prompt: old.prompt.map(unsigned),
        completion: old.completion.map(unsigned),
        provenance: match total {
            Some(_) => Provenance::Reported,
            None => Provenance::Unknown,
        },
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
