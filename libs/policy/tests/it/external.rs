//! Phases that are built outside: what holds them, what is reserved for them, and when their wait ends.

use autopack_domain::{
    Cause, Timestamp,
    run::{Changes, RunAggregate, external::Submitted},
    submission::Submission,
    usage::{Provenance, Usage},
};
use autopack_policy::{
    dispatch::{Action, holds, plan_next},
    estimate::reservation,
    retry::decide,
};

use crate::dispatch::{NOW, plan, started};

/// A run whose first phase is built outside within a minute.
fn run() -> RunAggregate {
    let text = plan(
        "",
        &[
            r#""id": "A", "depends_on": []"#,
            r#""id": "B", "depends_on": ["A"]"#,
        ],
    );
    let mut text = serde_json::to_value(text).unwrap();
    text["tiers"][0]["phases"][0]["builder"] =
        serde_json::json!({ "kind": "external", "timeout_seconds": 60, "audit": false });
    started(serde_json::from_value(text).unwrap())
}

fn submit(run: &mut RunAggregate, tokens: u64) {
    let usage = Usage {
        provider: String::new(),
        model: String::new(),
        role: "builder".into(),
        purpose: String::new(),
        total: tokens,
        prompt: None,
        completion: None,
        provenance: Provenance::Reported,
    };
    let submitted = Submitted {
        submission: Some(Submission {
            builder: "bot".into(),
            digest: "d".into(),
            size: 1,
            at: NOW,
            auditor: String::new(),
            audit_digest: String::new(),
        }),
        audit: false,
        notes: String::new(),
        usage: vec![usage],
        issues: vec![],
    };
    let retry = |a: &RunAggregate, p, c| decide(a, p, c, NOW, 0);
    run.submit(0, submitted, &retry, NOW, &mut Changes::default())
        .unwrap();
}

#[test]
fn it_waits_without_an_offer_until_something_is_submitted() {
    let mut run = run();
    let held = holds(&run, 0, NOW);
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].rule, "submission");
    assert!(held[0].facts.contains("another 60 s"), "{}", held[0].facts);
    let next = plan_next(&run, NOW, 9);
    assert_eq!(
        (next.actions, next.wake_at),
        (vec![], Some(Timestamp(NOW.0 + 60_000_000)))
    );
    submit(&mut run, 70);
    assert!(holds(&run, 0, NOW).is_empty());
    assert_eq!(reservation(&run, 0), 70);
    assert_eq!(
        plan_next(&run, NOW, 9).actions,
        [Action::OfferPhases(vec![0])]
    );
}

#[test]
fn past_its_deadline_the_wait_is_ended_and_an_audit_holds_by_its_own_rule() {
    let mut run = run();
    let late = Timestamp(NOW.0 + 60_000_000);
    assert_eq!(
        plan_next(&run, late, 9).actions,
        [Action::ExpireWaits(vec![0])]
    );
    run.request_audit(0, NOW, &mut Changes::default()).unwrap();
    submit(&mut run, 0);
    assert_eq!(holds(&run, 0, NOW)[0].rule, "audit");
    assert_eq!(
        plan_next(&run, late, 9).actions,
        [Action::ExpireWaits(vec![0])]
    );
}

#[test]
fn tokens_that_no_account_can_hold_exhaust_the_budget() {
    let mut run = run();
    let cap = run.phases[0].tokens.cap.unwrap();
    submit(&mut run, cap + 1);
    assert_eq!(holds(&run, 0, NOW)[0].rule, "BUDGET_TOKENS");
    let next = plan_next(&run, NOW, 9).actions;
    assert!(
        matches!(
            &next[..],
            [Action::ExhaustPhases {
                cause: Cause::BudgetTokens,
                ..
            }]
        ),
        "{next:?}"
    );
}
