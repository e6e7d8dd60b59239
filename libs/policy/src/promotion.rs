//! Whether a run's result may be promoted: every rule with its answer (SEMANTICS 4.4, rule 9).
//!
//! Invariant: a run is eligible if and only if every rule holds; each answer names the facts that it stands on.

use autopack_domain::{
    issue::{Cleanliness, DebtStatus},
    run::Run,
    states::RunState,
    tier::Tier,
};

/// The answer of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its stable name.
    pub rule: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What it was judged by.
    pub facts: String,
    /// What would make it hold.
    pub remedy: &'static str,
}

/// The answers of all rules, in the order in which they are told.
pub fn answers(run: &Run, tiers: &[Tier]) -> Vec<Answer> {
    let dirty: Vec<String> = tiers
        .iter()
        .filter(|t| t.cleanliness == Cleanliness::NotClean)
        .map(|t| {
            format!(
                "{} ({} major, {} minor)",
                t.id, t.issues.major, t.issues.minor
            )
        })
        .collect();
    let over = overdrawn(run, tiers);
    vec![
        Answer {
            rule: "done_success",
            holds: run.state == RunState::DoneSuccess && !run.is_imported(),
            facts: if run.is_imported() {
                format!(
                    "the run is {}, and was imported: it has no branch here",
                    run.state
                )
            } else {
                format!("the run is {}", run.state)
            },
            remedy: "Wait for the run's end, or mend what failed and retry it.",
        },
        Answer {
            rule: "no_tier_not_clean",
            holds: dirty.is_empty(),
            facts: if dirty.is_empty() {
                format!("{} tiers are clean", tiers.len())
            } else {
                format!("not clean: {}", dirty.join(", "))
            },
            remedy: "Clean the issues that `autopack issues RUN` lists, in a new run.",
        },
        Answer {
            rule: "no_budget_failure",
            holds: run.state != RunState::DoneFailedBudgetExhausted && over.is_empty(),
            facts: if over.is_empty() {
                format!("every account is within its cap; the run is {}", run.state)
            } else {
                format!("over the cap: {}", over.join(", "))
            },
            remedy: "Raise the budget that was spent, and run the plan again.",
        },
        Answer {
            rule: "no_excess_minors",
            holds: run.debt != DebtStatus::ExcessMinorIssues,
            facts: format!(
                "debt is {}, {} minor issues are open",
                run.debt, run.issues.minor
            ),
            remedy: "Clean minor issues until the run tolerates what is left.",
        },
    ]
}

/// Whether every rule holds.
pub fn is_eligible(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| answer.holds)
}

fn overdrawn(run: &Run, tiers: &[Tier]) -> Vec<String> {
    let over = |account: &autopack_domain::budget::Account| {
        account.cap.is_some_and(|cap| account.settled > cap)
    };
    let mut found = Vec::new();
    if over(&run.tokens) {
        found.push("tokens of the run".to_owned());
    }
    for tier in tiers {
        if over(&tier.tokens) {
            found.push(format!("tokens of tier {}", tier.id));
        }
        if over(&tier.ci_runs) {
            found.push(format!("gate runs of tier {}", tier.id));
        }
    }
    found
}
