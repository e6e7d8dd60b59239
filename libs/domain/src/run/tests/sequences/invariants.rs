//! What must hold after each command, and what differs between two runs.

use std::collections::BTreeSet;

use super::{super::*, Pair};
use crate::{
    attempt::Attempt,
    run::{Job, JobState},
};

impl Pair {
    /// Counts everything again.
    pub(super) fn check(&self) {
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
            let own = |j: &&Job| !j.kind.is_aside() && j.state != JobState::Done;
            assert_eq!(run.jobs.iter().find(own), None, "an ended run has a job");
        }
        let keys = |wanted: &dyn Fn(Option<usize>) -> bool| {
            let all = run.issues.iter().filter(|(place, _)| wanted(*place));
            let keys: BTreeSet<&str> = all.map(|(_, i)| i.key.as_str()).collect();
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

/// What differs, if anything does; `whole`: also what a copy does not keep, such as leases of jobs.
pub(super) fn unlike(a: &RunAggregate, b: &RunAggregate, whole: bool) -> Option<String> {
    fn attempts(x: &RunAggregate, whole: bool) -> impl Iterator<Item = &Attempt> {
        let all = x.attempts.values();
        all.filter(move |a| whole || !a.state.is_terminal())
    }
    let jobs = |x: &RunAggregate| {
        let live = x.jobs.iter().filter(|j| j.state != JobState::Done);
        let known = live.map(|j| (j.uid, whole.then(|| j.clone())));
        known.collect::<BTreeMap<JobUid, Option<Job>>>()
    };
    let equal = a.run == b.run
        && a.tiers == b.tiers
        && a.phases == b.phases
        && attempts(a, whole).eq(attempts(b, whole))
        && jobs(a) == jobs(b);
    (!equal).then(|| {
        let told = |x: &RunAggregate| {
            let attempts: Vec<_> = attempts(x, whole).collect();
            let all = format!("{:#?}", (&x.run, &x.tiers, &x.phases, attempts, jobs(x)));
            all.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (left, right) = (told(a), told(b));
        let differ = left.iter().zip(&right).filter(|(l, r)| l != r);
        let differ: Vec<_> = differ.take(8).map(|(l, r)| format!("{l} / {r}")).collect();
        differ.join("; ")
    })
}
