//! What must hold of a run after any command: counted again, not asked of the code that counts.

use std::collections::BTreeSet;

use autopack_domain::{
    attempt::Attempt,
    budget::Account,
    run::{RunAggregate, finalise::derived_state},
    states::PhaseState,
    tier::PhaseCounts,
};
use autopack_wire::{registry as pb, types};

use crate::harness::Harness;

/// Every issue of a run, cleaned ones too.
pub(super) async fn issues(h: &Harness, run: &str) -> Vec<types::Issue> {
    let request = pb::ListIssuesRequest {
        run_id: run.into(),
        include_resolved: true,
        page_size: 500,
        ..Default::default()
    };
    let answer = h.clients.issues().list_issues(request).await;
    answer.unwrap().into_inner().issues
}

/// The self-check finds nothing wrong.
pub(super) async fn database_is_sound(h: &Harness) {
    let answer = h
        .clients
        .doctor()
        .diagnose(pb::DiagnoseRequest::default())
        .await;
    let found = answer.unwrap().into_inner().findings;
    assert!(found.is_empty(), "{found:#?}");
}

/// A run, `before` and now.
pub(super) fn run(before: &RunAggregate, now: &RunAggregate, issues: &[types::Issue], name: &str) {
    assert_eq!(
        derived_state(now),
        now.run.state,
        "{name}: the state follows from the phases"
    );
    assert!(
        before.run.last_event <= now.run.last_event,
        "{name}: the log only grows"
    );
    let counted = |wanted: &dyn Fn(usize) -> bool| {
        let of = |state: PhaseState| {
            let all = now.phases.iter().filter(|p| wanted(p.tier));
            all.filter(|p| p.state == state).count() as u32
        };
        let states = PhaseState::ALL;
        states.iter().map(|s| of(*s)).collect::<Vec<_>>()
    };
    let stored = |c: &PhaseCounts| {
        vec![
            c.queued,
            c.executing,
            c.gate,
            c.ci_running,
            c.complete,
            c.failed,
            c.skipped,
        ]
    };
    assert_eq!(
        stored(&now.run.counts),
        counted(&|_| true),
        "{name}: phases by state"
    );
    for (n, tier) in now.tiers.iter().enumerate() {
        assert_eq!(
            stored(&tier.counts),
            counted(&|t| t == n),
            "{name}: phases of a tier by state"
        );
    }
    budgets(before, now, name);
    let keys = |wanted: &dyn Fn(&types::Issue) -> bool| {
        let all = issues.iter().filter(|issue| wanted(issue));
        all.map(|issue| issue.key.as_str())
            .collect::<BTreeSet<_>>()
            .len() as u32
    };
    assert_eq!(
        now.run.issues.distinct(),
        keys(&|_| true),
        "{name}: issues of the run"
    );
    for tier in &now.tiers {
        let of = keys(&|issue| issue.tier_id == tier.id.as_str());
        assert_eq!(tier.issues.distinct(), of, "{name}: issues of {}", tier.id);
    }
    for phase in &now.phases {
        let of = keys(&|issue| issue.phase_id == phase.id.as_str());
        assert_eq!(
            phase.issues.distinct(),
            of,
            "{name}: issues of {}",
            phase.id
        );
    }
}

/// Reservations are those of live attempts, sums are sums, and nothing is granted beyond a cap.
fn budgets(before: &RunAggregate, now: &RunAggregate, name: &str) {
    let live: Vec<&Attempt> = now
        .attempts
        .values()
        .filter(|a| !a.state.is_terminal())
        .collect();
    for (n, phase) in now.phases.iter().enumerate() {
        let of = live.iter().filter(|a| a.phase == n);
        let held: u64 = of.map(|a| a.tokens_reserved).sum();
        assert_eq!(phase.tokens.reserved, held, "{name}: held for {}", phase.id);
        granted(&before.phases[n].tokens, &phase.tokens, name);
    }
    let sum = |of: &dyn Fn(&Account) -> u64, tier: usize| {
        let all = now.phases.iter().filter(|p| p.tier == tier);
        all.map(|p| of(&p.tokens)).sum::<u64>()
    };
    for (n, tier) in now.tiers.iter().enumerate() {
        assert_eq!(
            tier.tokens.reserved,
            sum(&|a| a.reserved, n),
            "{name}: held for {}",
            tier.id
        );
        assert_eq!(
            tier.tokens.settled,
            sum(&|a| a.settled, n),
            "{name}: used by {}",
            tier.id
        );
        granted(&before.tiers[n].tokens, &tier.tokens, name);
    }
    let of_tiers =
        |of: &dyn Fn(&Account) -> u64| now.tiers.iter().map(|t| of(&t.tokens)).sum::<u64>();
    assert_eq!(
        now.run.tokens.reserved,
        of_tiers(&|a| a.reserved),
        "{name}: held for the run"
    );
    assert_eq!(
        now.run.tokens.settled,
        of_tiers(&|a| a.settled),
        "{name}: used by the run"
    );
    granted(&before.run.tokens, &now.run.tokens, name);
    assert!(
        now.run.phases_used <= now.run.phases_cap,
        "{name}: phases beyond the cap"
    );
    if now.run.state.is_terminal() {
        assert!(
            live.is_empty() && now.run.tokens.reserved == 0,
            "{name}: an ended run holds something"
        );
    }
}

/// Where more is held than before, it was there to be had.
fn granted(before: &Account, now: &Account, name: &str) {
    let fits = now.cap.is_none_or(|cap| now.reserved + now.settled <= cap);
    assert!(
        now.reserved <= before.reserved || fits,
        "{name}: {now:?} after {before:?}"
    );
    assert!(
        before.settled <= now.settled,
        "{name}: what was used is used"
    );
}

/// Two copies of a run, as far as copies go.
pub(super) fn same(copy: &RunAggregate, stored: &RunAggregate, name: &str) {
    let at_work = |run: &RunAggregate| {
        let all = run.attempts.values().filter(|a| !a.state.is_terminal());
        all.cloned().collect::<Vec<_>>()
    };
    assert_eq!(copy.run, stored.run, "{name}: the run from its events");
    assert_eq!(
        copy.tiers, stored.tiers,
        "{name}: the tiers from the events"
    );
    assert_eq!(
        copy.phases, stored.phases,
        "{name}: the phases from the events"
    );
    assert_eq!(
        at_work(copy),
        at_work(stored),
        "{name}: the attempts from the events"
    );
}
