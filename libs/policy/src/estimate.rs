//! What an attempt is expected to use, and what is reserved for it.
//!
//! Invariant (DESIGN rule 6): the reservation is min(cap, estimate), and 0 for builders that use no tokens.

use autopack_domain::{
    plan::{BuilderSpec, Complexity, PhaseSpec},
    run::RunAggregate,
};

/// Tokens expected for a phase: the base budgets of SEMANTICS 9.2 for a phase whose deliverables say
/// nothing, times the buffer of 1.4 for low confidence.
pub fn estimate(spec: &PhaseSpec) -> u64 {
    let base: u64 = match (spec.task_category.as_str(), spec.complexity) {
        ("docs" | "documentation", Complexity::Low) => 4096,
        ("docs" | "documentation", Complexity::Medium) => 8192,
        ("docs" | "documentation", Complexity::High) => 12_288,
        ("tests" | "testing", Complexity::Low) => 6144,
        (_, Complexity::Low) => 8192,
        ("tests" | "testing", Complexity::Medium) => 8192,
        ("tests" | "testing", Complexity::High) => 12_288,
        (_, Complexity::Medium) => 12_288,
        (_, Complexity::High) => 16_384,
    };
    base * 14 / 10
}

/// Tokens held for the next attempt of a phase.
pub fn reservation(run: &RunAggregate, phase: usize) -> u64 {
    match &run.spec(phase).builder {
        None | Some(BuilderSpec::Patch { .. } | BuilderSpec::Noop | BuilderSpec::Replay { .. }) => {
            0
        }
        // What was used outside is known: the lease books exactly that.
        Some(BuilderSpec::External { .. }) => run.phases[phase]
            .handoff
            .as_ref()
            .map_or(0, |handoff| handoff.tokens()),
        Some(BuilderSpec::Command { .. } | BuilderSpec::Agent(_) | BuilderSpec::Model(_)) => {
            let p = &run.phases[phase];
            [
                run.run.tokens.cap,
                run.tiers[p.tier].tokens.cap,
                p.tokens.cap,
            ]
            .into_iter()
            .flatten()
            .fold(run.phase_strategy(phase).estimate, u64::min)
        }
    }
}
