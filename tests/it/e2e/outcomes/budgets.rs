//! Budgets of tokens, phases and minutes.

use autopack_testkit::series::adding;
use autopack_testkit::{Phase, Plan, TempRepo};
use serde_json::json;

use crate::rig::{BUDGET, play};

/// A builder that reports tokens.
fn reporting(id: &str, tokens: u32) -> Phase {
    let usage = format!(
        "{{\\\"provider\\\":\\\"p\\\",\\\"model\\\":\\\"m\\\",\\\"total_tokens\\\":{tokens}}}"
    );
    Phase::command(
        id,
        &format!("echo {id} > {id}.txt; echo \"{usage}\" > \"$AUTOPACK_USAGE_FILE\""),
    )
}

#[test]
fn tokens_of_the_run_are_settled_and_the_next_phase_does_not_start() {
    let plan = Plan::new("demo")
        .run("budgets", json!({ "tokens": 1000 }))
        .phase(reporting("P1", 2500))
        .phase(reporting("P2", 10));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(BUDGET, "BUDGET_TOKENS", "P2")
        .says("P2", &["the run's account", "2500"]);
    assert_eq!(played.phase("P1")["state"], "COMPLETE");
    assert_eq!(played.phase("P2")["attempts"], 0);
    let tokens = &played.status["budgets"]["tokens"];
    assert_eq!(
        (&tokens["cap"], &tokens["reserved"], &tokens["settled"]),
        (&json!(1000), &json!(0), &json!(2500))
    );
    assert_eq!(played.landed().len(), 1);
    played.again_is_the_same();
}

#[test]
fn tokens_of_a_phase_are_an_account_of_their_own() {
    let plan = Plan::new("demo").phase(
        reporting("P1", 900)
            .set("budgets", json!({ "tokens": 500 }))
            .check("test ! -e P1.txt"),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(BUDGET, "BUDGET_TOKENS", "P1")
        .says("P1", &["the phase's account"])
        .has_no_branch();
    assert_eq!(
        played.phase("P1")["attempts"],
        1,
        "the second attempt has nothing to spend"
    );
    assert_eq!(played.phase("P1")["tokens"]["settled"], 900);
}

/// The smallest budget is a whole minute, so this takes one: the builder is ended, not waited for.
#[test]
fn minutes_end_what_is_running() {
    let plan = Plan::new("demo")
        .run("budgets", json!({ "minutes": 1 }))
        .phase(Phase::command("P1", "echo a > a.txt; exec sleep 600").set("depends_on", json!([])))
        .phase(Phase::noop("P2").after(&["P1"]));
    let played = play("demo", TempRepo::small(), &plan);
    played.fails(BUDGET, "BUDGET_MINUTES", "P1").has_no_branch();
    assert_eq!(played.status["budgets"]["minutes"]["cap"], 1);
}

#[test]
fn phases_above_the_budget_are_not_dispatched() {
    let plan = Plan::new("demo")
        .run("budgets", json!({ "phases": 2 }))
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::patch("P2", adding("b.txt", "b\n")))
        .phase(Phase::patch("P3", adding("c.txt", "c\n")));
    let played = play("demo", TempRepo::small(), &plan);
    played.fails(BUDGET, "BUDGET_PHASES", "P3");
    assert_eq!(played.landed().len(), 2);
    assert_eq!(
        played.status["budgets"]["phases"],
        json!({ "cap": 2, "used": 2 })
    );
}

#[test]
fn a_builder_that_reports_nothing_settles_at_nothing_reserved() {
    let plan = Plan::new("demo")
        .run("budgets", json!({ "tokens": 100_000 }))
        .phase(reporting("P1", 0))
        .phase(Phase::command("P2", "echo x > x"));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    assert_eq!(played.status["budgets"]["tokens"]["reserved"], 0);
}
