//! Rows without the row that they belong to, rows that are missing, and records of one fact that disagree.

use autopack_domain::{Finding, FindingCode};
use sea_orm::{ConnectionTrait, QueryResult};

use super::{Scope, place, sql};
use crate::{StoreError, schema::Table};

/// Rows of a table whose parent is not there.
pub async fn orphans<C: ConnectionTrait>(
    db: &C,
    table: &Table,
    scope: &Scope,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for column in &table.columns {
        let Some((parent, key)) = column.parent else {
            continue;
        };
        let name = column.name;
        // A database that joins whole tables reads no more of the parent than it needs.
        let beside = if sql::by_run(table) && name == table.run {
            format!(" AND {}", sql::kept(&format!("p.{key}"), scope))
        } else {
            String::new()
        };
        let statement = format!(
            "SELECT {} AS row_key, {} AS row_run, CAST(t.{name} AS TEXT) AS value FROM {} t \
             WHERE {} AND t.{name} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = t.{name}{beside}) \
             ORDER BY 1 LIMIT {}",
            sql::key(table, "t"),
            sql::run(table, "t"),
            table.name,
            sql::within(table, "t", scope),
            scope.limit + 1,
        );
        for row in sql::rows(db, statement).await? {
            let value = sql::text(&row, "value").unwrap_or_default();
            let row_key = sql::text(&row, "row_key").unwrap_or_default();
            let problem = format!("there is no {parent} with {key} `{value}`");
            found.push(
                Finding::new(
                    FindingCode::RowOrphaned,
                    place(table.name, &row_key, name),
                    problem,
                )
                .value(&value)
                .valid([format!("a value of {parent}.{key}")])
                .run(sql::text(&row, "row_run").unwrap_or_default()),
            );
        }
    }
    Ok(found)
}

/// A rule about rows that belong together: code, table, column, what is wrong, and the statement that finds the rows
/// (`row_key`, `run_uid`, and `value` if there is one); `[column]` stands for the runs that are looked at.
struct Rule {
    code: FindingCode,
    table: &'static str,
    column: &'static str,
    problem: &'static str,
    from: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        code: FindingCode::RowMissing,
        table: "run_document",
        column: "",
        problem: "the run has no plan and no strategy",
        from: "SELECT t.uid AS row_key, t.uid AS run_uid, '' AS value FROM run t WHERE [t.uid] AND NOT EXISTS (SELECT 1 FROM run_document d WHERE d.run_uid = t.uid AND [d.run_uid])",
    },
    Rule {
        code: FindingCode::RowMissing,
        table: "tier",
        column: "",
        problem: "the run has no tier",
        from: "SELECT t.uid AS row_key, t.uid AS run_uid, '' AS value FROM run t WHERE [t.uid] AND NOT EXISTS (SELECT 1 FROM tier x WHERE x.run_uid = t.uid AND [x.run_uid])",
    },
    Rule {
        code: FindingCode::RowMissing,
        table: "phase",
        column: "",
        problem: "the run has no phase",
        from: "SELECT t.uid AS row_key, t.uid AS run_uid, '' AS value FROM run t WHERE [t.uid] AND NOT EXISTS (SELECT 1 FROM phase x WHERE x.run_uid = t.uid AND [x.run_uid])",
    },
    Rule {
        code: FindingCode::RowMissing,
        table: "phase",
        column: "tier",
        problem: "the run has no tier with the index of this phase",
        from: "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, CAST(t.tier AS TEXT) AS value FROM phase t WHERE [t.run_uid] AND EXISTS (SELECT 1 FROM run r WHERE r.uid = t.run_uid AND [r.uid]) AND NOT EXISTS (SELECT 1 FROM tier x WHERE x.run_uid = t.run_uid AND [x.run_uid] AND x.idx = t.tier)",
    },
    Rule {
        code: FindingCode::RowMissing,
        table: "phase",
        column: "current_attempt",
        problem: "the attempt that the phase names is not there",
        from: "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, t.current_attempt AS value FROM phase t WHERE [t.run_uid] AND t.current_attempt IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempt x WHERE x.uid = t.current_attempt)",
    },
    Rule {
        code: FindingCode::RowOrphaned,
        table: "attempt",
        column: "phase",
        problem: "the run has no phase with the index of this attempt",
        from: "SELECT t.uid AS row_key, t.run_uid AS run_uid, CAST(t.phase AS TEXT) AS value FROM attempt t WHERE [t.run_uid] AND EXISTS (SELECT 1 FROM run r WHERE r.uid = t.run_uid AND [r.uid]) AND NOT EXISTS (SELECT 1 FROM phase x WHERE x.run_uid = t.run_uid AND [x.run_uid] AND x.idx = t.phase)",
    },
    Rule {
        code: FindingCode::RecordDiffers,
        table: "run",
        column: "id_fold",
        problem: "it is not the id in lower case, by which the run is found",
        from: "SELECT t.uid AS row_key, t.uid AS run_uid, t.id_fold AS value FROM run t WHERE [t.uid] AND t.id_fold <> lower(t.id)",
    },
    Rule {
        code: FindingCode::RecordDiffers,
        table: "run",
        column: "count_queued",
        problem: "the counters of the run do not add up to its phases",
        from: "SELECT t.uid AS row_key, t.uid AS run_uid, CAST(t.count_queued + t.count_executing + t.count_gate + t.count_ci_running + t.count_complete + t.count_failed + t.count_skipped AS TEXT) AS value FROM run t WHERE [t.uid] AND EXISTS (SELECT 1 FROM phase x WHERE x.run_uid = t.uid AND [x.run_uid]) AND t.count_queued + t.count_executing + t.count_gate + t.count_ci_running + t.count_complete + t.count_failed + t.count_skipped <> (SELECT COUNT(*) FROM phase x WHERE x.run_uid = t.uid AND [x.run_uid])",
    },
];

/// Rows that are missing, and records that disagree.
pub async fn missing<C: ConnectionTrait>(
    db: &C,
    scope: &Scope,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for rule in RULES {
        let statement = format!(
            "{} ORDER BY row_key LIMIT {}",
            sql::ranged(rule.from, scope),
            scope.limit + 1
        );
        let rows = sql::rows(db, statement).await?;
        found.extend(rows.iter().map(|row| of(rule, row)));
    }
    Ok(found)
}

fn of(rule: &Rule, row: &QueryResult) -> Finding {
    let key = sql::text(row, "row_key").unwrap_or_default();
    let at = place(rule.table, &key, rule.column);
    let finding = Finding::new(rule.code, at, rule.problem)
        .run(sql::text(row, "run_uid").unwrap_or_default());
    match sql::text(row, "value").filter(|value| !value.is_empty()) {
        Some(value) => finding.value(&value),
        None => finding,
    }
}
