//! Approvals: what an attempt asks for, who may answer, and what follows.

use super::*;
use crate::{
    EventKind, Reason, Refusal,
    approval::{ApprovalRequest, Ask, DECISION_SECONDS, Guard, RiskLevel},
    run::approve::Word,
    submission::Awaited,
};

fn request(tree: &str) -> ApprovalRequest {
    ApprovalRequest {
        tree: tree.into(),
        tip: String::new(),
        risk: RiskLevel::High,
        asks: vec![Ask {
            guard: Guard::Path,
            path: "db/1.sql".into(),
            detail: "named".into(),
        }],
        asked_by: "bot-7".into(),
    }
}

fn word(tree: &str, approved: bool, by: &str) -> Word {
    Word {
        tree: tree.into(),
        approved,
        by: by.into(),
        note: "looked at it".into(),
    }
}

impl Bench {
    /// An attempt of the phase ends with this request.
    fn end_asking(
        &mut self,
        phase: usize,
        request: Option<ApprovalRequest>,
    ) -> Result<Changes, Refusal> {
        let (uid, fence) = self.lease(phase);
        let report = Report {
            cause: Some(Cause::ApprovalRequired),
            approval: request,
            ..Report::default()
        };
        let mut changes = Changes::default();
        let done = self
            .run
            .settle(uid, fence, report, &decide, NOW, &mut changes);
        self.check();
        done.map(|()| changes)
    }

    fn decide(&mut self, phase: usize, word: Word) -> Result<Changes, Refusal> {
        let mut changes = Changes::default();
        let done = self.run.decide_approval(phase, word, NOW, &mut changes);
        self.check();
        done.map(|()| changes)
    }

    fn awaits(&self, phase: usize) -> Option<Awaited> {
        let handoff = self.run.phases[phase].handoff.as_ref()?;
        handoff.wait.map(|wait| wait.what)
    }
}

fn kinds(changes: &Changes) -> Vec<EventKind> {
    changes.events.iter().map(|event| event.kind).collect()
}

#[test]
fn a_request_waits_costs_nothing_and_a_yes_leads_to_the_next_attempt() {
    let mut bench = Bench::started();
    let asked = bench.end_asking(0, Some(request("t1"))).unwrap();
    assert!(kinds(&asked).contains(&EventKind::ApprovalRequested));
    assert!(kinds(&asked).contains(&EventKind::PhaseWaitChanged));
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.state, phase.attempts_charged),
        (PhaseState::Queued, 0)
    );
    assert_eq!(bench.awaits(0), Some(Awaited::Approval));
    assert_eq!(bench.run.lacks(0), Some(Awaited::Approval));

    let told = bench.decide(0, word("t1", true, "ada")).unwrap();
    assert!(kinds(&told).contains(&EventKind::ApprovalDecided));
    assert_eq!((bench.awaits(0), bench.run.lacks(0)), (None, None));
    assert!(bench.run.approval(0).unwrap().is_granted());
    // The same word again changes nothing; another one is refused.
    assert!(
        bench
            .decide(0, word("t1", true, "ada"))
            .unwrap()
            .events
            .is_empty()
    );
    let refused = bench.decide(0, word("t1", false, "bob")).unwrap_err();
    assert_eq!(refused.reason, Reason::ApprovalDecided);
    bench.pass(0);
    assert_eq!(bench.run.phases[0].state, PhaseState::Complete);
    assert_eq!(bench.run.phases[0].handoff, None);
}

#[test]
fn nobody_answers_for_a_change_of_their_own_or_for_another_tree() {
    let mut bench = Bench::started();
    let missing = bench.decide(0, word("t1", true, "ada")).unwrap_err();
    assert_eq!(missing.reason, Reason::ApprovalMissing);
    bench.end_asking(0, Some(request("t1"))).unwrap();
    let own = bench.decide(0, word("t1", true, " Bot-7")).unwrap_err();
    assert_eq!(own.reason, Reason::SameIdentity);
    let other = bench.decide(0, word("t2", true, "ada")).unwrap_err();
    assert_eq!(other.reason, Reason::ApprovalChanged);
    assert_eq!(bench.awaits(0), Some(Awaited::Approval));
}

#[test]
fn a_no_ends_the_phase_and_so_does_a_missed_deadline() {
    let mut bench = Bench::started();
    bench.end_asking(0, Some(request("t1"))).unwrap();
    bench.decide(0, word("t1", false, "ada")).unwrap();
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.state, phase.cause),
        (PhaseState::Failed, Some(Cause::ApprovalRejected))
    );
    assert_eq!(phase.detail, "ada: looked at it");

    bench.end_asking(1, Some(request("t2"))).unwrap();
    let mut changes = Changes::default();
    let late = NOW.plus(std::time::Duration::from_secs(u64::from(DECISION_SECONDS)));
    assert!(!bench.run.expire_wait(1, NOW, &mut changes).unwrap());
    assert!(bench.run.expire_wait(1, late, &mut changes).unwrap());
    assert_eq!(bench.run.phases[1].cause, Some(Cause::ApprovalOverdue));
    assert_eq!(bench.run.run.state, RunState::DoneFailedPolicyViolation);
}

#[test]
fn an_approval_is_of_one_change_a_red_gate_uses_it_up_and_another_tree_asks_anew() {
    let mut bench = Bench::started();
    bench.end_asking(0, Some(request("t1"))).unwrap();
    bench.decide(0, word("t1", true, "ada")).unwrap();
    bench.end_asking(0, Some(request("t2"))).unwrap();
    let approval = bench.run.approval(0).unwrap();
    assert_eq!(
        (approval.request.tree.as_str(), approval.attempt),
        ("t2", 2)
    );
    assert!(approval.decision.is_none());
    bench.decide(0, word("t2", true, "ada")).unwrap();
    bench.fail(0, Cause::GateFailed);
    assert_eq!(bench.run.approval(0), None);
}

#[test]
fn a_request_and_its_cause_come_together() {
    let mut bench = Bench::started();
    let refused = bench.end_asking(0, None).unwrap_err();
    assert_eq!(refused.reason, Reason::ArgumentInvalid);
}
