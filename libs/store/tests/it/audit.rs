//! Bad rows of every kind, written beneath the entities: each is named, none hides another.

use autopack_domain::{Finding, FindingCode};
use autopack_store::{audit, read, set_aside};

use crate::base::{Base, both};

both!(
    a_database_as_the_examples_have_it_has_no_finding,
    every_kind_of_bad_row_is_named_with_place_valid_values_and_fix,
    a_leased_row_is_not_safe_to_mend,
    values_of_another_type_fail_no_list,
    the_check_of_one_run_sees_that_run_alone,
);

const RUN: &str = "0197a4c2-0000-7000-8000-000000000001";

async fn examine(base: &Base) -> Vec<Finding> {
    let found = audit::examine(&base.db, &audit::Scope::default()).await;
    found.unwrap().findings
}

/// The finding at a place; fails with all of them.
fn at<'f>(found: &'f [Finding], code: FindingCode, table: &str, column: &str) -> &'f Finding {
    let hit = found.iter().find(|f| {
        (f.code, f.place.table.as_str(), f.place.column.as_str()) == (code, table, column)
    });
    hit.unwrap_or_else(|| panic!("no {code} at {table}.{column}: {found:#?}"))
}

async fn a_database_as_the_examples_have_it_has_no_finding(base: Base) {
    base.fill().await;
    assert_eq!(examine(&base).await, []);
}

async fn every_kind_of_bad_row_is_named_with_place_valid_values_and_fix(base: Base) {
    base.fill().await;
    base.unchecked().await;
    // One row a run would hide the next fault: each of these is of another column.
    for sql in [
        "UPDATE run SET state = 'READY'",
        "UPDATE tier SET state = 'pending'",
        "UPDATE phase SET state = 'BLOCKED'",
        "UPDATE phase SET cause = 'BECAUSE'",
        "UPDATE phase SET current_attempt = '0197a4c2-0000-7000-8000-00000000dead'",
        "UPDATE run SET priority = 12, id = 'a..b', id_fold = 'Other'",
        "UPDATE run SET phases_used = -1",
        "UPDATE attempt SET worker_uid = 'somebody', artifacts = '{}'",
        "UPDATE run_document SET plan = '{\"schema\":\"autopack/plan/v1\"}', strategy = '{'",
        "UPDATE run SET facts = '{\"a\":1}'",
        "UPDATE project SET limits = '{\"max_runing\":1}'",
        "UPDATE usage_event SET run_uid = '0197a4c2-0000-7000-8000-00000000beef'",
        "INSERT INTO phase SELECT '0197a4c2-0000-7000-8000-00000000beef', idx, id, tier, place, 'QUEUED', attempts_made, attempts_charged, infra_charged, crashes, conflicts, not_before, NULL, detail, commit_sha, outcome, tokens_cap, tokens_reserved, tokens_settled, NULL, started_at, completed_at, minor_issues, major_issues, resolved_issues, issue_state, handoff FROM phase",
        "UPDATE relay_cursor SET sequence = 7",
        "UPDATE event SET sequence = 3",
    ] {
        base.run(sql).await;
    }
    use FindingCode as Code;
    let found = examine(&base).await;
    let ready = at(&found, Code::StateAlias, "run", "state");
    assert_eq!(ready.place.row, RUN);
    assert_eq!(ready.safe.as_deref(), Some("RUN_CREATED"));
    assert_eq!(ready.value.as_deref(), Some("READY"));
    assert!(
        ready.valid.contains(&"PLAN_BOOTSTRAP".to_owned()),
        "{ready:?}"
    );
    assert!(
        ready.fix.contains("doctor --fix") && ready.fix.contains(RUN),
        "{ready:?}"
    );
    let tier = at(&found, Code::StateAlias, "tier", "state");
    assert_eq!(tier.safe.as_deref(), Some("PENDING"));
    assert_eq!(tier.place.row, format!("{RUN}/0"));
    let blocked = at(&found, Code::ValueUnknown, "phase", "state");
    assert!(
        blocked.safe.is_none(),
        "likeness is no meaning: {blocked:?}"
    );
    for (code, table, column) in [
        (Code::ValueUnknown, "phase", "cause"),
        (Code::RowMissing, "phase", "current_attempt"),
        (Code::ValueMalformed, "run", "priority"),
        (Code::ValueMalformed, "run", "id"),
        (Code::ValueMalformed, "run", "phases_used"),
        (Code::ValueMalformed, "attempt", "worker_uid"),
        (Code::JsonInvalid, "attempt", "artifacts"),
        (Code::JsonInvalid, "run_document", "plan"),
        (Code::JsonInvalid, "run_document", "strategy"),
        (Code::JsonInvalid, "run", "facts"),
        (Code::JsonInvalid, "project", "limits"),
        (Code::RowOrphaned, "usage_event", "run_uid"),
        (Code::RowOrphaned, "phase", "run_uid"),
        (Code::RecordDiffers, "run", "id_fold"),
        (Code::EventLogBroken, "event", "sequence"),
        (Code::EventLogBroken, "relay_cursor", "sequence"),
    ] {
        let finding = at(&found, code, table, column);
        assert!(
            !finding.fix.is_empty() && finding.safe.is_none(),
            "{finding:?}"
        );
    }
    let enforced = found.iter().any(|f| f.code == Code::ConstraintMissing);
    assert_eq!(
        enforced,
        base.is_postgres(),
        "dropped there, only passed over here"
    );
    let safe = audit::aliases(&base.db, &audit::Stretch::All)
        .await
        .unwrap();
    assert_eq!(safe.len(), 2, "{safe:#?}");
    assert!(safe.iter().all(|(_, run)| run == RUN), "{safe:#?}");
}

