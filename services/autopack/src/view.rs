//! What a client knows of a run: a snapshot, and the events after it.
//!
//! Invariant: after every event of a run, in order, the view shows what the registry holds; states of newer
//! versions are shown as `UNKNOWN`, never taken for another.

use autopack_domain::{EventKind, states::RunState};
use autopack_wire::{registry::GetRunResponse, types};

use crate::error::Exit;

/// A run with its tiers and phases.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The run.
    pub(crate) run: types::Run,
    /// Its tiers, by index.
    pub(crate) tiers: Vec<types::Tier>,
    /// Its phases, by index.
    pub(crate) phases: Vec<types::Phase>,
    /// Its plan, if it was sent.
    pub(crate) plan: Option<types::Plan>,
}

impl From<GetRunResponse> for View {
    fn from(answer: GetRunResponse) -> Self {
        Self {
            run: answer.run.unwrap_or_default(),
            tiers: answer.tiers,
            phases: answer.phases,
            plan: answer.plan,
        }
    }
}

impl View {
    /// Takes an event over.
    pub(crate) fn absorb(&mut self, event: &types::Event) {
        if let Some(run) = &event.run {
            // Most events leave the facts out; they change only with events that carry them all.
            let facts = std::mem::take(&mut self.run.facts);
            self.run = run.clone();
            if self.run.facts.len() < facts.len() {
                self.run.facts = facts;
            }
        }
        if let Some(tier) = &event.tier {
            put(&mut self.tiers, tier.index, tier);
        }
        if let Some(phase) = &event.phase {
            put(&mut self.phases, phase.index, phase);
        }
    }

    /// Whether the run has ended.
    pub(crate) fn has_ended(&self) -> bool {
        has_ended(&self.run)
    }

    /// The specification of a phase.
    pub(crate) fn spec(&self, phase: &types::Phase) -> Option<&types::PhaseSpec> {
        let tier = self.plan.as_ref()?.tiers.get(phase.tier as usize)?;
        tier.phases.get(phase.place as usize)
    }

    /// The id of a phase's tier.
    pub(crate) fn tier_id(&self, phase: &types::Phase) -> &str {
        self.tiers
            .iter()
            .find(|tier| tier.index == phase.tier)
            .map_or("", |tier| tier.id.as_str())
    }

    /// Phases in the order of the plan.
    pub(crate) fn ordered(&self) -> Vec<&types::Phase> {
        let mut phases: Vec<&types::Phase> = self.phases.iter().collect();
        phases.sort_by_key(|phase| (phase.tier, phase.place));
        phases
    }
}

fn put<T: Clone + Default>(list: &mut Vec<T>, index: u32, value: &T) {
    let index = index as usize;
    // An added phase comes at the end; a number far beyond it is no index.
    if index >= list.len() && index < list.len() + 1000 {
        list.resize(index + 1, T::default());
    }
    if let Some(slot) = list.get_mut(index) {
        *slot = value.clone();
    }
}

fn name(known: Option<&'static str>) -> &'static str {
    known.map_or("UNKNOWN", |name| name.trim_start_matches("STATE_"))
}

/// The state's spelling.
pub(crate) fn run_state(run: &types::Run) -> &'static str {
    name(
        types::run::State::try_from(run.state)
            .ok()
            .map(|state| state.as_str_name()),
    )
}

/// The state's spelling.
pub(crate) fn tier_state(tier: &types::Tier) -> &'static str {
    name(
        types::tier::State::try_from(tier.state)
            .ok()
            .map(|state| state.as_str_name()),
    )
}

/// The state's spelling.
pub(crate) fn phase_state(phase: &types::Phase) -> &'static str {
    name(
        types::phase::State::try_from(phase.state)
            .ok()
            .map(|state| state.as_str_name()),
    )
}

/// The state's spelling.
pub(crate) fn attempt_state(attempt: &types::Attempt) -> &'static str {
    name(
        types::attempt::State::try_from(attempt.state)
            .ok()
            .map(|state| state.as_str_name()),
    )
}

/// The stage's spelling.
pub(crate) fn stage_name(stage: types::attempt::State) -> &'static str {
    name(Some(stage.as_str_name()))
}

/// Whether a run has ended.
pub(crate) fn has_ended(run: &types::Run) -> bool {
    RunState::parse(run_state(run)).is_some_and(RunState::is_terminal)
}

/// Whether an event is the end of its run.
pub(crate) fn is_end(event: &types::Event) -> bool {
    event.kind == EventKind::RunFinished.code()
        && event
            .run
            .as_ref()
            .is_none_or(|run| run.last_event <= event.run_sequence)
}

/// The exit code for a run as it is.
pub(crate) fn exit_of(run: &types::Run) -> Exit {
    match RunState::parse(run_state(run)) {
        Some(RunState::DoneSuccess) => Exit::Success,
        Some(state) if state.is_failed() => Exit::RunFailed,
        Some(RunState::DoneCancelled) => Exit::Error,
        _ => Exit::Error,
    }
}

/// Minutes that count against the budget: since the first lease, pauses left out; `now` in microseconds.
pub(crate) fn minutes_used(run: &types::Run, now_us: i64) -> u64 {
    let us = |time: &Option<_>| time.as_ref().map(micros);
    let Some(first) = us(&run.first_lease_time) else {
        return 0;
    };
    let until = us(&run.complete_time)
        .or_else(|| us(&run.pause_time))
        .unwrap_or(now_us);
    u64::try_from((until - first - run.paused_us) / 60_000_000).unwrap_or(0)
}

/// Microseconds since 1970 of a protobuf time.
pub(crate) fn micros(time: &prost_types::Timestamp) -> i64 {
    time.seconds
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(time.nanos / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: types::run::State) -> types::Run {
        types::Run {
            state: state.into(),
            ..types::Run::default()
        }
    }

    #[test]
    fn exit_codes_follow_the_runs_end() {
        use types::run::State;
        assert_eq!(exit_of(&run(State::DoneSuccess)), Exit::Success);
        assert_eq!(exit_of(&run(State::DoneFailedEnvironment)), Exit::RunFailed);
        assert_eq!(exit_of(&run(State::DoneCancelled)), Exit::Error);
        assert_eq!(exit_of(&run(State::PhaseQueueing)), Exit::Error);
        assert_eq!(
            run_state(&types::Run {
                state: 99,
                ..types::Run::default()
            }),
            "UNKNOWN"
        );
    }

    #[test]
    fn events_change_the_view_and_added_phases_join_it() {
        let mut view = View::default();
        let phase = |index: u32, id: &str| types::Phase {
            index,
            id: id.to_owned(),
            ..types::Phase::default()
        };
        for (index, id) in [(0, "a"), (1, "b"), (0, "c"), (u32::MAX, "x")] {
            view.absorb(&types::Event {
                phase: Some(phase(index, id)),
                ..types::Event::default()
            });
        }
        let ids: Vec<&str> = view.phases.iter().map(|p| p.id.as_str()).collect();
        assert_eq!(ids, ["c", "b"]);
    }

    #[test]
    fn minutes_leave_pauses_out() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut run = types::Run {
            first_lease_time: at(0),
            paused_us: 60_000_000,
            ..types::Run::default()
        };
        assert_eq!(minutes_used(&run, 600_000_000), 9);
        run.complete_time = at(300);
        assert_eq!(minutes_used(&run, 600_000_000), 4);
        assert_eq!(minutes_used(&types::Run::default(), 5), 0);
    }
}
