//! What a run's next actions are: a list of predicates per phase, and the actions where all hold.
//!
//! Invariant (DESIGN rule 11): [`holds`] is the only place that says why a phase does not run;
//! [`plan_next`] dispatches exactly the phases for which it is empty, and `autopack why` prints it.

use autopack_domain::{
    Cause, Timestamp,
    budget::Grant,
    run::{JobKind, JobState, RunAggregate},
    states::PhaseState,
    submission::Awaited,
};

use crate::estimate::reservation;

/// One rule that holds a phase back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Stable name of the rule.
    pub rule: &'static str,
    /// The facts.
    pub facts: String,
    /// What would release it.
    pub remedy: &'static str,
}

/// What to ask the registry for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Offer a job that needs the repository.
    OfferJob(JobKind),
    /// Offer an attempt of each of these phases.
    OfferPhases(Vec<usize>),
    /// A budget has nothing left for these phases, and nothing in flight could free it.
    ExhaustPhases {
        /// The phases.
        phases: Vec<usize>,
        /// Which budget.
        cause: Cause,
        /// The figures.
        detail: String,
    },
    /// What these phases wait for from outside did not come in time.
    ExpireWaits(Vec<usize>),
    /// The minutes are used up.
    ExhaustMinutes {
        /// The figures.
        detail: String,
    },
}

/// The next actions of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// In the order in which to ask for them.
    pub actions: Vec<Action>,
    /// When to look again even if nothing happens.
    pub wake_at: Option<Timestamp>,
}

impl Next {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |w| w.min(at)));
    }
}

/// The next actions, at most `window` new offers; pure.
pub fn plan_next(run: &RunAggregate, now: Timestamp, window: usize) -> Next {
    plan_among(run, 0..run.phases.len(), now, window)
}

/// [`plan_next`] over some phases: `waiting` holds every phase of the open tier that is queued, in plan order, and
/// may hold others.
pub fn plan_among(
    run: &RunAggregate,
    waiting: impl IntoIterator<Item = usize>,
    now: Timestamp,
    window: usize,
) -> Next {
    let mut next = Next::default();
    if run.run.state.is_terminal() {
        return next;
    }
    if let Some(kind) = wanted_job(run) {
        let latest = run.jobs.iter().rfind(|job| !job.kind.is_aside());
        match latest {
            Some(job) if job.state != JobState::Done => {}
            Some(job) if job.not_before.is_some_and(|t| t > now) => {
                next.wake(job.not_before.unwrap_or(now));
            }
            _ => next.actions.push(Action::OfferJob(kind)),
        }
        return next;
    }
    if !run.run.started || run.run.cancelling {
        return next;
    }
    if let Some(deadline) = minutes_deadline(run, now) {
        if deadline <= now {
            let detail = format!(
                "{} minutes since the first lease, pauses left out",
                run.run.minutes_cap
            );
            next.actions.push(Action::ExhaustMinutes { detail });
            return next;
        }
        next.wake(deadline);
    }
    if run.run.paused {
        return next;
    }
    let Some(tier) = run.open_tier() else {
        return next;
    };
    let mut ready: Vec<usize> = Vec::new();
    let mut overdue: Vec<usize> = Vec::new();
    // Reservations of this very decision, so that several offers together stay within the caps.
    let mut granted = 0_u64;
    let mut opened = 0_u32;
    for phase in waiting {
        let p = &run.phases[phase];
        if p.tier != tier
            || p.state != PhaseState::Queued
            || p.current.is_some()
            || !depends_complete(run, phase)
        {
            continue;
        }
        if let Some(wait) = p.handoff.as_ref().and_then(|h| h.wait) {
            if wait.until <= now {
                overdue.push(phase);
            } else {
                next.wake(wait.until);
            }
            continue;
        }
        if run.lacks(phase).is_some() {
            continue;
        }
        if let Some(at) = p.not_before.filter(|t| *t > now) {
            next.wake(at);
            continue;
        }
        match budget(run, phase, granted, opened) {
            Budget::Fits => {
                if ready.len() >= window {
                    break;
                }
                granted += reservation(run, phase);
                opened += u32::from(p.attempts_made == 0);
                ready.push(phase);
            }
            Budget::Waits(..) => {}
            Budget::Exhausted(cause, detail) => {
                if ready.is_empty() && !in_flight(run) {
                    next.actions.push(Action::ExhaustPhases {
                        phases: vec![phase],
                        cause,
                        detail,
                    });
                }
            }
        }
    }
    // Higher priority first; plan order within.
    ready.sort_by_key(|&p| std::cmp::Reverse(run.priority(p)));
    if !overdue.is_empty() {
        next.actions.push(Action::ExpireWaits(overdue));
    }
    if !ready.is_empty() {
        next.actions.push(Action::OfferPhases(ready));
    }
    next
}

