//! Stored totals against what they are totals of: distinct keys of issues, and what attempts used.
//!
//! Invariant: the rule is the domain's (`IssueBook::counts`, `Account::settle`), said in SQL; a value that is no number of
//! tokens adds nothing and fails nothing, for the check of columns names it. Both sides of a comparison read the scope's
//! rows alone.

use autopack_domain::{Finding, FindingCode, import::ORIGIN_FACT, states::AttemptState};
use sea_orm::ConnectionTrait;

use super::{Scope, place, sql};
use crate::StoreError;

/// The attempt of what was used outside of any.
const OUTSIDE: &str = "00000000-0000-0000-0000-000000000000";
/// Tokens that a sum takes for a number of tokens.
const MOST: i64 = 1_000_000_000_000_000;

/// One comparison: the statement has `row_key`, `run_uid`, `value` (as stored) and `wanted` (as computed); `[column]`
/// stands for the runs that are looked at.
struct Total {
    table: &'static str,
    column: &'static str,
    problem: &'static str,
    fix: &'static str,
    from: String,
}

/// What mends counters of issues.
const RECOUNT: &str = "All three levels are counted anew when the next issue of the phase is recorded; the issues \
                       themselves (`autopack issues RUN`) are whole. Find out who wrote the counters.";
/// What mends accounts.
const REBOOK: &str = "The attempts are the record (`autopack attempts RUN PHASE`): restore the account from a backup, or \
                      set it to the sum that the finding names while the registry is stopped.";

/// Totals that are not those of their rows.
pub async fn examine<C: ConnectionTrait>(
    db: &C,
    scope: &Scope,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for total in issues().into_iter().chain(tokens()) {
        let statement = format!(
            "SELECT * FROM ({}) compared WHERE compared.value <> compared.wanted ORDER BY compared.row_key LIMIT {}",
            sql::ranged(&total.from, scope),
            scope.limit + 1
        );
        for row in sql::rows(db, statement).await? {
            let text = |name: &str| sql::text(&row, name).unwrap_or_default();
            let at = place(total.table, &text("row_key"), total.column);
            let problem = format!(
                "{}: {} stored, {} counted",
                total.problem,
                text("value"),
                text("wanted")
            );
            found.push(
                Finding::new(FindingCode::RecordDiffers, at, problem)
                    .value(&text("value"))
                    .valid([text("wanted")])
                    .fix(total.fix)
                    .run(text("run_uid")),
            );
        }
    }
    Ok(found)
}

/// Distinct keys of a phase, a tier and a run; a key is as grave as its gravest open issue.
fn issues() -> [Total; 4] {
    let worst = "MAX(CASE WHEN i.resolved_at IS NOT NULL THEN 0 WHEN i.effective_severity = 'major' THEN 2 ELSE 1 END)";
    let counted = |keys: &str, by: &str| {
        format!(
            "SELECT {by}, SUM(CASE WHEN known.worst = 1 THEN 1 ELSE 0 END) AS minor, SUM(CASE WHEN known.worst = 2 THEN 1 ELSE 0 END) AS major, \
             SUM(CASE WHEN known.worst = 0 THEN 1 ELSE 0 END) AS resolved FROM ({keys}) known GROUP BY {by}"
        )
    };
    let shown = "CAST(t.minor_issues AS TEXT) || ' minor, ' || CAST(t.major_issues AS TEXT) || ' major, ' || CAST(t.resolved_issues AS TEXT) || ' resolved' AS value, \
                 CAST(COALESCE(counted.minor, 0) AS TEXT) || ' minor, ' || CAST(COALESCE(counted.major, 0) AS TEXT) || ' major, ' || CAST(COALESCE(counted.resolved, 0) AS TEXT) || ' resolved' AS wanted";
    let of_phase = format!(
        "SELECT i.run_uid AS run_uid, i.phase AS idx, {worst} AS worst FROM issue i WHERE [i.run_uid] AND i.phase >= 0 GROUP BY i.run_uid, i.phase, i.issue_key"
    );
    let of_tier = format!(
        "SELECT i.run_uid AS run_uid, p.tier AS idx, {worst} AS worst FROM issue i JOIN phase p ON p.run_uid = i.run_uid AND p.idx = i.phase AND [p.run_uid] WHERE [i.run_uid] GROUP BY i.run_uid, p.tier, i.issue_key"
    );
    let of_run = format!(
        "SELECT i.run_uid AS run_uid, {worst} AS worst FROM issue i WHERE [i.run_uid] GROUP BY i.run_uid, i.issue_key"
    );
    let below = |table: &str, keys: &str| {
        let counted = counted(keys, "known.run_uid, known.idx");
        format!(
            "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, {shown} FROM {table} t \
             LEFT JOIN ({counted}) counted ON counted.run_uid = t.run_uid AND counted.idx = t.idx WHERE [t.run_uid]"
        )
    };
    let state = "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, CAST(t.issue_state AS TEXT) AS value, \
                 CASE WHEN t.major_issues > 0 THEN 'has_major_issues' WHEN t.minor_issues > 0 THEN 'has_minor_issues' ELSE 'no_issues' END AS wanted FROM phase t WHERE [t.run_uid]";
    let one = |table, column, problem, from| Total {
        table,
        column,
        problem,
        fix: RECOUNT,
        from,
    };
    let problem = "the counters are not the distinct keys of its issues";
    let counted = counted(&of_run, "known.run_uid");
    let run = format!(
        "SELECT t.uid AS row_key, t.uid AS run_uid, {shown} FROM run t LEFT JOIN ({counted}) counted ON counted.run_uid = t.uid WHERE [t.uid]"
    );
    [
        one("phase", "minor_issues", problem, below("phase", &of_phase)),
        one("tier", "minor_issues", problem, below("tier", &of_tier)),
        one("run", "minor_issues", problem, run),
        one(
            "phase",
            "issue_state",
            "the state is not that of its counters",
            state.to_owned(),
        ),
    ]
}

