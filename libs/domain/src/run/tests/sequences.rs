//! Commands in any order, sound or not: what must hold after each of them.
//!
//! Invariant: the checks are written without the code that they check: counts are counted again, and a copy that hears
//! of the events only is compared with the run.

use proptest::{
    bool::ANY as COIN,
    collection::vec,
    option, prop_oneof, proptest, sample,
    strategy::{Just, Strategy as Gen},
    test_runner::Config,
};

use super::*;
use crate::{
    attempt::Attempt,
    event::Event,
    issue::{NewIssue, Severity},
    run::{JobState, bootstrap::Frozen},
    usage::{Provenance, Usage},
};

/// Phases of the plan, and one that it does not have among issues' places.
const PHASES: usize = 4;
/// What a phase is granted, and what its builder uses at most.
const GRANT: u64 = 1_000;

/// One command; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Command {
    Start,
    Pause,
    Resume,
    Cancel,
    Retry(Option<usize>),
    Offer(usize),
    OfferAgain(usize),
    Lease(usize),
    Stage(usize, AttemptState),
    Use(usize, u64),
    Prepare(usize),
    Settle(usize, Option<Cause>, u64),
    Lose(usize, bool),
    Exhaust(usize),
    Minutes,
    Job(JobKind),
    LeaseJob,
    FailJob(Cause),
    EndJob(bool),
    Issue(Option<usize>, u8, bool, bool),
    Later(i64),
}

/// Something that may go wrong with an attempt, of each kind of charge.
fn cause() -> impl Gen<Value = Cause> {
    sample::select(vec![
        Cause::GateFailed,
        Cause::NoChange,
        Cause::WorkerError,
        Cause::DiskFull,
        Cause::MergeConflict,
        Cause::OutOfScope,
        Cause::RepositoryUnavailable,
    ])
}

fn command() -> impl Gen<Value = Command> {
    let which = 0..8_usize;
    let stage = sample::select(vec![
        AttemptState::Building,
        AttemptState::Governing,
        AttemptState::Gating,
        AttemptState::Landing,
        AttemptState::Succeeded,
    ]);
    let place = option::of(0..PHASES);
    prop_oneof![
        2 => Just(Command::Start),
        1 => Just(Command::Pause),
        2 => Just(Command::Resume),
        1 => Just(Command::Cancel),
        2 => option::of(0..PHASES).prop_map(Command::Retry),
        12 => (0..PHASES).prop_map(Command::Offer),
        1 => which.clone().prop_map(Command::OfferAgain),
        12 => which.clone().prop_map(Command::Lease),
        8 => (which.clone(), stage).prop_map(|(n, to)| Command::Stage(n, to)),
        2 => (which.clone(), 0..100_u64).prop_map(|(n, used)| Command::Use(n, used)),
        3 => which.clone().prop_map(Command::Prepare),
        12 => (which.clone(), option::of(cause()), 0..400_u64)
            .prop_map(|(n, cause, used)| Command::Settle(n, cause, used)),
        3 => (which.clone(), COIN).prop_map(|(n, kindly)| Command::Lose(n, kindly)),
        1 => (0..PHASES).prop_map(Command::Exhaust),
        1 => Just(Command::Minutes),
        4 => prop_oneof![Just(JobKind::Bootstrap), Just(JobKind::Cleanup)].prop_map(Command::Job),
        4 => Just(Command::LeaseJob),
        1 => cause().prop_map(Command::FailJob),
        4 => COIN.prop_map(Command::EndJob),
        4 => (place, 0..4_u8, COIN, COIN)
            .prop_map(|(at, key, major, ours)| Command::Issue(at, key, major, ours)),
        1 => (1..60_000_000_i64).prop_map(Command::Later),
    ]
}

fn used(total: u64) -> Vec<Usage> {
    let usage = Usage {
        provider: String::new(),
        model: String::new(),
        role: "builder".into(),
        purpose: String::new(),
        total,
        prompt: None,
        completion: None,
        provenance: Provenance::Reported,
    };
    Vec::from_iter((total > 0).then_some(usage))
}

/// A run, and a copy of it that hears of events only.
struct Pair {
    bench: Bench,
    copy: RunAggregate,
    now: Timestamp,
    fences: std::collections::BTreeSet<Fence>,
}

