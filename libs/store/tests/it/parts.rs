//! The self-check part by part: together the parts find what one look finds, each of the rows once.

use autopack_domain::{Finding, FindingCode};
use autopack_store::{
    audit::{self, Audit, Part, Scope, stretch},
    schema,
};
use autopack_testkit::{Dialect, Many};

use crate::base::{Base, both};

both!(
    parts_that_follow_each_other_find_what_one_look_finds,
    copies_of_a_sound_run_are_sound,
    a_document_is_read_however_many_of_its_run_come_before,
    what_is_told_of_a_part_is_passed_over,
);

const RUN: &str = "0197a4c2-0000-7000-8000-000000000001";
/// Copies of the example; with it one more.
const RUNS: u32 = 6;

async fn filled(base: &Base) {
    base.fill().await;
    let dialect = if base.is_postgres() {
        Dialect::Postgres
    } else {
        Dialect::Sqlite
    };
    let many = Many {
        runs: RUNS,
        projects: 2,
        backlog: 3,
    };
    let columns = |name: &str| {
        let table = schema::table(name).unwrap();
        table.columns.iter().map(|c| c.name.to_owned()).collect()
    };
    for sql in many.statements(dialect, "demo-1", &columns) {
        base.run(&sql).await;
    }
}

async fn look(base: &Base, part: Part, limit: usize) -> Audit {
    let found = audit::examine(&base.db, &Scope { part, limit }).await;
    found.unwrap()
}

/// Every part with so many runs, then what belongs to no run.
async fn parts(base: &Base, runs: usize) -> Vec<Audit> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let upto = stretch::end(&base.db, &after, runs).await.unwrap();
        let part = Part::Runs {
            after,
            upto: upto.clone(),
        };
        all.push(look(base, part, 1000).await);
        match upto {
            Some(upto) => after = upto,
            None => break,
        }
    }
    all.push(look(base, Part::Rest, 1000).await);
    all
}

fn sorted<'f>(found: impl Iterator<Item = &'f Finding>) -> Vec<String> {
    let mut all: Vec<String> = found.map(|f| format!("{f:?}")).collect();
    all.sort_unstable();
    all
}

async fn parts_that_follow_each_other_find_what_one_look_finds(base: Base) {
    filled(&base).await;
    base.unchecked().await;
    for sql in [
        "UPDATE run SET state = 'READY' WHERE id = 'many-1'",
        "UPDATE phase SET state = 'BLOCKED' WHERE run_uid = (SELECT uid FROM run WHERE id = 'many-2')",
        "UPDATE run SET count_queued = 9, minor_issues = 7 WHERE id = 'many-3'",
        "UPDATE tier SET tokens_settled = 9",
        "UPDATE attempt SET tokens_used = 77, artifacts = '{}'",
        "UPDATE run_document SET strategy = '{'",
        "UPDATE phase SET tier = 5 WHERE run_uid = (SELECT uid FROM run WHERE id = 'many-4')",
        "DELETE FROM run_document WHERE run_uid = (SELECT uid FROM run WHERE id = 'many-5')",
        "UPDATE usage_event SET run_uid = '0197a4c2-0000-7000-8000-00000000beef' WHERE run_uid = '0197a4c2-0000-7000-8000-000000000001'",
        "UPDATE tier SET run_uid = '' WHERE run_uid = (SELECT uid FROM run WHERE id = 'many-0')",
        "UPDATE failure SET run_uid = 'zzzz'",
        "UPDATE promotion SET run_uid = '~odd'",
        "UPDATE request SET run_uid = 'zzzz'",
        "UPDATE project SET limits = '{'",
        "UPDATE backlog SET severity = 'odd'",
        "UPDATE relay_cursor SET sequence = 10000000",
    ] {
        base.run(sql).await;
    }
    let whole = look(&base, Part::All, 1000).await;
    assert!(whole.findings.len() > 20 && !whole.more);
    let tables: Vec<&str> = whole
        .findings
        .iter()
        .map(|f| f.place.table.as_str())
        .collect();
    for table in [
        "run",
        "tier",
        "phase",
        "attempt",
        "request",
        "project",
        "backlog",
        "failure",
        "promotion",
    ] {
        assert!(tables.contains(&table), "{table}: {tables:?}");
    }
    for runs in [1, 2, 100] {
        let parts = parts(&base, runs).await;
        let found = parts.iter().flat_map(|part| &part.findings);
        assert_eq!(sorted(found), sorted(whole.findings.iter()), "{runs}");
        assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), whole.rows);
        if runs == 100 {
            let mut all = Audit::default();
            for part in parts {
                all.append(part, 0);
            }
            assert_eq!(all.findings, whole.findings, "their order is the same");
        }
    }
}

async fn copies_of_a_sound_run_are_sound(base: Base) {
    filled(&base).await;
    let whole = look(&base, Part::All, 1000).await;
    assert_eq!(whole.findings, []);
    for part in parts(&base, 2).await {
        assert_eq!((part.findings, part.more), (vec![], false));
    }
}

async fn a_document_is_read_however_many_of_its_run_come_before(base: Base) {
    base.fill().await;
    let columns: Vec<&str> = schema::table("issue")
        .unwrap()
        .columns
        .iter()
        .map(|c| c.name)
        .collect();
    let chosen = columns.join(", ").replace("issue_key", "'k' || n.i");
    base.run(&format!(
        "INSERT INTO issue ({}) WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1449) \
         SELECT {chosen} FROM n CROSS JOIN issue",
        columns.join(", ")
    ))
    .await;
    base.run("UPDATE issue SET evidence = '{}' WHERE issue_key = 'k1449'")
        .await;
    let whole = look(&base, Part::All, 1000).await;
    let bad = |f: &&Finding| f.code == FindingCode::JsonInvalid;
    let found: Vec<&Finding> = whole.findings.iter().filter(bad).collect();
    assert_eq!(found.len(), 1, "{:#?}", whole.findings);
    assert_eq!(found[0].place.row, format!("{RUN}/0/k1449"));
}

async fn what_is_told_of_a_part_is_passed_over(base: Base) {
    filled(&base).await;
    base.run("UPDATE tier SET tokens_settled = 9").await;
    let all = look(&base, Part::All, 1000).await.findings;
    let mut told = Audit::default();
    while told.findings.len() < all.len() {
        let passed = told.findings.len();
        let part = look(&base, Part::All, passed + 2).await;
        assert_eq!(part.more, passed + 2 < all.len());
        told.append(part, passed);
    }
    assert_eq!(told.findings, all);
}
