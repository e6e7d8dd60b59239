//! How the databases carry out what lists, reports and a start ask: each statement is taken as the store sends it, over
//! many runs, and its plan is looked at.

use std::sync::Mutex;

use autopack_domain::{RunUid, states::RunState};
use autopack_store::{
    audit::{self, Part, Scope, Stretch, stretch},
    cursors,
    issues::{self, IssueFilter},
    jobs, promotions, read, repairs, reports, schema, set_aside,
};
use autopack_testkit::{Dialect, Many};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement,
};

use crate::base::{Base, both};

both!(
    lists_of_runs_walk_along_an_index_from_any_page_on,
    what_is_read_of_one_run_is_found_by_it,
    reports_read_no_more_than_they_show,
    a_start_reads_the_runs_that_have_not_ended,
    a_stretch_of_the_self_check_reads_its_own_runs,
    the_self_check_of_one_run_finds_its_requests_by_the_run,
);

/// Runs; enough for PostgreSQL to weigh its plans as with many more.
const RUNS: u32 = 20_000;
/// Rows that one step of a plan may take up: a page at most is shown, and a few rows beside it are passed over.
const ROWS: f64 = 1000.0;
/// Tables that grow with the runs.
const LARGE: [&str; 10] = [
    "run",
    "run_document",
    "tier",
    "phase",
    "attempt",
    "event",
    "usage_event",
    "issue",
    "backlog",
    "job",
];

/// Indexes that hold a few rows of their tables.
const PARTIAL: [&str; 1] = ["job_live"];

/// Remembers what is asked, and asks.
struct Recorder<'b> {
    db: &'b DatabaseConnection,
    seen: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl ConnectionTrait for Recorder<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.db.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.db.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.seen.lock().unwrap().push(statement.to_string());
        self.db.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.seen.lock().unwrap().push(statement.to_string());
        self.db.query_all_raw(statement).await
    }
}

/// What a statement may do besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Nothing.
    Nothing,
    /// Go through an index from end to end, or through as much of it as it counts; no row is fetched.
    CountInIndex,
}

impl Recorder<'_> {
    fn over(base: &Base) -> Recorder<'_> {
        let seen = Mutex::default();
        Recorder { db: &base.db, seen }
    }

    /// Looks at the plans of what was asked since the last time.
    async fn judge(&self, what: &str, may: May) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert!(!seen.is_empty(), "{what}: nothing was asked");
        for sql in seen {
            let plan = self.plan(&sql).await;
            let fault = match self.get_database_backend() {
                DbBackend::Postgres => plan.iter().find_map(|step| postgres_fault(step, may)),
                _ => sqlite_fault(&plan, &sql, may),
            };
            if let Some(fault) = fault {
                panic!("{what}: {fault}\n{sql}\n{}", plan.join("\n"));
            }
        }
    }

    async fn plan(&self, sql: &str) -> Vec<String> {
        let (explain, column) = match self.get_database_backend() {
            DbBackend::Postgres => ("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)", 0),
            _ => ("EXPLAIN QUERY PLAN", 3),
        };
        let statement =
            Statement::from_string(self.get_database_backend(), format!("{explain} {sql}"));
        let rows = self.db.query_all_raw(statement).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter()
            .map(|row| row.try_get_by_index(column).unwrap())
            .collect()
    }
}

fn is_large(step: &str, before: &str, sql: &str) -> bool {
    let rest = step.split(before).nth(1).unwrap_or_default();
    let named = rest.split(' ').next().unwrap_or_default();
    // An alias stands for its table.
    let stands_for = |table: &str| sql.contains(&format!("{table} {named}"));
    LARGE.contains(&named) || (named.len() == 1 && LARGE.iter().any(|table| stands_for(table)))
}

/// `SCAN` is from end to end unless a limit ends it, and only the order of a table or index makes that limit one.
fn sqlite_fault(plan: &[String], sql: &str, may: May) -> Option<String> {
    let sorts = plan
        .iter()
        .any(|step| step.contains("USE TEMP B-TREE FOR ORDER BY"));
    let limited = !sql.contains("WHERE") && sql.contains("LIMIT") && !sorts;
    let scanned = plan.iter().find(|step| {
        let partial = PARTIAL.iter().any(|index| step.ends_with(index));
        let counts = may == May::CountInIndex && step.contains("USING COVERING INDEX");
        step.starts_with("SCAN ") && is_large(step, "SCAN ", sql) && !partial && !counts
    });
    if let Some(step) = scanned.filter(|_| !limited) {
        return Some(format!("read from end to end: {step}"));
    }
    let page = sorts && sql.contains("LIMIT") && sql.contains("FROM \"run\"");
    page.then(|| "a page is sorted".to_owned())
}

