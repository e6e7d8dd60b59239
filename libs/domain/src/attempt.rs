//! One execution of a phase by one worker: its record and its transition table.
//!
//! Invariant: a write with a fence other than the current one is refused and changes nothing; an
//! ended attempt never changes again, but for the resolution of its landing intent.

use serde::{Deserialize, Serialize};

use crate::{
    Cause, Reason, Refusal,
    ids::{AttemptUid, Fence, JobUid, WorkerUid},
    states::AttemptState,
    time::Timestamp,
};

/// The stored intent to move the branch (DESIGN 5.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The tip that the compare-and-swap expects; empty where the branch does not exist yet.
    pub expected_tip: String,
    /// The gated tree.
    pub tree: String,
    /// The commit the branch moves to.
    pub commit: String,
    /// Whether somebody has read the ref since and settled what became of it.
    pub resolved: bool,
}

/// A named artifact of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Such as `output`, `diff`.
    pub name: String,
    /// SHA-256 in hex.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The record of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its uid.
    pub uid: AttemptUid,
    /// Index of its phase in the run.
    pub phase: usize,
    /// 1 for the first attempt of the phase.
    pub number: u32,
    /// State.
    pub state: AttemptState,
    /// The job that offered it.
    pub job: JobUid,
    /// Fence of its lease; zero before.
    pub fence: Fence,
    /// Who holds or held it.
    pub worker: Option<WorkerUid>,
    /// The tip it was built on.
    pub tip: String,
    /// The gated tree, once known.
    pub tree: String,
    /// The landed commit.
    pub commit: String,
    /// The landing intent.
    pub intent: Option<Intent>,
    /// Why it did not succeed.
    pub cause: Option<Cause>,
    /// The detail for people, bounded and redacted.
    pub detail: String,
    /// The verdict word and steps, as in the commit trailer.
    pub gate: String,
    /// Tests that the gate counted.
    pub tests: Option<u64>,
    /// Tokens held for it.
    pub tokens_reserved: u64,
    /// Tokens booked for it.
    pub tokens_used: u64,
    /// When it was offered.
    pub offered_at: Timestamp,
    /// When it was leased.
    pub leased_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its artifacts.
    pub artifacts: Vec<ArtifactRef>,
    /// Facts for later comparison (normaliser confidence, intention size, pattern, ...).
    pub facts: serde_json::Map<String, serde_json::Value>,
}

/// A request to change an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptCommand {
    /// A worker takes it.
    Lease {
        /// Minted for this lease.
        fence: Fence,
        /// Who.
        worker: WorkerUid,
        /// The tip it builds on.
        tip: String,
    },
    /// It entered another stage; stages only go forward, or back from landing to gating.
    Stage(AttemptState),
    /// It stores its intent to move the branch.
    Prepare(Intent),
    /// It ended well.
    Succeed,
    /// It ended with a cause.
    Fail(Cause),
    /// Its lease ran out.
    Expire,
    /// Its worker gives it back.
    HandOver,
    /// Its run was cancelled or its offer withdrawn.
    Cancel,
}

impl AttemptCommand {
    /// The name for refusals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lease { .. } => "lease",
            Self::Stage(_) => "stage",
            Self::Prepare(_) => "prepare landing",
            Self::Succeed => "succeed",
            Self::Fail(_) => "fail",
            Self::Expire => "expire",
            Self::HandOver => "hand over",
            Self::Cancel => "cancel",
        }
    }
}