/// What attempts used and hold, against the account of their phase; and accounts of phases against those above.
fn tokens() -> [Total; 3] {
    let number =
        |column: &str| format!("CASE WHEN {column} BETWEEN 0 AND {MOST} THEN {column} ELSE 0 END");
    let open = AttemptState::spellings()
        .into_iter()
        .filter(|spelling| AttemptState::parse(spelling).is_some_and(|state| !state.is_terminal()));
    let open: Vec<String> = open.map(sql::quoted).collect();
    let (open, used, held) = (
        open.join(","),
        number("a.tokens_used"),
        number("a.tokens_reserved"),
    );
    // What was used for a result that no attempt took is a fact of its own.
    let (outside, told) = (sql::quoted(OUTSIDE), number("u.total"));
    let attempts = format!(
        "SELECT booked.run_uid AS run_uid, booked.idx AS idx, SUM(booked.settled) AS settled, SUM(booked.reserved) AS reserved FROM (\
         SELECT a.run_uid AS run_uid, a.phase AS idx, CASE WHEN a.state IN ({open}) THEN 0 ELSE {used} END AS settled, \
         CASE WHEN a.state IN ({open}) THEN {held} ELSE 0 END AS reserved FROM attempt a WHERE [a.run_uid] \
         UNION ALL SELECT u.run_uid, u.phase, {told}, 0 FROM usage_event u WHERE u.attempt_uid = {outside} AND [u.run_uid]) booked GROUP BY booked.run_uid, booked.idx"
    );
    let (settled, reserved) = (number("p.tokens_settled"), number("p.tokens_reserved"));
    let phases = |by: &str| {
        format!(
            "SELECT {by}, SUM({settled}) AS settled, SUM({reserved}) AS reserved FROM phase p WHERE [p.run_uid] GROUP BY {by}"
        )
    };
    let shown = "CAST(t.tokens_settled AS TEXT) || ' used, ' || CAST(t.tokens_reserved AS TEXT) || ' reserved' AS value, \
                 CAST(COALESCE(counted.settled, 0) AS TEXT) || ' used, ' || CAST(COALESCE(counted.reserved, 0) AS TEXT) || ' reserved' AS wanted";
    // An older system kept tokens of phases without a record of their attempts.
    let phase = format!(
        "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, {shown} FROM phase t \
         LEFT JOIN ({attempts}) counted ON counted.run_uid = t.run_uid AND counted.idx = t.idx \
         WHERE [t.run_uid] AND (counted.run_uid IS NOT NULL OR NOT EXISTS (SELECT 1 FROM run r WHERE r.uid = t.run_uid AND [r.uid] AND CAST(r.facts AS TEXT) LIKE '%\"{ORIGIN_FACT}\":%'))"
    );
    let by_tier = phases("p.run_uid, p.tier");
    let tier = format!(
        "SELECT t.run_uid || '/' || CAST(t.idx AS TEXT) AS row_key, t.run_uid AS run_uid, {shown} FROM tier t \
         LEFT JOIN ({by_tier}) counted ON counted.run_uid = t.run_uid AND counted.tier = t.idx WHERE [t.run_uid]"
    );
    let by_run = phases("p.run_uid");
    let run = format!(
        "SELECT t.uid AS row_key, t.uid AS run_uid, {shown} FROM run t LEFT JOIN ({by_run}) counted ON counted.run_uid = t.uid WHERE [t.uid]"
    );
    let one = |table, problem, from| Total {
        table,
        column: "tokens_settled",
        problem,
        fix: REBOOK,
        from,
    };
    [
        one("phase", "the account is not the sum of its attempts", phase),
        one("tier", "the account is not the sum of its phases", tier),
        one("run", "the account is not the sum of its phases", run),
    ]
}