/// Rows that a step took up, those that it passed over included.
fn postgres_fault(step: &str, may: May) -> Option<String> {
    if step.contains("Seq Scan on ") && is_large(step, "Seq Scan on ", "") {
        return Some("a table is read from end to end".to_owned());
    }
    let number = |after: &str| -> Option<f64> {
        let rest = step.split(after).nth(1)?;
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    if let Some(removed) = number("Rows Removed by Filter: ") {
        return (removed > ROWS).then(|| format!("{removed} rows are passed over"));
    }
    let counts = may == May::CountInIndex
        && (step.contains("Index Only Scan") || step.contains("Aggregate"));
    if !step.contains(" Scan") || counts {
        return None;
    }
    let rows = number("actual rows=")? * number("loops=").unwrap_or(1.0);
    (rows > ROWS).then(|| format!("{rows} rows are read"))
}

/// The uid of a copy.
fn uid(number: u32) -> RunUid {
    format!("01980000-0000-7000-8000-{number:012x}")
        .parse()
        .unwrap()
}

async fn filled(base: &Base) {
    base.fill().await;
    let (dialect, after) = if base.is_postgres() {
        (Dialect::Postgres, "VACUUM ANALYZE")
    } else {
        (Dialect::Sqlite, "PRAGMA optimize")
    };
    let many = Many {
        runs: RUNS,
        projects: 8,
        backlog: 600,
    };
    let columns = |name: &str| {
        let table = schema::table(name).unwrap();
        table.columns.iter().map(|c| c.name.to_owned()).collect()
    };
    for sql in many.statements(dialect, "demo-1", &columns) {
        base.run(&sql).await;
    }
    base.run(after).await;
    let runs = base.texts("SELECT CAST(COUNT(*) AS TEXT) FROM run").await;
    assert_eq!(runs, [(RUNS + 1).to_string()]);
}

async fn lists_of_runs_walk_along_an_index_from_any_page_on(base: Base) {
    filled(&base).await;
    let recorder = Recorder::over(&base);
    let states = [
        None,
        Some("DONE_SUCCESS"),
        Some("DONE_CANCELLED"),
        Some("RUN_CREATED"),
    ];
    for state in states {
        for project in [None, Some("many-3"), Some("nobody")] {
            let mut seen = 0;
            // The first page, one far behind, and the last.
            for from in [RUNS, RUNS / 2, 3] {
                let at = 1_600_000_000_000_000 + i64::from(from) * 60_000_000;
                let before = (from < RUNS).then(|| (at, uid(from).to_string()));
                let page = read::list_runs(&recorder, 51, before, state, project).await;
                seen += page.unwrap().len();
                let what = format!("runs in {state:?} of {project:?} before {from}");
                recorder.judge(&what, May::Nothing).await;
            }
            assert!(seen > 0 || project == Some("nobody") || state == Some("RUN_CREATED"));
        }
        if let Some(state) = state.and_then(RunState::parse) {
            for project in [None, Some("many-3")] {
                reports::count_runs(&recorder, state, project)
                    .await
                    .unwrap();
                recorder.judge("count of runs", May::CountInIndex).await;
            }
        }
    }
}

async fn what_is_read_of_one_run_is_found_by_it(base: Base) {
    filled(&base).await;
    let r = Recorder::over(&base);
    let run = uid(RUNS / 2);
    assert_eq!(read::find_run(&r, "MANY-10000").await.unwrap(), Some(run));
    assert_eq!(
        read::find_run(&r, &run.to_string()).await.unwrap(),
        Some(run)
    );
    let whole = read::aggregate(&r, run).await.unwrap().unwrap();
    assert_eq!(whole.run.counts.total() as usize, whole.phases.len());
    assert_eq!(read::attempts(&r, run, None).await.unwrap().len(), 1);
    assert_eq!(read::attempts(&r, run, Some(0)).await.unwrap().len(), 1);
    assert_eq!(read::usage(&r, run).await.unwrap().len(), 1);
    assert_eq!(read::run_events(&r, run, 0, 500).await.unwrap().len(), 1);
    read::failures(&r, run).await.unwrap();
    read::intents(&r, run).await.unwrap();
    read::stray_intents(&r, run).await.unwrap();
    promotions::of_run(&r, run).await.unwrap();
    promotions::status(&r, &run.to_string()).await.unwrap();
    cursors::ends_before(&r, run, 9).await.unwrap();
    repairs::is_leased(&r, &run.to_string()).await.unwrap();

    for filter in [
        IssueFilter::default(),
        IssueFilter {
            place: Some(Some(0)),
            severity: Some("minor".into()),
            resolved: true,
        },
    ] {
        assert_eq!(
            issues::list(&r, run, &filter, 51, None)
                .await
                .unwrap()
                .len(),
            1
        );
        issues::list(&r, run, &filter, 51, Some((0, "a".into())))
            .await
            .unwrap();
    }
    r.judge("one run", May::Nothing).await;
}

async fn reports_read_no_more_than_they_show(base: Base) {
    filled(&base).await;
    let r = Recorder::over(&base);
    let page = read::list_runs(&r, 50, None, None, None).await.unwrap();
    let runs: Vec<_> = page.into_iter().map(|row| row.run.unwrap()).collect();
    let uids: Vec<RunUid> = runs.iter().map(|run| run.uid).collect();
    assert_eq!(reports::figures(&r, runs).await.unwrap().len(), 50);
    assert_eq!(reports::outlines(&r, &uids).await.unwrap().len(), 50);
    reports::phases_with(&r, &uids, &["BUDGET_TOKENS"])
        .await
        .unwrap();
    reports::phases_by_role(&r, &uids, "auditor").await.unwrap();
    let successes = issues::successes(&r, "many-3", 3).await.unwrap();
    assert_eq!(successes.len(), 3);
    reports::oldest(&r, "many-3", 10).await.unwrap();
    issues::entries(&r, "many-3", ["key-1", "key-2"])
        .await
        .unwrap();
    issues::aged(&r, "many-3", (3, 2), None, 50).await.unwrap();
    issues::aged(&r, "many-3", (3, 2), successes.last().copied(), 50)
        .await
        .unwrap();
    for position in [
        None,
        Some((20, 2, "key-6".to_owned())),
        Some((0, 0, "a".to_owned())),
    ] {
        issues::page(&r, "many-3", 51, position).await.unwrap();
    }
    // A backlog is counted whole, and no other is.
    let counts = reports::backlog_counts(&r, "many-3", (3, 2), &successes)
        .await
        .unwrap();
    assert_eq!(counts.total, 600);
    read::events(&r, 9000, 500).await.unwrap();
    cursors::changes(&r, 9000, 500).await.unwrap();
    read::last_sequence(&r).await.unwrap();
    repairs::list(&r, 50).await.unwrap();
    r.judge("reports", May::Nothing).await;
}

async fn a_stretch_of_the_self_check_reads_its_own_runs(base: Base) {
    filled(&base).await;
    let r = Recorder::over(&base);
    for from in [0, 3, RUNS / 2, RUNS - 3] {
        let after = if from == 0 {
            String::new()
        } else {
            uid(from).to_string()
        };
        let upto = stretch::end(&r, &after, 200).await.unwrap();
        let part = Part::Runs { after, upto };
        let scope = Scope {
            part,
            ..Scope::default()
        };
        let found = audit::examine(&r, &scope).await.unwrap();
        assert_eq!(found.findings, []);
        r.judge("a stretch of the self-check", May::Nothing).await;
    }
}

async fn a_start_reads_the_runs_that_have_not_ended(base: Base) {
    filled(&base).await;
    let r = Recorder::over(&base);
    read::open_runs(&r).await.unwrap();
    read::moving_runs(&r).await.unwrap();
    jobs::runs_with_jobs(&r).await.unwrap();
    r.judge("the working set", May::Nothing).await;
    assert_eq!(set_aside::find(&r, &Stretch::Open).await.unwrap(), []);
    assert_eq!(audit::aliases(&r, &Stretch::Open).await.unwrap().len(), 0);
    r.judge("what a start looks at", May::CountInIndex).await;
    let mut after = String::new();
    for _ in 0..3 {
        let some = stretch::next(&r, &after, 100).await.unwrap();
        assert_eq!(set_aside::find(&r, &some).await.unwrap(), []);
        assert_eq!(audit::aliases(&r, &some).await.unwrap().len(), 0);
        let Stretch::Runs {
            upto: Some(last), ..
        } = some
        else {
            panic!("{some:?}");
        };
        after = last;
    }
    r.judge("what is looked at beside the service", May::Nothing)
        .await;
    // The last stretch has no end, and takes rows that no run has.
    let Stretch::Runs { upto, .. } = stretch::next(&r, &uid(RUNS - 3).to_string(), 100)
        .await
        .unwrap()
    else {
        panic!();
    };
    assert_eq!(upto, None);
}

/// Requests are kept for ever, so that table is larger than any other.
async fn the_self_check_of_one_run_finds_its_requests_by_the_run(base: Base) {
    base.fill().await;
    if base.is_postgres() {
        // It has a row here, and is as cheap to read as an index.
        base.run("SET enable_seqscan = off").await;
    }
    let run = base.texts("SELECT uid FROM run").await.remove(0);
    let r = Recorder::over(&base);
    let scope = Scope {
        part: Part::Run(run),
        limit: 100,
    };
    audit::examine(&r, &scope).await.unwrap();
    let seen = std::mem::take(&mut *r.seen.lock().unwrap());
    let asked: Vec<_> = seen.iter().filter(|s| s.contains("FROM request")).collect();
    assert!(!asked.is_empty(), "{seen:#?}");
    for sql in asked {
        let plan = r.plan(sql).await.join("\n");
        assert!(plan.contains("request_by_run"), "{sql}\n{plan}");
    }
}