impl Attempt {
    /// Refuses a stale fence (DESIGN rule 3).
    pub fn check_fence(&self, presented: Fence) -> Result<(), Refusal> {
        if presented == self.fence && self.state.is_leased() {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::LeaseFenced,
            format!(
                "fence {presented} of attempt {} is not the current one ({}, {})",
                self.uid, self.fence, self.state
            ),
        )
        .with("presented", presented)
        .with("current", self.fence)
        .with("state", self.state))
    }

    /// The next record, or a refusal; pure.
    pub fn step(&self, command: &AttemptCommand, now: Timestamp) -> Result<Self, Refusal> {
        use AttemptState as S;
        let mut next = self.clone();
        let state = match (self.state, command) {
            (S::Offered, AttemptCommand::Lease { fence, worker, tip }) => {
                next.fence = *fence;
                next.worker = Some(*worker);
                next.tip.clone_from(tip);
                next.leased_at = Some(now);
                S::Building
            }
            (from, AttemptCommand::Stage(to)) if from.is_leased() && to.is_leased() => *to,
            (S::Landing, AttemptCommand::Prepare(intent)) => {
                next.intent = Some(intent.clone());
                S::Landing
            }
            (from, AttemptCommand::Succeed) if from.is_leased() => S::Succeeded,
            (from, AttemptCommand::Fail(cause)) if from.is_leased() => {
                next.cause = Some(*cause);
                S::Failed
            }
            (from, AttemptCommand::Expire) if from.is_leased() => {
                next.cause = Some(Cause::LeaseExpired);
                S::Lost
            }
            (from, AttemptCommand::HandOver) if from.is_leased() => {
                next.cause = Some(Cause::HandedOver);
                S::HandedOver
            }
            (from, AttemptCommand::Cancel) if !from.is_terminal() => {
                next.cause = Some(Cause::Cancelled);
                S::Cancelled
            }
            _ => {
                return Err(Refusal::new(
                    Reason::LeaseFenced,
                    format!(
                        "attempt {} is {}: it cannot {}",
                        self.uid,
                        self.state,
                        command.name()
                    ),
                )
                .with("state", self.state)
                .with("command", command.name()));
            }
        };
        next.state = state;
        if state.is_terminal() {
            next.finished_at = Some(now);
        }
        Ok(next)
    }

    /// What is booked for an attempt that cannot be asked any more: what was reported, else its
    /// whole reservation (DESIGN rule 6).
    pub fn lost_usage(&self) -> u64 {
        if self.tokens_used > 0 {
            self.tokens_used
        } else {
            self.tokens_reserved
        }
    }

    /// Whether its intent still waits for somebody to read the ref.
    pub fn has_open_intent(&self) -> bool {
        self.intent.as_ref().is_some_and(|i| !i.resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(state: AttemptState) -> Attempt {
        Attempt {
            uid: AttemptUid(uuid::Uuid::nil()),
            phase: 0,
            number: 1,
            state,
            job: JobUid(uuid::Uuid::nil()),
            fence: Fence(3),
            worker: None,
            tip: String::new(),
            tree: String::new(),
            commit: String::new(),
            intent: None,
            cause: None,
            detail: String::new(),
            gate: String::new(),
            tests: None,
            tokens_reserved: 0,
            tokens_used: 0,
            offered_at: Timestamp(0),
            leased_at: None,
            finished_at: None,
            artifacts: Vec::new(),
            facts: serde_json::Map::new(),
        }
    }

    /// Every state by every command: the table is the specification.
    #[test]
    fn the_transition_table() {
        use AttemptState as S;
        let intent = Intent {
            expected_tip: String::new(),
            tree: "t".into(),
            commit: "c".into(),
            resolved: false,
        };
        let lease = AttemptCommand::Lease {
            fence: Fence(4),
            worker: WorkerUid(uuid::Uuid::nil()),
            tip: "tip".into(),
        };
        let commands = [
            lease,
            AttemptCommand::Stage(S::Gating),
            AttemptCommand::Prepare(intent),
            AttemptCommand::Succeed,
            AttemptCommand::Fail(Cause::GateFailed),
            AttemptCommand::Expire,
            AttemptCommand::HandOver,
            AttemptCommand::Cancel,
        ];
        for state in S::ALL {
            let got: Vec<Option<S>> = commands
                .iter()
                .map(|c| attempt(*state).step(c, Timestamp(9)).ok().map(|a| a.state))
                .collect();
            let leased = |prepare: Option<S>| {
                vec![
                    None,
                    Some(S::Gating),
                    prepare,
                    Some(S::Succeeded),
                    Some(S::Failed),
                    Some(S::Lost),
                    Some(S::HandedOver),
                    Some(S::Cancelled),
                ]
            };
            let want = match state {
                S::Offered => vec![
                    Some(S::Building),
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    Some(S::Cancelled),
                ],
                S::Building | S::Governing | S::Gating => leased(None),
                S::Landing => leased(Some(S::Landing)),
                S::Succeeded | S::Failed | S::Lost | S::HandedOver | S::Cancelled => vec![None; 8],
            };
            assert_eq!(got, want, "{state}");
        }
    }

    #[test]
    fn an_older_fence_is_refused() {
        let attempt = attempt(AttemptState::Building);
        assert!(attempt.check_fence(Fence(3)).is_ok());
        assert_eq!(
            attempt.check_fence(Fence(2)).unwrap_err().reason,
            Reason::LeaseFenced
        );
    }
}
