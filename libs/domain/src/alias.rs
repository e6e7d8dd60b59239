//! Spellings of states that stand in older databases, and the state that each means.
//!
//! Invariant: an entry was reviewed by a person; nothing here compares by likeness. A spelling that is not in the
//! table has no meaning, however near it is to a state.

use crate::{
    run::JobState,
    states::{AttemptState, PhaseState, RunState, TierState},
};

/// Spellings that are no state in any case: table, spelling, state.
pub const ALIASES: &[(&str, &str, &str)] = &[
    // Written by hand into databases of the older system; its creators meant "may be started".
    ("run", "READY", "RUN_CREATED"),
];

/// The states of a table's column `state`; `None` for a table that has none.
pub fn states_of(table: &str) -> Option<Vec<&'static str>> {
    match table {
        "run" => Some(RunState::spellings()),
        "tier" => Some(TierState::spellings()),
        "phase" => Some(PhaseState::spellings()),
        "attempt" => Some(AttemptState::spellings()),
        "job" => Some(JobState::spellings()),
        _ => None,
    }
}

/// The state that a stored spelling means: an entry of [`ALIASES`], or a state in other case. `None` for a state
/// as it should be, and for everything else.
pub fn meant(table: &str, spelling: &str) -> Option<&'static str> {
    let states = states_of(table)?;
    if states.contains(&spelling) {
        return None;
    }
    let same = |known: &&str| known.eq_ignore_ascii_case(spelling);
    let listed = ALIASES
        .iter()
        .find(|(of, alias, _)| *of == table && same(alias))
        .map(|(_, _, state)| *state);
    listed.or_else(|| states.into_iter().find(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_means_a_state_and_is_none_itself() {
        for (table, alias, state) in ALIASES {
            let states = states_of(table).expect("a table with states");
            assert!(states.contains(state) && !states.contains(alias), "{alias}");
        }
    }

    #[test]
    fn aliases_and_case_variants_have_a_meaning_and_nothing_else_has() {
        for (table, spelling, state) in [
            ("run", "READY", Some("RUN_CREATED")),
            ("run", "ready", Some("RUN_CREATED")),
            ("phase", "queued", Some("QUEUED")),
            ("tier", "Pending", Some("PENDING")),
            ("attempt", "failed", Some("FAILED")),
            ("job", "done", Some("DONE")),
            // As they should be.
            ("run", "QUEUED", None),
            // What the older system's likeness would have made of these is wrong.
            ("run", "RUNNING", None),
            ("run", "DONE", None),
            ("run", "PENDING", None),
            ("run", "FAILED", None),
            ("phase", "DONE", None),
            ("phase", "BLOCKED", None),
            ("phase", "READY", None),
            ("run", " QUEUED", None),
            ("lane", "queued", None),
        ] {
            assert_eq!(meant(table, spelling), state, "{table} {spelling}");
        }
    }
}