async fn a_leased_row_is_not_safe_to_mend(base: Base) {
    base.fill().await;
    base.unchecked().await;
    base.run("UPDATE run SET state = 'READY'").await;
    for state in ["BUILDING", "building", "nobody knows"] {
        base.run(&format!("UPDATE attempt SET state = '{state}'"))
            .await;
        let found = examine(&base).await;
        let ready = at(&found, FindingCode::StateAlias, "run", "state");
        assert!(
            ready.safe.is_none() && ready.fix.contains("lease"),
            "{ready:?}"
        );
    }
    base.run("UPDATE attempt SET state = 'lost'").await;
    let found = examine(&base).await;
    assert!(
        at(&found, FindingCode::StateAlias, "run", "state")
            .safe
            .is_some()
    );
}

/// What a database that stores what it is given, or that lost a constraint, may hold.
async fn values_of_another_type_fail_no_list(base: Base) {
    base.fill().await;
    base.run("INSERT INTO run SELECT '0197a4c2-0000-7000-8000-00000000000f', 'other', 'other', project, state, version, last_event, revision, fence, held, frozen, started, paused, cancelling, goal, base_ref, base_sha, tip, branch, repository, digest, priority, tokens_cap, tokens_reserved, tokens_settled, phases_cap, phases_used, minutes_cap, first_lease_at, paused_at, paused_us, count_queued, count_executing, count_gate, count_ci_running, count_complete, count_failed, count_skipped, open_intents, cause, detail, facts, created_at, started_at, completed_at, minor_issues, major_issues, resolved_issues, debt_status FROM run").await;
    base.unchecked().await;
    if base.is_postgres() {
        base.run("ALTER TABLE run ALTER COLUMN version DROP NOT NULL")
            .await;
        base.run("UPDATE run SET version = NULL WHERE id = 'other'")
            .await;
    } else {
        base.run("UPDATE run SET version = 'many' WHERE id = 'other'")
            .await;
    }
    let listed = read::list_runs(&base.db, 10, None, None, None)
        .await
        .unwrap();
    assert_eq!(listed.len(), 2);
    let sound: Vec<_> = listed.iter().filter_map(|l| l.run.as_ref().ok()).collect();
    assert_eq!(sound.len(), 1);
    assert_eq!(sound[0].id.as_str(), "demo-1");
    let aside = set_aside::find(&base.db, &audit::Stretch::All)
        .await
        .unwrap();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(aside[0].run_id, "other");
    let found = examine(&base).await;
    let code = if base.is_postgres() {
        FindingCode::ValueMissing
    } else {
        FindingCode::ValueMalformed
    };
    assert_eq!(at(&found, code, "run", "version").run, "other");
}

async fn the_check_of_one_run_sees_that_run_alone(base: Base) {
    base.fill().await;
    base.unchecked().await;
    base.run("UPDATE run SET state = 'READY'").await;
    base.run("UPDATE project SET limits = '{'").await;
    let of = |uid: &str| audit::Scope {
        part: audit::Part::Run(uid.to_owned()),
        ..audit::Scope::default()
    };
    let mine = audit::examine(&base.db, &of(RUN)).await.unwrap();
    assert_eq!(mine.findings.len(), 1, "{:#?}", mine.findings);
    assert_eq!(mine.findings[0].run, "demo-1");
    let other = of("0197a4c2-0000-7000-8000-00000000beef");
    assert_eq!(audit::examine(&base.db, &other).await.unwrap().findings, []);
}
