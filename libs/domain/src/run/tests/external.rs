//! Phases that are built outside: waits, submissions, audits, and states set by hand.

use super::*;
use crate::{
    EventKind, Reason, Refusal,
    run::external::{Audited, Submitted},
    submission::{Awaited, Recommendation, Submission, Wait},
    usage::{Provenance, Usage},
};

const PLAN: &str = r#"{
  "schema": "autopack/plan/v1", "run": {"id": "r", "goal": "g"},
  "tiers": [
    {"id": "T1", "name": "one", "phases": [
      {"id": "A", "name": "a", "goal": "a", "depends_on": [], "builder": {"kind": "external", "timeout_seconds": 60}},
      {"id": "B", "name": "b", "goal": "b", "depends_on": ["A"], "builder": {"kind": "external", "audit": true}},
      {"id": "C", "name": "c", "goal": "c", "depends_on": [], "builder": {"kind": "command", "run": "true"}}]}]
}"#;

const MINUTE: Timestamp = Timestamp(NOW.0 + 60_000_000);

pub(super) fn bench() -> Bench {
    let mut bench = Bench::of(PLAN, false);
    bench.bootstrap();
    bench
}

pub(super) fn tokens(total: u64) -> Usage {
    Usage {
        provider: String::new(),
        model: String::new(),
        role: "builder".into(),
        purpose: String::new(),
        total,
        prompt: None,
        completion: None,
        provenance: Provenance::Reported,
    }
}

fn result(builder: &str) -> Submitted {
    Submitted {
        submission: Some(Submission {
            builder: builder.into(),
            digest: "d".into(),
            size: 1,
            at: NOW,
            auditor: String::new(),
            audit_digest: String::new(),
        }),
        audit: false,
        notes: String::new(),
        usage: vec![tokens(70)],
        issues: vec![],
    }
}

fn audit(auditor: &str, recommendation: Recommendation) -> Audited {
    Audited {
        auditor: auditor.into(),
        recommendation,
        notes: "a negative length is accepted".into(),
        digest: "a".into(),
        usage: vec![tokens(5)],
        issues: vec![],
    }
}

impl Bench {
    pub(super) fn submit(&mut self, phase: usize, what: Submitted) -> Result<Changes, Refusal> {
        let mut changes = Changes::default();
        let done = self.run.submit(phase, what, &decide, NOW, &mut changes);
        self.check();
        done.map(|()| changes)
    }

    fn audit(&mut self, phase: usize, what: Audited) -> Result<(), Refusal> {
        let mut changes = Changes::default();
        let done = self
            .run
            .submit_audit(phase, what, &decide, NOW, &mut changes);
        self.check();
        done
    }

    pub(super) fn set(&mut self, phase: usize, to: PhaseState) -> Result<(), Refusal> {
        let mut changes = Changes::default();
        let done = self.run.update_phase(phase, to, "why", NOW, &mut changes);
        self.check();
        done
    }

    fn wait(&self, phase: usize) -> Option<Wait> {
        let handoff = self.run.phases[phase].handoff.as_ref()?;
        handoff.wait
    }
}

#[test]
fn a_wait_begins_when_nothing_else_holds_the_phase_back_and_a_pause_ends_it() {
    let mut bench = bench();
    let begun = Some(Wait {
        what: Awaited::Submission,
        until: MINUTE,
    });
    assert_eq!((bench.wait(0), bench.wait(1)), (begun, None));
    let mut changes = Changes::default();
    bench.run.pause(NOW, &mut changes).unwrap();
    assert_eq!(bench.wait(0), None);
    let mut changes = Changes::default();
    bench.run.resume(MINUTE, &mut changes).unwrap();
    assert_eq!(bench.wait(0).unwrap().until.0, MINUTE.0 + 60_000_000);
    let told = changes.events.last().unwrap();
    assert_eq!(told.kind, EventKind::PhaseWaitChanged);
    // A copy of the run learns of it by the event alone.
    assert_eq!(told.phase.as_ref().unwrap().1, bench.run.phases[0]);
}