impl Pair {
    fn new(hold: bool) -> Self {
        let bench = Bench::new(hold);
        let copy = bench.run.clone();
        Self {
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
        let before = self.bench.run.clone();
        let mut changes = Changes::default();
        if self.on_run(command, &mut changes).is_err() {
            assert_eq!(same(&before, &self.bench.run), None, "refused: {command:?}");
            changes = Changes::default();
        }
        self.hear(&changes.events);
        self.check();
        // What is told of nobody, such as the lease of a job, is heard with the next event.
        if !changes.events.is_empty() {
            assert_eq!(
                same(&self.copy, &self.bench.run),
                None,
                "the copy and the run"
            );
        }
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
                let complete = |&on: &usize| run.phases[on].state == PhaseState::Complete;
                let open = run.open_tier() == Some(run.phases[phase].tier);
                if !open || !run.depends(phase).iter().all(complete) {
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

    fn check(&self) {
        let run = &self.bench.run;
        self.bench.check();
        for (n, tier) in run.tiers.iter().enumerate() {
            let of = || run.phases.iter().filter(|p| p.tier == n);
            assert_eq!(
                of().map(|p| p.tokens.reserved).sum::<u64>(),
                tier.tokens.reserved
            );
            assert_eq!(
                of().map(|p| p.tokens.settled).sum::<u64>(),
                tier.tokens.settled
            );
        }
        for (n, phase) in run.phases.iter().enumerate() {
            let alive = || {
                let all = run.attempts.values();
                all.filter(move |a| a.phase == n && !a.state.is_terminal())
            };
            assert_eq!(
                alive().map(|a| a.uid).collect::<Vec<_>>(),
                Vec::from_iter(phase.current)
            );
            assert_eq!(
                alive().map(|a| a.tokens_reserved).sum::<u64>(),
                phase.tokens.reserved
            );
        }
        let open = run.attempts.values();
        let open = open.filter(|a| a.state.is_terminal() && a.has_open_intent());
        assert_eq!(open.count(), run.run.open_intents as usize);
        if run.run.state.is_terminal() {
            assert_eq!(run.run.tokens.reserved, 0, "an ended run holds tokens");
            assert!(
                run.phases.iter().all(|p| p.current.is_none()),
                "an ended run works"
            );
        }
        let keys = |wanted: &dyn Fn(Option<usize>) -> bool| {
            let all = run.issues.iter().filter(|(place, _)| wanted(*place));
            let keys: std::collections::BTreeSet<_> = all.map(|(_, i)| i.key.clone()).collect();
            keys.len()
        };
        assert_eq!(keys(&|_| true), run.run.issues.distinct() as usize);
        for (n, tier) in run.tiers.iter().enumerate() {
            let inside = |place: Option<usize>| place.is_some_and(|p| run.phases[p].tier == n);
            assert_eq!(keys(&inside), tier.issues.distinct() as usize);
        }
        for (n, phase) in run.phases.iter().enumerate() {
            assert_eq!(
                keys(&|place| place == Some(n)),
                phase.issues.distinct() as usize
            );
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

/// What differs, if anything does that a copy keeps.
fn same(a: &RunAggregate, b: &RunAggregate) -> Option<String> {
    let at_work = |x: &RunAggregate| {
        let all = x.attempts.values().filter(|a| !a.state.is_terminal());
        all.cloned().collect::<Vec<_>>()
    };
    let alive = |x: &RunAggregate| {
        // Nobody hears of the jobs of a run that has ended.
        let jobs = x.jobs.iter().filter(|_| !x.run.state.is_terminal());
        let jobs = jobs.filter(|j| j.state != JobState::Done);
        jobs.map(|j| j.uid).collect::<Vec<_>>()
    };
    let equal = a.run == b.run
        && a.tiers == b.tiers
        && a.phases == b.phases
        && at_work(a) == at_work(b)
        && alive(a) == alive(b);
    (!equal).then(|| {
        let told = |x: &RunAggregate| {
            let all = format!("{:#?}", (&x.run, &x.tiers, &x.phases, at_work(x), alive(x)));
            all.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (left, right) = (told(a), told(b));
        let unlike = left.iter().zip(&right).filter(|(l, r)| l != r);
        let unlike: Vec<_> = unlike.take(8).map(|(l, r)| format!("{l} / {r}")).collect();
        unlike.join("; ")
    })
}

proptest! {
    #![proptest_config(Config { cases: 10_000, ..Config::default() })]

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