/// Every rule that holds a phase back now; empty for one that the next pass dispatches.
pub fn holds(run: &RunAggregate, phase: usize, now: Timestamp) -> Vec<Hold> {
    let mut holds = Vec::new();
    let mut hold = |rule, facts: String, remedy| {
        holds.push(Hold {
            rule,
            facts,
            remedy,
        });
    };
    let p = &run.phases[phase];
    if p.state != PhaseState::Queued {
        let facts = format!("the phase is {}", p.state);
        hold(
            "state",
            facts,
            if p.state.is_terminal() {
                "`autopack retry` runs a FAILED phase again"
            } else {
                "nothing: it is running"
            },
        );
        return holds;
    }
    if let Some(current) = p.current {
        hold(
            "worker",
            format!(
                "attempt {current} is on offer since {} µs",
                now.0 - offered_at(run, phase).unwrap_or(now.0)
            ),
            "a free worker slot takes it",
        );
    }
    if !run.run.frozen {
        hold(
            "bootstrap",
            format!("the run is {}", run.run.state),
            "the bootstrap job ends",
        );
    } else if !run.run.started {
        hold(
            "held",
            "the run was created with hold".to_owned(),
            "`autopack start RUN`",
        );
    }
    if run.run.paused {
        hold(
            "paused",
            "the run is paused".to_owned(),
            "`autopack resume RUN`",
        );
    }
    if run.run.cancelling {
        hold(
            "cancelling",
            "the run is being cancelled".to_owned(),
            "nothing: cancel is final",
        );
    }
    if run.run.open_intents > 0 {
        hold(
            "landing_unresolved",
            format!(
                "{} landing intents wait for a look at the branch",
                run.run.open_intents
            ),
            "the cleanup job ends",
        );
    }
    if let Some(tier) = run.open_tier().filter(|t| *t < p.tier) {
        hold(
            "tier",
            format!(
                "tier {} has {} open phases",
                run.tiers[tier].id,
                run.tiers[tier].counts.open()
            ),
            "the earlier tier completes",
        );
    }
    for &on in run.depends(phase) {
        if !run.is_satisfied(on) {
            hold(
                "depends_on",
                format!("phase {} is {}", run.phases[on].id, run.phases[on].state),
                "that phase completes",
            );
        }
    }
    if let Some(awaited) = run.lacks(phase) {
        let wait = p.handoff.as_ref().and_then(|h| h.wait);
        let facts = match wait {
            Some(wait) => format!(
                "the {awaited} has not come; another {} s are left",
                (wait.until.0 - now.0).max(0) / 1_000_000
            ),
            None => format!(
                "the {awaited} has not come; its time runs once nothing else holds the phase"
            ),
        };
        match awaited {
            Awaited::Submission => hold(
                "submission",
                facts,
                "`autopack submit-result RUN PHASE --patch FILE`",
            ),
            Awaited::Audit => hold(
                "audit",
                facts,
                "`autopack audit RUN PHASE approve|revise|escalate`",
            ),
            Awaited::Approval => hold(
                "approval",
                format!("{facts}: {}", asked(run, phase)),
                "`autopack approvals approve RUN PHASE --tree TREE`, or `reject`",
            ),
        }
    }
    if let Some(at) = p.not_before.filter(|t| *t > now) {
        hold(
            "backoff",
            format!(
                "another {} ms after {}",
                (at.0 - now.0) / 1000,
                p.cause.map_or("a failure", |c| c.code())
            ),
            "the back-off ends",
        );
    }
    if minutes_deadline(run, now).is_some_and(|d| d <= now) {
        hold(
            "budget_minutes",
            format!("{} minutes are used up", run.run.minutes_cap),
            Cause::BudgetMinutes.remedy(),
        );
    }
    match budget(run, phase, 0, 0) {
        Budget::Fits => {}
        Budget::Waits(cause, facts) => hold(
            cause.code(),
            facts,
            "what is in flight settles below its reservation",
        ),
        Budget::Exhausted(cause, facts) => hold(cause.code(), facts, cause.remedy()),
    }
    holds
}