#[test]
fn a_submission_becomes_an_ordinary_attempt_that_books_its_tokens_once() {
    let mut bench = bench();
    let refused = bench.run.offer(
        0,
        AttemptUid(uuid::Uuid::nil()),
        JobUid(uuid::Uuid::nil()),
        0,
        NOW,
        &mut Changes::default(),
    );
    assert!(
        refused
            .unwrap_err()
            .message
            .contains("awaits the submission")
    );
    bench.submit(0, result("bot")).unwrap();
    assert_eq!(bench.wait(0), None);
    assert_eq!(
        bench.submit(0, result("bot")).unwrap_err().reason,
        Reason::PhaseState
    );
    // A worker is lost: the same submission is applied again, and costs nothing more.
    let lease = bench.lease(0);
    bench
        .run
        .lose(lease.0, false, &decide, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(bench.run.phases[0].tokens.settled, 70);
    assert!(
        bench.run.phases[0]
            .handoff
            .as_ref()
            .unwrap()
            .submission
            .is_some()
    );
    bench.pass(0);
    assert_eq!(bench.run.phases[0].handoff, None);
    assert_eq!(bench.run.run.tokens.settled, 70);
    assert_eq!(bench.wait(1).unwrap().what, Awaited::Submission);
}

#[test]
fn a_red_gate_uses_the_submission_up_and_the_next_gets_the_whole_time() {
    let mut bench = bench();
    bench.submit(0, result("bot")).unwrap();
    let lease = bench.lease(0);
    bench.settle(lease, Some(Cause::GateFailed));
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.state, phase.cause),
        (PhaseState::Queued, Some(Cause::GateFailed))
    );
    assert_eq!(bench.wait(0).unwrap().until, MINUTE);
    // A conflict with another phase is not the submission's fault: it is kept.
    bench.submit(0, result("bot")).unwrap();
    let lease = bench.lease(0);
    bench.settle(lease, Some(Cause::MergeConflict));
    assert!(
        bench.run.phases[0]
            .handoff
            .as_ref()
            .unwrap()
            .submission
            .is_some()
    );
    let lease = bench.lease(0);
    bench.settle(lease, Some(Cause::GateFailed));
    assert_eq!(bench.run.phases[0].state, PhaseState::Failed);
    assert_eq!(bench.run.phases[1].state, PhaseState::Skipped);
}

#[test]
fn a_builder_that_gives_up_is_charged_until_no_attempt_is_left() {
    let mut bench = bench();
    let failed = || Submitted {
        submission: None,
        notes: "bot: the API is gone".into(),
        ..result("bot")
    };
    bench.submit(0, failed()).unwrap();
    let phase = &bench.run.phases[0];
    assert_eq!((phase.attempts_charged, phase.attempts_made), (1, 0));
    assert_eq!(phase.detail, "bot: the API is gone");
    bench.submit(0, failed()).unwrap();
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.state, phase.cause),
        (PhaseState::Failed, Some(Cause::BuilderFailed))
    );
    assert_eq!(bench.run.run.tokens.settled, 140, "no lease booked them");
}

#[test]
fn past_its_deadline_a_wait_fails_the_phase_and_a_retry_opens_it_again() {
    let mut bench = bench();
    let early = Timestamp(MINUTE.0 - 1);
    let mut changes = Changes::default();
    assert!(!bench.run.expire_wait(0, early, &mut changes).unwrap());
    assert!(!bench.run.expire_wait(2, MINUTE, &mut changes).unwrap());
    assert!(bench.run.expire_wait(0, MINUTE, &mut changes).unwrap());
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.state, phase.cause),
        (PhaseState::Failed, Some(Cause::SubmissionOverdue))
    );
    assert!(phase.detail.contains("within 60 s"), "{}", phase.detail);
    bench.set(0, PhaseState::Queued).unwrap();
    assert!(bench.wait(0).is_some());
    assert_eq!(bench.run.phases[1].state, PhaseState::Queued);
}

#[test]
fn an_audit_holds_the_result_until_somebody_else_approves() {
    let mut bench = bench();
    let mut changes = Changes::default();
    bench.run.request_audit(0, NOW, &mut changes).unwrap();
    bench.submit(0, result("Ada")).unwrap();
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Audit);
    let own = bench.audit(0, audit(" ada ", Recommendation::Approve));
    assert_eq!(own.unwrap_err().reason, Reason::SameIdentity);
    bench
        .audit(0, audit("Bob", Recommendation::Revise))
        .unwrap();
    let phase = &bench.run.phases[0];
    assert_eq!(
        (phase.cause, phase.attempts_charged),
        (Some(Cause::AuditRevised), 1)
    );
    assert!(phase.detail.contains("negative length"), "{}", phase.detail);
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Submission);
    let none = bench.audit(0, audit("Bob", Recommendation::Approve));
    assert_eq!(none.unwrap_err().metadata["awaits"], "submission");
    bench.submit(0, result("Ada")).unwrap();
    bench
        .audit(0, audit("Bob", Recommendation::Approve))
        .unwrap();
    let submission = bench.run.phases[0]
        .handoff
        .clone()
        .unwrap()
        .submission
        .unwrap();
    assert_eq!(
        (
            submission.auditor.as_str(),
            submission.audit_digest.as_str()
        ),
        ("Bob", "a")
    );
    bench.pass(0);
    assert_eq!(
        bench.run.run.tokens.settled, 150,
        "two results and two audits"
    );
    // The plan asks for an audit of B.
    bench.submit(1, result("Ada")).unwrap();
    bench
        .audit(1, audit("Bob", Recommendation::Escalate))
        .unwrap();
    let phase = &bench.run.phases[1];
    assert_eq!(
        (phase.state, phase.cause),
        (PhaseState::Failed, Some(Cause::AuditEscalated))
    );
    assert_eq!(bench.run.run.tokens.settled, 225);
    bench.pass(2);
    assert_eq!(bench.run.run.state, RunState::DoneFailedRequiresHumanReview);
}

