//! The strategy: category, then ruleset, then plan; and every fault of a ruleset at once.

use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile, parse_ruleset};

use crate::dispatch::plan;

#[test]
fn the_strategy_comes_from_category_ruleset_and_plan_in_that_order() {
    let plan = plan(
        "",
        &[
            r#""id": "A", "task_category": "docs""#,
            r#""id": "B", "task_category": "docs", "max_attempts": 4"#,
        ],
    );
    let bare = compile(
        &Ruleset::default(),
        &Backlog::default(),
        &plan,
        Overrides::default(),
    );
    assert_eq!(
        (
            bare.phase[0].max_attempts,
            bare.phase[0].tokens,
            bare.phase[0].backoff_seconds
        ),
        (2, 200_000, 5)
    );
    assert_eq!(
        (bare.tier[0].tokens, bare.tier[0].ci_runs),
        (3 * 400_000, 6),
        "never below the attempts granted"
    );
    let ruleset = parse_ruleset(&serde_json::json!({"categories": {"docs": {"max_attempts": 3, "incident_token_cap": 10}}, "aging_runs": {"normal": 7}})).unwrap();
    let backlog = Backlog {
        aged: ["a__b__c", "d__e__f"].map(str::to_owned).into(),
    };
    let ruled = compile(&ruleset, &backlog, &plan, Overrides::default());
    assert_eq!(
        (
            ruled.phase[0].max_attempts,
            ruled.phase[1].max_attempts,
            ruled.phase[0].tokens
        ),
        (3, 4, 10)
    );
    assert_eq!(
        (ruled.aging_runs, ruled.aging_tiers, ruled.max_minor_issues),
        (7, 2, 7)
    );
    let faults = parse_ruleset(&serde_json::json!({"categories": {"docs": {"max_attempts": 99, "gate_profile": "lax"}}, "aging_runs": {"wild": 0}})).unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
}
