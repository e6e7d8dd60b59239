//! Commands in any order, sound or not: what must hold after each of them.
//!
//! Invariant: the checks are written without the code that they check: counts are counted again, and the run is
//! compared with what its changes leave in a store, and with a copy that hears of the events only.

mod commands;
mod invariants;

use proptest::{
    collection::vec,
    proptest,
    test_runner::{Config, RngAlgorithm},
};

use self::{
    commands::{Command, command},
    invariants::unlike,
};

use super::{external::tokens, *};
use crate::{
    EventKind,
    attempt::Attempt,
    event::Event,
    issue::{NewIssue, Severity},
    run::{
        bootstrap::Frozen,
        external::{Audited, Submitted},
    },
    submission::{Recommendation, Submission},
    usage::Usage,
};

/// Phases of the plan.
const PHASES: usize = 4;
/// B is built outside, and C depends on it.
const PLAN: &str = r#"{
  "schema": "autopack/plan/v1", "run": {"id": "r", "goal": "g"},
  "tiers": [
    {"id": "T1", "name": "one", "phases": [
      {"id": "A", "name": "a", "goal": "a", "depends_on": [], "builder": {"kind": "command", "run": "true"}},
      {"id": "B", "name": "b", "goal": "b", "depends_on": [], "builder": {"kind": "external", "timeout_seconds": 30}},
      {"id": "C", "name": "c", "goal": "c", "depends_on": ["B"], "builder": {"kind": "command", "run": "true"}}]},
    {"id": "T2", "name": "two", "phases": [
      {"id": "D", "name": "d", "goal": "d", "depends_on": [], "builder": {"kind": "command", "run": "true"}}]}]
}"#;
/// The phase that is built outside.
const OUTSIDE: usize = 1;
/// What a phase is granted, and what its builder uses at most.
const GRANT: u64 = 1_000;

fn used(total: u64) -> Vec<Usage> {
    Vec::from_iter((total > 0).then(|| tokens(total)))
}

/// A run, what its changes leave in a store, and a copy of it that hears of events only.
struct Pair {
    bench: Bench,
    stored: RunAggregate,
    copy: RunAggregate,
    now: Timestamp,
    fences: std::collections::BTreeSet<Fence>,
}

impl Pair {
    fn new(hold: bool) -> Self {
        let bench = Bench::of(PLAN, hold);
        let copy = bench.run.clone();
        Self {
            stored: copy.clone(),
            bench,
            copy,
            now: NOW,
            fences: std::collections::BTreeSet::new(),
        }
    }

    fn attempt(&self, n: usize) -> Option<&Attempt> {
        let all: Vec<_> = self.bench.run.attempts.values().collect();
        (!all.is_empty()).then(|| all[n % all.len()])
    }

    /// Carries the command out as the writer does: one that is refused has changed nothing.
    fn play(&mut self, command: &Command) {
        let mut changes = Changes::default();
        if self.on_run(command, &mut changes).is_err() {
            changes = Changes::default();
        }
        self.ends_once(&changes.events);
        self.store(&changes);
        assert_eq!(
            unlike(&self.stored, &self.bench.run, true),
            None,
            "in the store after {command:?}"
        );
        self.hear(&changes.events);
        self.check();
        // What is told of nobody, such as the lease of a job, is heard with the next event.
        if !changes.events.is_empty() {
            assert_eq!(
                unlike(&self.copy, &self.bench.run, false),
                None,
                "the copy and the run"
            );
        }
    }

    /// Writes what the command says that it changed, and nothing else.
    fn store(&mut self, changes: &Changes) {
        let (stored, run) = (&mut self.stored, &self.bench.run);
        if changes.run {
            stored.run = run.run.clone();
        }
        for &tier in &changes.tiers {
            stored.tiers[tier] = run.tiers[tier].clone();
        }
        for &phase in &changes.phases {
            stored.phases[phase] = run.phases[phase].clone();
        }
        for attempt in changes.attempts.values() {
            if attempt.state.is_terminal() && !attempt.has_open_intent() {
                stored.attempts.remove(&attempt.uid);
            } else {
                stored.attempts.insert(attempt.uid, attempt.clone());
            }
        }
        for job in changes.jobs.values() {
            stored.jobs.retain(|j| j.uid != job.uid);
            stored.jobs.push(job.clone());
        }
    }