#[test]
fn an_audit_that_is_asked_for_late_takes_the_offer_back_but_never_a_lease() {
    let mut bench = bench();
    bench.submit(0, result("Ada")).unwrap();
    let (attempt, job) = (AttemptUid(bench.uid()), JobUid(bench.uid()));
    let mut changes = Changes::default();
    bench
        .run
        .offer(0, attempt, job, 70, NOW, &mut changes)
        .unwrap();
    bench.run.close_offers(NOW, &mut changes);
    bench
        .run
        .request_audit(0, NOW, &mut Changes::default())
        .unwrap();
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Audit);
    assert!(bench.run.attempts.is_empty());
    bench
        .audit(0, audit("Bob", Recommendation::Approve))
        .unwrap();
    bench.lease(0);
    let late = bench.run.request_audit(0, NOW, &mut Changes::default());
    assert_eq!(late.unwrap_err().reason, Reason::PhaseState);
}

#[test]
fn an_audit_that_was_asked_for_outlives_failures_and_retries_until_a_result_lands() {
    let mut bench = bench();
    let mut changes = Changes::default();
    bench.run.request_audit(0, NOW, &mut changes).unwrap();
    // The first result fails its gate, the second is not audited in time, the third is given up by hand.
    bench.submit(0, result("Ada")).unwrap();
    bench
        .audit(0, audit("Bob", Recommendation::Approve))
        .unwrap();
    let lease = bench.lease(0);
    bench.settle(lease, Some(Cause::GateFailed));
    bench.submit(0, result("Ada")).unwrap();
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Audit);
    let mut changes = Changes::default();
    assert!(bench.run.expire_wait(0, MINUTE, &mut changes).unwrap());
    bench.set(0, PhaseState::Queued).unwrap();
    bench.submit(0, result("Ada")).unwrap();
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Audit);
    bench.set(0, PhaseState::Failed).unwrap();
    assert_eq!(bench.run.phases[0].tokens.settled, 3 * 70 + 5);
    let mut changes = Changes::default();
    bench.run.retry(Some(0), NOW, &mut changes).unwrap();
    bench.submit(0, result("Ada")).unwrap();
    assert_eq!(bench.wait(0).unwrap().what, Awaited::Audit);
    bench
        .audit(0, audit("Bob", Recommendation::Approve))
        .unwrap();
    bench.pass(0);
    assert_eq!(bench.run.phases[0].handoff, None);
}

#[test]
fn states_are_set_by_ordinary_commands_only_and_never_to_complete() {
    let mut bench = bench();
    for to in [
        PhaseState::Executing,
        PhaseState::Gate,
        PhaseState::CiRunning,
        PhaseState::Complete,
    ] {
        let refusal = bench.set(0, to).unwrap_err();
        assert_eq!(refusal.reason, Reason::PhaseState);
        assert_eq!(refusal.metadata["state"], "QUEUED");
        assert!(refusal.metadata["allowed"].starts_with("FAILED, SKIPPED"));
    }
    assert_eq!(
        bench.set(2, PhaseState::Skipped).unwrap_err().reason,
        Reason::NotExternal
    );
    assert_eq!(
        bench.submit(2, result("bot")).unwrap_err().reason,
        Reason::NotExternal
    );
    bench.set(0, PhaseState::Queued).unwrap();
    // Skipped by request, what depends on it goes on.
    bench.set(0, PhaseState::Skipped).unwrap();
    assert_eq!(bench.run.phases[0].cause, Some(Cause::SkippedByRequest));
    assert_eq!(bench.wait(1).unwrap().what, Awaited::Submission);
    assert_eq!(
        bench.set(0, PhaseState::Queued).unwrap_err().metadata["allowed"],
        "none: it has ended"
    );
    bench.submit(1, result("Ada")).unwrap();
    bench
        .audit(1, audit("Bob", Recommendation::Approve))
        .unwrap();
    let lease = bench.lease(1);
    let refusal = bench.set(1, PhaseState::Failed).unwrap_err();
    assert!(refusal.metadata["allowed"].starts_with("none while a worker has it"));
    bench.settle(lease, None);
    bench.pass(2);
    assert_eq!(bench.run.run.state, RunState::DoneSuccess);
    assert_eq!(
        bench.submit(1, result("Ada")).unwrap_err().reason,
        Reason::RunState
    );
}

#[test]
fn cancelling_ends_the_wait_and_takes_no_more_results() {
    let mut bench = bench();
    let mut changes = Changes::default();
    bench.run.cancel("enough", NOW, &mut changes).unwrap();
    assert_eq!(bench.run.run.state, RunState::DoneCancelled);
    assert_eq!(bench.wait(0), None);
    assert_eq!(
        bench.submit(0, result("bot")).unwrap_err().reason,
        Reason::RunState
    );
}
