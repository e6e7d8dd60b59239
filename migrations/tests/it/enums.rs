//! A set of states changes over stored rows: one is added, one renamed, one removed.

use autopack_migrations::{ALL, Migration, MigrationError, StateChange, migrate, migrate_to};
use sea_orm::ConnectionTrait;

use crate::base::{Base, both, texts};

both!(
    states_are_added_renamed_and_removed_over_stored_rows,
    a_row_without_a_mapping_stops_the_migration_with_its_name,
);

/// `WAITING` is new, `CI_RUNNING` is called `CHECKING`, `SKIPPED` is gone.
const CHANGE: StateChange = StateChange {
    table: "phase",
    column: "state",
    key: &["run_uid", "idx"],
    map: &[("CI_RUNNING", "CHECKING"), ("SKIPPED", "FAILED")],
    allowed: &[
        "QUEUED",
        "WAITING",
        "EXECUTING",
        "GATE",
        "CHECKING",
        "COMPLETE",
        "FAILED",
    ],
};
const UNMAPPED: StateChange = StateChange {
    map: &[("CI_RUNNING", "CHECKING")],
    ..CHANGE
};

fn history(states: &'static [StateChange]) -> Vec<Migration> {
    let mut history = ALL.to_vec();
    history.push(Migration {
        version: 9000,
        min_reader: 9000,
        name: "states",
        sqlite: "",
        postgres: "",
        states,
    });
    history
}

async fn filled(base: &Base) -> sea_orm::DatabaseConnection {
    let db = base.connect().await;
    migrate(&db).await.unwrap();
    db.execute_unprepared("INSERT INTO project (name, created_at) VALUES ('p', 1)")
        .await
        .unwrap();
    let run = "INSERT INTO run (uid, id, id_fold, project, state, version, last_event, revision, fence, held, frozen, started, paused, cancelling, goal, base_ref, base_sha, tip, branch, repository, digest, priority, tokens_reserved, tokens_settled, phases_cap, phases_used, minutes_cap, paused_us, count_queued, count_executing, count_gate, count_ci_running, count_complete, count_failed, count_skipped, open_intents, detail, facts, created_at) VALUES ('r', 'r', 'r', 'p', 'QUEUED', 1, 1, 1, 0, false, false, false, false, false, '', '', '', '', '', '', '', 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '{}', 1)";
    db.execute_unprepared(run).await.unwrap();
    for (idx, state) in ["QUEUED", "CI_RUNNING", "SKIPPED", "COMPLETE"]
        .iter()
        .enumerate()
    {
        let phase = format!(
            "INSERT INTO phase (run_uid, idx, id, tier, place, state, attempts_made, attempts_charged, infra_charged, crashes, conflicts, detail, commit_sha, tokens_reserved, tokens_settled) VALUES ('r', {idx}, 'P{idx}', 0, {idx}, '{state}', 0, 0, 0, 0, 0, 'it''s', '', 0, 0)"
        );
        db.execute_unprepared(&phase).await.unwrap();
    }
    db
}

const STATES: &str = "SELECT state FROM phase ORDER BY idx";

async fn states_are_added_renamed_and_removed_over_stored_rows(base: Base) {
    let db = filled(&base).await;
    migrate_to(&db, &history(&[CHANGE])).await.unwrap();
    let mapped = ["QUEUED", "CHECKING", "FAILED", "COMPLETE"];
    assert_eq!(texts(&db, STATES).await, mapped);
    let through = texts(&db, "SELECT state FROM v1_phase ORDER BY idx").await;
    assert_eq!(through, mapped, "the views look at the new table");
    let set = |state: &str| format!("UPDATE phase SET state = '{state}' WHERE idx = 0");
    db.execute_unprepared(&set("WAITING"))
        .await
        .expect("a new state is allowed");
    for gone in ["CI_RUNNING", "SKIPPED", "READY"] {
        assert!(db.execute_unprepared(&set(gone)).await.is_err(), "{gone}");
    }
    // References and unique keys are what they were.
    for broken in [
        "INSERT INTO phase (run_uid, idx, id, tier, place, state, attempts_made, attempts_charged, infra_charged, crashes, conflicts, not_before, cause, detail, commit_sha, outcome, tokens_cap, tokens_reserved, tokens_settled, current_attempt, started_at, completed_at) SELECT 'nobody', idx, id, tier, place, state, attempts_made, attempts_charged, infra_charged, crashes, conflicts, not_before, cause, detail, commit_sha, outcome, tokens_cap, tokens_reserved, tokens_settled, current_attempt, started_at, completed_at FROM phase WHERE idx = 0",
        "UPDATE phase SET id = 'P1' WHERE idx = 0",
    ] {
        assert!(db.execute_unprepared(broken).await.is_err(), "{broken}");
    }
}

async fn a_row_without_a_mapping_stops_the_migration_with_its_name(base: Base) {
    let db = filled(&base).await;
    let before = texts(&db, STATES).await;
    let error = migrate_to(&db, &history(&[UNMAPPED])).await.unwrap_err();
    let MigrationError::Unmapped {
        version,
        table,
        total,
        rows,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*version, *table, *total), (9000, "phase", 1));
    assert_eq!(rows, &["r/2: SKIPPED"]);
    assert!(
        error.to_string().contains("CHECKING"),
        "what it keeps: {error}"
    );
    assert_eq!(texts(&db, STATES).await, before, "nothing was changed");
    migrate(&db).await.expect("the schema is as it was");
}