    /// A run that has ended says so once, and lives again only after it was reopened.
    fn ends_once(&self, events: &[Event]) {
        let count = |kind| events.iter().filter(|e| e.kind == kind).count();
        let before = self.stored.run.state.is_terminal();
        let reopened = count(EventKind::RunReopened) > 0;
        let alive = !before || reopened;
        let ends = usize::from(alive && self.bench.run.run.state.is_terminal());
        assert_eq!(
            count(EventKind::RunFinished),
            ends,
            "{:?}",
            self.bench.run.run.state
        );
        assert!(alive || self.bench.run.run.state == self.stored.run.state);
    }

    fn on_run(&mut self, command: &Command, c: &mut Changes) -> Result<(), crate::Refusal> {
        let now = self.now;
        let nobody = WorkerUid(uuid::Uuid::nil());
        let (uid, job) = (self.bench.uid(), self.bench.uid());
        let of = |n: usize| self.attempt(n).cloned();
        let chosen = match *command {
            Command::OfferAgain(n)
            | Command::Lease(n)
            | Command::Stage(n, _)
            | Command::Use(n, _)
            | Command::Prepare(n)
            | Command::Settle(n, ..)
            | Command::Lose(n, _) => match of(n) {
                Some(attempt) => Some(attempt),
                None => return Ok(()),
            },
            _ => None,
        };
        let current = self.bench.run.jobs.last().cloned();
        let run = &mut self.bench.run;
        match (command.clone(), chosen, current) {
            (Command::Start, ..) => run.start(now, c),
            (Command::Pause, ..) => run.pause(now, c),
            (Command::Resume, ..) => run.resume(now, c),
            (Command::Cancel, ..) => run.cancel("why", now, c).map(drop),
            (Command::Retry(phase), ..) => run.retry(phase, now, c),
            (Command::Offer(phase), ..) => {
                // Whoever offers has asked the predicates of readiness.
                let open = run.open_tier() == Some(run.phases[phase].tier);
                if !open || !run.depends(phase).iter().all(|&on| run.is_satisfied(on)) {
                    return Ok(());
                }
                run.offer(phase, AttemptUid(uid), JobUid(job), GRANT, now, c)?;
                run.close_offers(now, c);
                Ok(())
            }
            (Command::OfferAgain(_), Some(a), _) => run.offer_again(a.uid, JobUid(job), now, c),
            (Command::Lease(_), Some(a), _) => {
                let fence = run.lease(a.uid, a.job, nobody, now, c)?;
                assert!(self.fences.insert(fence), "a fence was minted twice");
                Ok(())
            }
            (Command::Stage(_, to), Some(a), _) => run.stage(a.uid, a.fence, to, now, c),
            (Command::Use(_, n), Some(a), _) => run.record_usage(a.uid, a.fence, used(n), now, c),
            (Command::Prepare(_), Some(a), _) => {
                let intent = Intent {
                    expected_tip: run.run.tip.clone(),
                    tree: "tree".into(),
                    commit: format!("commit of {}", a.uid),
                    resolved: false,
                };
                run.prepare_landing(a.uid, a.fence, intent, now, c)
            }
            (Command::Settle(_, cause, n), Some(a), _) => {
                let commit = a.intent.as_ref().map(|i| i.commit.clone());
                let report = Report {
                    cause,
                    outcome: cause.is_none().then_some(match commit {
                        Some(_) => PhaseOutcome::Committed,
                        None => PhaseOutcome::NoChange,
                    }),
                    commit: commit.unwrap_or_default(),
                    usage: used(n),
                    ..Report::default()
                };
                run.settle(a.uid, a.fence, report, &decide, now, c)
            }
            (Command::Lose(_, kindly), Some(a), _) => run.lose(a.uid, kindly, &decide, now, c),
            (Command::Exhaust(phase), ..) => {
                run.exhaust(phase, Cause::BudgetTokens, "none left", now, c)?;
                run.close_offers(now, c);
                Ok(())
            }
            (Command::Minutes, ..) => {
                run.exhaust_minutes("late", now, c);
                Ok(())
            }
            (Command::Job(kind), ..) => run.offer_job(JobUid(job), kind, now, c),
            (Command::LeaseJob, _, Some(j)) => {
                let fence = run.lease_job(j.uid, nobody, now, c)?;
                assert!(self.fences.insert(fence), "a fence was minted twice");
                Ok(())
            }
            (Command::FailJob(cause), _, Some(j)) => {
                run.fail_job((j.uid, Some(j.fence)), (cause, "why"), now, now, c)
            }
            (Command::EndJob(_), _, Some(j)) if j.kind == JobKind::Bootstrap => {
                let frozen = Frozen {
                    base_sha: "base".into(),
                    tip: "base".into(),
                    plan: Arc::clone(&run.plan),
                    strategy: Arc::clone(&run.strategy),
                    facts: vec![("environment".into(), "e".into())],
                };
                run.finish_bootstrap(j.uid, j.fence, frozen, now, c)
            }
            (Command::EndJob(landed), _, Some(j)) => {
                let open = run.attempts.values();
                let open = open.filter(|a| a.state.is_terminal() && a.has_open_intent());
                let landed = open.map(|a| a.uid).next().filter(|_| landed);
                run.finish_cleanup(j.uid, j.fence, landed, now, c)
            }
            (Command::Issue(place, key, major, ours), ..) => {
                let by = place.and_then(|phase| run.phases[phase].current);
                let by = by
                    .filter(|_| ours)
                    .map(|uid| (uid, run.attempts[&uid].fence));
                run.record_issue(place, issue(key, major), by, now, c)
            }
            (Command::Submit(there, review, n), ..) => {
                run.submit(OUTSIDE, submitted(there, review, n), &decide, now, c)
            }
            (Command::AskAudit, ..) => run.request_audit(OUTSIDE, now, c),
            (Command::Audit(word), ..) => run.submit_audit(OUTSIDE, audited(word), &decide, now, c),
            (Command::Overdue, ..) => {
                let wait = run.phases[OUTSIDE].handoff.as_ref().and_then(|h| h.wait);
                let now = wait.map_or(now, |w| w.until);
                run.expire_wait(OUTSIDE, now, c).map(drop)
            }
            (Command::Set(phase, to), ..) => run.update_phase(phase, to, "by hand", now, c),
            (Command::Later(by), ..) => {
                self.now = Timestamp(now.0 + by);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The copy takes the events in, or reads the run anew where an event says so.
    fn hear(&mut self, events: &[Event]) {
        for event in events {
            if !self.copy.absorb(event) {
                self.copy = self.bench.run.clone();
                return;
            }
        }
    }
}

fn issue(key: u8, major: bool) -> NewIssue {
    NewIssue {
        key: format!("key-{key}"),
        severity: if major {
            Severity::Major
        } else {
            Severity::Minor
        },
        source: "probe".into(),
        category: "docs".into(),
        description: String::new(),
        evidence: vec![],
        paths: vec![],
    }
}

fn submitted(there: bool, review: bool, total: u64) -> Submitted {
    let submission = Submission {
        builder: "Ada".into(),
        digest: "d".into(),
        size: 1,
        at: NOW,
        auditor: String::new(),
        audit_digest: String::new(),
    };
    Submitted {
        submission: there.then_some(submission),
        audit: there && review,
        notes: String::new(),
        usage: used(total),
        issues: vec![],
    }
}

fn audited(recommendation: Recommendation) -> Audited {
    Audited {
        auditor: "Bob".into(),
        recommendation,
        notes: "why".into(),
        digest: "a".into(),
        usage: used(5),
        issues: vec![],
    }
}

proptest! {
    // Without optimisation, the default generator of random numbers takes most of the time; this one is good enough to
    // choose among commands.
    #![proptest_config(Config {
        cases: 10_000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    })]

    #[test]
    fn any_sequence_of_commands_keeps_the_invariants(
        hold in proptest::bool::weighted(0.2),
        ready in proptest::bool::weighted(0.8),
        commands in vec(command(), 1..50),
    ) {
        let mut pair = Pair::new(hold);
        if ready {
            for first in [Command::Job(JobKind::Bootstrap), Command::LeaseJob, Command::EndJob(true)] {
                pair.play(&first);
            }
        }
        for command in &commands {
            pair.play(command);
        }
    }
}
