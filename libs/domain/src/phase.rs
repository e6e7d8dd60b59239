//! A phase's record and its transition table (SEMANTICS 1.2 and 1.4.1, with the edges that were missing there).
//!
//! Invariant: a phase is COMPLETE only from a live state, that is, with an attempt that proved it;
//! COMPLETE and SKIPPED never change, FAILED and SKIPPED only by a retry.

use crate::{
    Cause, Reason, Refusal,
    budget::Account,
    ids::{AttemptUid, PhaseId},
    issue::IssueCounts,
    plan::closed,
    states::PhaseState,
    submission::Handoff,
    time::Timestamp,
};

closed!(
    /// What a complete phase brought.
    PhaseOutcome {
        /// A commit on the branch.
        Committed = "committed",
        /// Nothing, and that was allowed.
        NoChange = "no_change",
        /// Its patch was in the tip already.
        AlreadyPresent = "already_present",
    }
);

/// The record of a phase; its specification is in the plan at the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The user's id.
    pub id: PhaseId,
    /// Index of its tier.
    pub tier: usize,
    /// Index of its specification in its tier.
    pub place: usize,
    /// State.
    pub state: PhaseState,
    /// Attempts made, over all revisions; numbers the next one.
    pub attempts_made: u32,
    /// Attempts charged since the last retry.
    pub attempts_charged: u32,
    /// Infrastructure failures since the last retry.
    pub infra_charged: u32,
    /// Workers lost since the last retry.
    pub crashes: u32,
    /// Landing conflicts since the last retry; the first is free.
    pub conflicts: u32,
    /// Not to be offered before.
    pub not_before: Option<Timestamp>,
    /// Why it failed, was skipped, or waits for another attempt.
    pub cause: Option<Cause>,
    /// The detail for people.
    pub detail: String,
    /// The commit on the branch.
    pub commit: String,
    /// What it brought.
    pub outcome: Option<PhaseOutcome>,
    /// Token account.
    pub tokens: Account,
    /// The attempt that is on offer or leased.
    pub current: Option<AttemptUid>,
    /// Distinct issues.
    pub issues: IssueCounts,
    /// What of it comes from outside; none: nothing does, or nothing has happened yet.
    pub handoff: Option<Box<Handoff>>,
    /// When its first attempt was leased.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// A request to change a phase's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseCommand {
    /// An attempt was leased.
    Lease,
    /// The change set is being judged.
    Govern,
    /// The gate steps are running.
    Gate,
    /// An attempt proved it.
    Complete,
    /// The attempt ended; another one may follow.
    Requeue,
    /// No attempt is left, or none can help.
    Fail,
    /// It will not run.
    Skip,
    /// Somebody asks to run it again.
    Retry,
}

impl PhaseCommand {
    /// Every command, for tables.
    pub const ALL: &'static [Self] = &[
        Self::Lease,
        Self::Govern,
        Self::Gate,
        Self::Complete,
        Self::Requeue,
        Self::Fail,
        Self::Skip,
        Self::Retry,
    ];
}

/// The next state, or a refusal; pure.
pub fn step(state: PhaseState, command: PhaseCommand) -> Result<PhaseState, Refusal> {
    use PhaseCommand as C;
    use PhaseState as S;
    let next = match (state, command) {
        (S::Queued, C::Lease) => S::Executing,
        (S::Queued, C::Fail) | (S::Executing | S::Gate | S::CiRunning, C::Fail) => S::Failed,
        (S::Queued | S::Executing | S::Gate | S::CiRunning, C::Skip) => S::Skipped,
        (S::Executing | S::Gate | S::CiRunning, C::Govern) => S::Gate,
        (S::Executing | S::Gate | S::CiRunning, C::Gate) => S::CiRunning,
        (S::Queued | S::Executing | S::Gate | S::CiRunning, C::Complete) => S::Complete,
        (S::Executing | S::Gate | S::CiRunning, C::Requeue) => S::Queued,
        (S::Failed | S::Skipped, C::Retry) => S::Queued,
        (S::Queued, C::Govern | C::Gate | C::Requeue | C::Retry)
        | (S::Executing | S::Gate | S::CiRunning, C::Lease | C::Retry)
        | (S::Complete, _)
        | (
            S::Failed | S::Skipped,
            C::Lease | C::Govern | C::Gate | C::Complete | C::Requeue | C::Fail | C::Skip,
        ) => {
            return Err(Refusal::new(
                Reason::PhaseState,
                format!("a phase in state {state} cannot {command:?}"),
            )
            .with("state", state)
            .with("command", format!("{command:?}")));
        }
    };
    Ok(next)
}

impl Phase {
    /// A queued phase.
    pub fn new(id: PhaseId, tier: usize, place: usize, tokens_cap: Option<u64>) -> Self {
        Self {
            id,
            tier,
            place,
            state: PhaseState::Queued,
            attempts_made: 0,
            attempts_charged: 0,
            infra_charged: 0,
            crashes: 0,
            conflicts: 0,
            not_before: None,
            cause: None,
            detail: String::new(),
            commit: String::new(),
            outcome: None,
            tokens: Account::capped(tokens_cap),
            current: None,
            handoff: None,
            started_at: None,
            completed_at: None,
            issues: IssueCounts::default(),
        }
    }

    /// Carries a command out on the state.
    pub fn apply(&mut self, command: PhaseCommand, now: Timestamp) -> Result<(), Refusal> {
        self.state = step(self.state, command)?;
        if self.state.is_terminal() {
            self.completed_at = Some(now);
            self.not_before = None;
            // An audit that was asked for is of whatever lands in the end: only a complete phase needs none any more.
            let audit = self.state != PhaseState::Complete
                && self.handoff.as_ref().is_some_and(|handoff| handoff.audit);
            self.handoff = audit.then(|| {
                Box::new(Handoff {
                    audit,
                    ..Handoff::default()
                })
            });
        }
        Ok(())
    }

    /// Fresh credits for a retry; numbers and tokens go on.
    pub fn refresh(&mut self) {
        self.attempts_charged = 0;
        self.infra_charged = 0;
        self.crashes = 0;
        self.conflicts = 0;
        self.not_before = None;
        self.cause = None;
        self.detail.clear();
        self.completed_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state by every command: the table is the specification. A phase completes from QUEUED only
    /// when a landing intent of a lost attempt is found on the branch.
    #[test]
    fn the_transition_table() {
        use PhaseState as S;
        let live = [
            None,
            Some(S::Gate),
            Some(S::CiRunning),
            Some(S::Complete),
            Some(S::Queued),
            Some(S::Failed),
            Some(S::Skipped),
            None,
        ];
        for state in S::ALL {
            let got: Vec<Option<S>> = PhaseCommand::ALL
                .iter()
                .map(|c| step(*state, *c).ok())
                .collect();
            let want = match state {
                S::Queued => vec![
                    Some(S::Executing),
                    None,
                    None,
                    Some(S::Complete),
                    None,
                    Some(S::Failed),
                    Some(S::Skipped),
                    None,
                ],
                S::Executing | S::Gate | S::CiRunning => live.to_vec(),
                S::Complete => vec![None; 8],
                S::Failed | S::Skipped => {
                    vec![None, None, None, None, None, None, None, Some(S::Queued)]
                }
            };
            assert_eq!(got, want, "{state}");
        }
    }
}