/// What a phase asks a person for, in short.
fn asked(run: &RunAggregate, phase: usize) -> String {
    let Some(approval) = run.approval(phase) else {
        return String::new();
    };
    let request = &approval.request;
    let first = request.asks.iter().map(|ask| {
        let at = if ask.path.is_empty() {
            "the change"
        } else {
            &ask.path
        };
        format!("{at} ({}: {})", ask.guard, ask.detail)
    });
    let first: Vec<String> = first.take(3).collect();
    format!(
        "tree {}, {} risk; {}",
        request.tree,
        request.risk,
        first.join("; ")
    )
}

fn offered_at(run: &RunAggregate, phase: usize) -> Option<i64> {
    let current = run.phases[phase].current?;
    run.attempts.get(&current).map(|a| a.offered_at.0)
}

fn wanted_job(run: &RunAggregate) -> Option<JobKind> {
    if run.run.open_intents > 0 {
        return Some(JobKind::Cleanup);
    }
    (!run.run.frozen && !run.run.cancelling).then_some(JobKind::Bootstrap)
}

fn depends_complete(run: &RunAggregate, phase: usize) -> bool {
    run.depends(phase).iter().all(|&on| run.is_satisfied(on))
}

fn in_flight(run: &RunAggregate) -> bool {
    run.attempts.values().any(|a| !a.state.is_terminal())
}

fn minutes_deadline(run: &RunAggregate, now: Timestamp) -> Option<Timestamp> {
    run.run.first_lease_at?;
    if run.run.paused {
        return None;
    }
    let left = i64::from(run.run.minutes_cap) * 60_000_000 - run.elapsed_us(now);
    Some(Timestamp(now.0 + left))
}

enum Budget {
    Fits,
    Waits(Cause, String),
    Exhausted(Cause, String),
}

/// Whether the accounts have room for an attempt beside what this decision granted already.
fn budget(run: &RunAggregate, phase: usize, granted: u64, opened: u32) -> Budget {
    let p = &run.phases[phase];
    let tier = &run.tiers[p.tier];
    if p.attempts_made == 0 && run.run.phases_used + opened >= run.run.phases_cap {
        return Budget::Exhausted(
            Cause::BudgetPhases,
            format!(
                "{} of {} phases were dispatched",
                run.run.phases_used, run.run.phases_cap
            ),
        );
    }
    if p.attempts_made > 0 && tier.ci_runs.grant(1) != Grant::Fits && has_gate(run, phase) {
        return Budget::Exhausted(
            Cause::BudgetCiRuns,
            format!(
                "tier {} has used {} of {} gate runs",
                tier.id,
                tier.ci_runs.settled,
                tier.ci_runs.cap.unwrap_or(0)
            ),
        );
    }
    let amount = reservation(run, phase);
    for (name, account, beside) in [
        ("run", &run.run.tokens, granted),
        ("tier", &tier.tokens, granted),
        ("phase", &p.tokens, 0),
    ] {
        let mut trial = *account;
        trial.reserve(beside);
        let facts = || {
            format!(
                "the {name}'s account: cap {}, settled {}, reserved {}; the attempt needs {amount}",
                account.cap.unwrap_or(0),
                account.settled,
                account.reserved
            )
        };
        match trial.grant(amount) {
            Grant::Fits => {}
            Grant::Waits => return Budget::Waits(Cause::BudgetTokens, facts()),
            Grant::Exhausted => return Budget::Exhausted(Cause::BudgetTokens, facts()),
        }
    }
    Budget::Fits
}

fn has_gate(run: &RunAggregate, phase: usize) -> bool {
    run.spec(phase)
        .gate
        .steps
        .as_ref()
        .is_none_or(|s| !s.is_empty())
}
