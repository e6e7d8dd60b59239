//! Counters and accounts that are not those of their rows, written beneath the entities.

use autopack_domain::{Finding, FindingCode};
use autopack_store::audit;

use crate::base::{Base, both};

both!(
    counters_that_are_not_the_distinct_keys_are_named_on_all_three_levels,
    a_key_counts_once_and_as_its_gravest_open_issue,
    accounts_that_are_not_the_sum_of_settled_attempts_are_named,
    numbers_without_measure_fail_nothing,
);

const RUN: &str = "0197a4c2-0000-7000-8000-000000000001";

/// Where totals differ, with what is stored and what is counted.
async fn differing(base: &Base) -> Vec<(String, String, String)> {
    let scope = audit::Scope::default();
    let found = audit::totals::examine(&base.db, &scope).await.unwrap();
    let one = |f: &Finding| {
        assert_eq!(f.code, FindingCode::RecordDiffers);
        assert!(
            f.safe.is_none() && !f.fix.is_empty() && f.run == RUN,
            "{f:?}"
        );
        let place = format!("{}.{}", f.place.table, f.place.column);
        (place, f.value.clone().unwrap(), f.valid[0].clone())
    };
    found.iter().map(one).collect()
}

fn row(place: &str, value: &str, wanted: &str) -> (String, String, String) {
    (place.to_owned(), value.to_owned(), wanted.to_owned())
}

const COLUMNS: &str = "severity, effective_severity, source, category, task_category, complexity, description, evidence, paths, occurrences, first_seen_at, last_seen_at, attempt_uid";

async fn counters_that_are_not_the_distinct_keys_are_named_on_all_three_levels(base: Base) {
    base.fill().await;
    assert_eq!(differing(&base).await, []);
    for table in ["phase", "tier", "run"] {
        base.run(&format!("UPDATE {table} SET minor_issues = 4"))
            .await;
    }
    let (four, none) = (
        "4 minor, 0 major, 1 resolved",
        "0 minor, 0 major, 1 resolved",
    );
    assert_eq!(
        differing(&base).await,
        [
            row("phase.minor_issues", four, none),
            row("tier.minor_issues", four, none),
            row("run.minor_issues", four, none),
            row("phase.issue_state", "no_issues", "has_minor_issues"),
        ]
    );
    let all = audit::examine(&base.db, &audit::Scope::default())
        .await
        .unwrap();
    let run = all.findings.iter().filter(|f| f.run == "demo-1").count();
    assert_eq!(
        run, 4,
        "the whole check names them too: {:#?}",
        all.findings
    );
}

async fn a_key_counts_once_and_as_its_gravest_open_issue(base: Base) {
    base.fill().await;
    // The key of the example, which is cleaned in its phase, is open and major for the run; another one is the run's alone.
    let copy = |key: &str, severity: &str| {
        let columns = COLUMNS.replace("effective_severity", &format!("'{severity}'"));
        format!(
            "INSERT INTO issue (run_uid, phase, issue_key, {COLUMNS}, resolved_at) SELECT run_uid, -1, '{key}', {columns}, NULL FROM issue WHERE phase = 0"
        )
    };
    base.run(&copy("docs__readme__stale", "major")).await;
    base.run(&copy("odd", "minor")).await;
    let wanted = "1 minor, 1 major, 0 resolved";
    assert_eq!(
        differing(&base).await,
        [row(
            "run.minor_issues",
            "0 minor, 0 major, 1 resolved",
            wanted
        )]
    );
    base.run("UPDATE run SET minor_issues = 1, major_issues = 1, resolved_issues = 0")
        .await;
    assert_eq!(differing(&base).await, []);
}

async fn accounts_that_are_not_the_sum_of_settled_attempts_are_named(base: Base) {
    base.fill().await;
    base.run("UPDATE attempt SET state = 'FAILED', tokens_used = 70")
        .await;
    let (none, seventy) = ("0 used, 0 reserved", "70 used, 0 reserved");
    assert_eq!(
        differing(&base).await,
        [row("phase.tokens_settled", none, seventy)]
    );
    base.run("UPDATE phase SET tokens_settled = 70").await;
    assert_eq!(
        differing(&base).await,
        [
            row("tier.tokens_settled", none, seventy),
            row("run.tokens_settled", none, seventy)
        ]
    );
    for table in ["tier", "run"] {
        base.run(&format!("UPDATE {table} SET tokens_settled = 70"))
            .await;
    }
    assert_eq!(differing(&base).await, []);
    base.run("UPDATE attempt SET state = 'BUILDING', tokens_reserved = 9")
        .await;
    assert_eq!(
        differing(&base).await,
        [row("phase.tokens_settled", seventy, "0 used, 9 reserved")],
        "what is in flight is not used"
    );
}

async fn numbers_without_measure_fail_nothing(base: Base) {
    base.fill().await;
    base.unchecked().await;
    for table in ["phase", "attempt"] {
        let column = if table == "phase" {
            "tokens_settled"
        } else {
            "tokens_used"
        };
        base.run(&format!("UPDATE {table} SET {column} = {}", i64::MAX))
            .await;
    }
    let found = audit::examine(&base.db, &audit::Scope::default())
        .await
        .unwrap();
    let phase = found
        .findings
        .iter()
        .find(|f| f.place.column == "tokens_settled");
    assert!(phase.is_some(), "{:#?}", found.findings);
}
