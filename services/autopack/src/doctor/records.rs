//! A run against its own phases and attempts: state, counters, budgets.
//!
//! Invariant: the state is computed by the function that the registry itself uses.

use autopack_domain::{run::finalise::derived_state, states::AttemptState, tier::PhaseCounts};
use autopack_wire::{convert::snapshot_from_proto, types};

use super::{Found, Subject};
use crate::view::{attempt_state, phase_state, run_state};

/// Whether an attempt is on offer or in a worker's hands.
pub(super) fn is_live(attempt: &types::Attempt) -> bool {
    AttemptState::parse(attempt_state(attempt)).is_some_and(|state| !state.is_terminal())
}

/// Whether nobody has read the branch since the attempt meant to move it.
pub(super) fn has_open_intent(attempt: &types::Attempt) -> bool {
    attempt
        .intent
        .as_ref()
        .is_some_and(|intent| !intent.resolved)
}

/// Whether work is in flight that may move the run at any moment.
pub(super) fn moves(subject: &Subject) -> bool {
    subject.attempts.iter().any(is_live)
}

/// Compares.
pub(super) fn compare(subject: &Subject, found: &mut Found<'_>) {
    state(subject, found);
    counters(subject, found);
    budgets(subject, found);
}

fn state(subject: &Subject, found: &mut Found<'_>) {
    match snapshot_from_proto(subject.snapshot()) {
        Ok(aggregate) => found.same(
            "state",
            derived_state(&aggregate).as_str(),
            run_state(&subject.view.run),
        ),
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            found.add("record", "a run that can be read", faults.join("; "));
        }
    }
}

fn counters(subject: &Subject, found: &mut Found<'_>) {
    let view = &subject.view;
    let count = |tier: Option<u32>| {
        let mut counts = PhaseCounts::default();
        for phase in view
            .phases
            .iter()
            .filter(|phase| tier.is_none_or(|tier| phase.tier == tier))
        {
            if let Some(state) = autopack_domain::states::PhaseState::parse(phase_state(phase)) {
                counts.enter(state);
            }
        }
        counts
    };
    let stored = |counts: Option<types::PhaseCounts>| PhaseCounts::from(counts.unwrap_or_default());
    found.same(
        "counters of the run",
        show(count(None)),
        show(stored(view.run.counts)),
    );
    for tier in &view.tiers {
        found.same(
            "counters of a tier",
            format!("{} {}", tier.id, show(count(Some(tier.index)))),
            format!("{} {}", tier.id, show(stored(tier.counts))),
        );
    }
    let ended = |a: &&types::Attempt| !is_live(a) && has_open_intent(a);
    found.same(
        "open intents",
        subject.attempts.iter().filter(ended).count(),
        view.run.open_intents as usize,
    );
    for phase in &view.phases {
        let made = subject
            .attempts
            .iter()
            .filter(|a| a.phase == phase.index)
            .map(|a| a.number)
            .max()
            .unwrap_or(0);
        found.same(
            "attempts of a phase",
            format!("{} {made}", phase.id),
            format!("{} {}", phase.id, phase.attempts_made),
        );
    }
}

fn show(c: PhaseCounts) -> String {
    format!(
        "queued {} executing {} gate {} ci_running {} complete {} failed {} skipped {}",
        c.queued, c.executing, c.gate, c.ci_running, c.complete, c.failed, c.skipped
    )
}

