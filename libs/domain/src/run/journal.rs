//! Facts: recorded with the state after them, and taken in by copies of the run.
//!
//! Invariant: a copy that takes in every event of a run, in order, equals the run (invariant I5 of the tests).

use std::sync::Arc;

use super::{Changes, JobState, Run, RunAggregate};
use crate::{EventKind, attempt::Attempt, event::Event, trace::CONTEXT_FACT};

impl RunAggregate {
    /// Records a fact about the run.
    pub(crate) fn tell(&mut self, kind: EventKind, text: impl Into<String>, changes: &mut Changes) {
        self.push_event(kind, text.into(), changes, |_| {});
    }

    /// Records a fact about a phase, with its attempt if there is one.
    pub(crate) fn tell_phase(
        &mut self,
        kind: EventKind,
        phase: usize,
        attempt: Option<&Attempt>,
        text: impl Into<String>,
        changes: &mut Changes,
    ) {
        let view = (phase, self.phases[phase].clone());
        let tier = (view.1.tier, self.tiers[view.1.tier].clone());
        let attempt = attempt.cloned();
        self.push_event(kind, text.into(), changes, |e| {
            e.phase = Some(view);
            e.tier = Some(tier);
            e.attempt = attempt;
        });
    }

    /// Records a fact about a tier.
    pub(crate) fn tell_tier(&mut self, kind: EventKind, tier: usize, changes: &mut Changes) {
        let view = (tier, self.tiers[tier].clone());
        self.push_event(kind, String::new(), changes, |e| e.tier = Some(view));
    }

    pub(super) fn push_event(
        &mut self,
        kind: EventKind,
        text: String,
        changes: &mut Changes,
        fill: impl FnOnce(&mut Event),
    ) {
        self.run.last_event += 1;
        changes.run = true;
        let mut event = Event {
            kind,
            run: self.told(kind),
            tier: None,
            phase: None,
            attempt: None,
            job: None,
            text,
        };
        fill(&mut event);
        changes.events.push(event);
    }

    /// The run as an event shows it. Its facts change twice at most, so only the events after those changes and the
    /// last one carry them all; the others carry what consumers of a single event need.
    pub(super) fn told(&self, kind: EventKind) -> Run {
        let mut run = self.run.clone();
        if !carries_facts(kind) {
            // What a message of its own needs: the trace that it belongs to.
            let trace = run.facts.get_key_value(CONTEXT_FACT);
            run.facts = Arc::new(
                trace
                    .into_iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
            );
        }
        run
    }

    /// Takes over the views of an event that was committed elsewhere. False: the event concerns something that
    /// this copy does not have (a frozen plan, an added phase), so it must be read anew.
    pub fn absorb(&mut self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::RunFrozen | EventKind::PhaseAdded) {
            return false;
        }
        let fits = event
            .tier
            .as_ref()
            .is_none_or(|(i, _)| *i < self.tiers.len())
            && event
                .phase
                .as_ref()
                .is_none_or(|(i, _)| *i < self.phases.len());
        if !fits {
            return false;
        }
        let facts = Arc::clone(&self.run.facts);
        self.run = event.run.clone();
        if !carries_facts(event.kind) {
            self.run.facts = facts;
        }
        if let Some((i, tier)) = &event.tier {
            self.tiers[*i] = tier.clone();
        }
        if let Some((i, phase)) = &event.phase {
            self.phases[*i] = phase.clone();
        }
        if let Some(attempt) = &event.attempt {
            if attempt.state.is_terminal() && !attempt.has_open_intent() {
                self.attempts.remove(&attempt.uid);
            } else {
                self.attempts.insert(attempt.uid, attempt.clone());
            }
        }
        if let Some(job) = &event.job {
            let aside = job.kind.is_aside();
            self.jobs
                .retain(|j| j.kind.is_aside() != aside || (aside && j.kind != job.kind));
            if !aside || job.state != JobState::Done {
                self.jobs.push(job.clone());
            }
        }
        true
    }
}

fn carries_facts(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RunCreated | EventKind::RunFrozen | EventKind::RunFinished
    )
}
