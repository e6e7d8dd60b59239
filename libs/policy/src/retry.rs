//! What follows a failed attempt. The one place that decides it: redelivery, recovery and manual ways all ask here.
//!
//! Invariant: recovery only from what can change by itself, with a bound, a cause and a counter.

use autopack_domain::{
    Cause, Timestamp,
    catalogue::Charge,
    run::{RunAggregate, settle::Follow},
};
use std::time::Duration;

/// Workers that may be lost before a phase is quarantined (DESIGN, "What is charged").
pub const CRASH_CREDITS: u32 = 3;

/// How long a phase waits for a provider that names no time.
const PAUSE: Duration = Duration::from_mins(1);

/// Decides, after the failure was charged. `seed` spreads the back-off by a fifth either way.
pub fn decide(run: &RunAggregate, phase: usize, cause: Cause, now: Timestamp, seed: u64) -> Follow {
    let p = &run.phases[phase];
    let strategy = run.phase_strategy(phase);
    let fixed = run
        .spec(phase)
        .builder
        .as_ref()
        .is_none_or(autopack_domain::plan::BuilderSpec::is_fixed_input);
    let first = Duration::from_secs(u64::from(strategy.backoff_seconds));
    match cause.charge() {
        Charge::Final => Follow::GiveUp(cause),
        Charge::Attempt if fixed && !cause.repeats_for_fixed_input() => Follow::GiveUp(cause),
        Charge::Attempt if p.attempts_charged >= strategy.max_attempts => Follow::GiveUp(cause),
        // The guide's gate waits the same time before each attempt (SEMANTICS 5.5).
        Charge::Attempt => Follow::Again(after(now, first, seed)),
        Charge::Infrastructure if p.infra_charged >= strategy.max_infra => Follow::GiveUp(cause),
        // transient_infra of SEMANTICS 6.3: min(5 x (n + 1), 30) s, scaled by the first back-off.
        Charge::Infrastructure => {
            let wait = first
                .saturating_mul(p.infra_charged)
                .min(Duration::from_secs(30));
            Follow::Again(after(now, wait, seed))
        }
        Charge::Crash if p.crashes >= CRASH_CREDITS => Follow::GiveUp(Cause::Quarantined),
        Charge::Nothing if p.attempts_charged >= strategy.max_attempts => Follow::GiveUp(cause),
        Charge::Crash | Charge::Nothing => Follow::Again(None),
        // transient_llm of SEMANTICS 6.3, where the provider names no time of its own.
        Charge::Pause => Follow::Again(after(now, PAUSE, seed)),
    }
}

fn after(now: Timestamp, wait: Duration, seed: u64) -> Option<Timestamp> {
    if wait.is_zero() {
        return None;
    }
    // 0.8 to 1.2 of the wait.
    let permille = 800 + u32::try_from(seed % 401).unwrap_or(0);
    Some(now.plus(wait * permille / 1000))
}