fn budgets(subject: &Subject, found: &mut Found<'_>) {
    let view = &subject.view;
    let reserved = |phase: Option<u32>| -> u64 {
        let live = subject
            .attempts
            .iter()
            .filter(|a| is_live(a) && phase.is_none_or(|phase| a.phase == phase));
        live.map(|a| a.tokens_reserved).sum()
    };
    let run = view.run.tokens.unwrap_or_default();
    found.same("tokens reserved by the run", reserved(None), run.reserved);
    for phase in &view.phases {
        let account = phase.tokens.unwrap_or_default();
        found.same(
            "tokens reserved by a phase",
            format!("{} {}", phase.id, reserved(Some(phase.index))),
            format!("{} {}", phase.id, account.reserved),
        );
    }
    for tier in &view.tiers {
        let phases = || {
            view.phases
                .iter()
                .filter(|phase| phase.tier == tier.index)
                .map(|phase| phase.tokens.unwrap_or_default())
        };
        let account = tier.tokens.unwrap_or_default();
        let sums = (
            phases().map(|a| a.reserved).sum::<u64>(),
            phases().map(|a| a.settled).sum::<u64>(),
        );
        found.same(
            "tokens of a tier",
            format!("{} {sums:?}", tier.id),
            format!("{} {:?}", tier.id, (account.reserved, account.settled)),
        );
    }
    let settled: u64 = view
        .phases
        .iter()
        .map(|phase| phase.tokens.unwrap_or_default().settled)
        .sum();
    found.same("tokens settled by the run", settled, run.settled);
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::plan::{ReadOptions, read_plan};
    use autopack_domain::{
        RunUid, Timestamp,
        run::{RunAggregate, create::NewRun},
    };
    use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile};
    use autopack_wire::convert::snapshot_to_proto;
    use std::sync::Arc;

    fn subject() -> Subject {
        let text = "{ schema: autopack/plan/v1, run: { goal: g }, tiers: [{ id: T1, phases: [{ id: P1, goal: g, builder: { kind: noop } }] }] }";
        let plan = read_plan(text, &ReadOptions::default()).unwrap().plan;
        let strategy = compile(
            &Ruleset::default(),
            &Backlog::default(),
            &plan,
            Overrides::default(),
        );
        let new = NewRun {
            uid: uid(),
            id: "demo".parse().unwrap(),
            project: "p".into(),
            repository: "/r".into(),
            digest: "d".into(),
            hold: false,
            facts: std::collections::BTreeMap::new(),
        };
        let (aggregate, _) =
            RunAggregate::create(new, Arc::new(plan), Arc::new(strategy), Timestamp(0));
        let mut message = snapshot_to_proto(&aggregate);
        if let Some(run) = &mut message.run {
            (run.frozen, run.started) = (true, true);
            run.state = types::run::State::PhaseQueueing.into();
        }
        Subject {
            view: View {
                run: message.run.unwrap(),
                tiers: message.tiers,
                phases: message.phases,
                plan: message.plan,
            },
            strategy: message.strategy,
            attempts: Vec::new(),
        }
    }

    fn uid() -> RunUid {
        use autopack_runtime::{IdSource as _, SeededIds};
        RunUid(SeededIds::new(1).uuid())
    }

    use crate::view::View;

    fn checks(subject: &Subject) -> Vec<&'static str> {
        let mut found = Found {
            run: "demo",
            list: Vec::new(),
        };
        compare(subject, &mut found);
        found
            .list
            .iter()
            .map(|difference| difference.check)
            .collect()
    }

    #[test]
    fn a_sound_run_has_no_difference_and_each_damage_has_one() {
        assert_eq!(checks(&subject()), Vec::<&str>::new());
        let mut damaged = subject();
        damaged.view.run.state = types::run::State::DoneSuccess.into();
        assert_eq!(checks(&damaged), ["state"]);
        let mut damaged = subject();
        damaged.view.run.open_intents = 1;
        assert_eq!(checks(&damaged), ["open intents"]);
        let mut damaged = subject();
        damaged.view.phases[0].tokens.as_mut().unwrap().settled = 5;
        assert_eq!(
            checks(&damaged),
            ["tokens of a tier", "tokens settled by the run"]
        );
        let mut damaged = subject();
        damaged.view.run.tokens.as_mut().unwrap().reserved = 5;
        assert_eq!(checks(&damaged), ["tokens reserved by the run"]);
        let mut damaged = subject();
        damaged.view.tiers[0].counts.as_mut().unwrap().failed = 1;
        assert_eq!(checks(&damaged), ["counters of a tier"]);
    }
}
