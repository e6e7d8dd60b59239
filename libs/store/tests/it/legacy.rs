//! Files that are read as older databases: real ones, cut off, damaged, other programs', and with rows that no text is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use autopack_domain::import::legacy::{Collected, Table, collect};
use autopack_store::legacy::{Bounds, LegacyError, copy, read};
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection};

const RICH: &str = "upstream-2025-12-28.db";

fn corpus(name: &str) -> PathBuf {
    let folder = std::env::var_os("AUTOPACK_CORPUS_DIR").map(PathBuf::from);
    let file = folder.unwrap_or_default().join(name);
    assert!(
        file.is_file(),
        "set AUTOPACK_CORPUS_DIR to the folder with the real data of the older system (`.ci/run` does); {} is no file",
        file.display()
    );
    file
}

/// As the command reads a file.
async fn tables(file: &Path) -> Result<Vec<Table>, LegacyError> {
    tables_within(file, &Bounds::default()).await
}

async fn tables_within(file: &Path, bounds: &Bounds) -> Result<Vec<Table>, LegacyError> {
    let folder = tempfile::tempdir().unwrap();
    let copied = copy(file, folder.path())?;
    read(&copied, "old.db", bounds).await
}

async fn make(file: &Path, sql: &[&str]) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(1).sqlx_logging(false);
    let db = sea_orm::Database::connect(options).await.unwrap();
    for one in sql {
        db.execute_unprepared(one).await.unwrap();
    }
    db
}

/// The tables that an older database has at least.
const RUNS: &str = "CREATE TABLE runs (id TEXT, state TEXT, created_at TEXT)";
const PHASES: &str =
    "CREATE TABLE phases (id INTEGER PRIMARY KEY, run_id TEXT, phase_id TEXT, state TEXT)";
const ONE_RUN: &str = "INSERT INTO runs VALUES ('r', 'QUEUED', '2025-11-30 10:00:00')";
const ONE_PHASE: &str = "INSERT INTO phases VALUES (7, 'r', 'P1', 'QUEUED')";

#[tokio::test]
async fn a_real_database_is_read_whole() {
    let tables = tables(&corpus(RICH)).await.unwrap();
    let rows = |name: &str| tables.iter().find(|t| t.name == name).unwrap().rows.len();
    assert_eq!(
        (
            rows("runs"),
            rows("tiers"),
            rows("phases"),
            rows("llm_usage_events")
        ),
        (70, 200, 456, 1371)
    );
    let found = collect(&tables, "a.db");
    assert_eq!(found.runs.len(), 70);
    assert!(found.runs.iter().all(|run| run.broken.is_none()));
}

#[tokio::test]
async fn what_is_no_older_database_gets_a_precise_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let error = tables(&file).await.unwrap_err();
    assert!(matches!(error, LegacyError::File { .. }), "{error}");
    let error = tables(folder.path()).await.unwrap_err();
    assert!(
        matches!(error, LegacyError::File { .. }),
        "a folder: {error}"
    );
    for content in ["", "SQLite format 3", "run,state\nr,QUEUED\n"] {
        fs::write(&file, content).unwrap();
        let error = tables(&file).await.unwrap_err();
        assert!(
            matches!(error, LegacyError::NotSqlite { .. }),
            "{content}: {error}"
        );
    }
    for (sql, words) in [
        (
            vec!["CREATE TABLE songs (id TEXT)"],
            "no table `runs`, only: songs",
        ),
        (vec![RUNS], "no table `phases`"),
        (
            vec![PHASES, "CREATE TABLE runs (id TEXT, state TEXT)"],
            "`runs` has no column `created_at`",
        ),
        (
            // A view of that name is no table.
            vec![
                RUNS,
                "CREATE VIEW phases AS SELECT 1 AS run_id, 2 AS phase_id, 3 AS state",
            ],
            "no table `phases`",
        ),
        (
            vec![RUNS, PHASES, "CREATE TABLE run_document (plan TEXT)"],
            "a database of this system",
        ),
    ] {
        fs::remove_file(&file).unwrap();
        make(&file, &sql).await.close().await.unwrap();
        let error = tables(&file).await.unwrap_err();
        assert!(matches!(error, LegacyError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_cut_off_or_damaged_file_is_told_and_no_bytes_make_the_reader_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let whole = fs::read(corpus("upstream-lowercase-states.db")).unwrap();
    for part in [2, 3, 10] {
        fs::write(&file, &whole[..whole.len() / part]).unwrap();
        let error = tables(&file).await.unwrap_err();
        assert!(matches!(error, LegacyError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("old.db"), "{error}");
    }
    // The same changes in every run: a linear congruence.
    let mut seed: u64 = 7;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut refused = 0;
    for round in 0..120 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 24 {
            // The schema and the heads of pages are where a change tells most.
            let near = if round % 2 == 0 { 4096 } else { bytes.len() };
            let at = next(near);
            bytes[at] = next(256) as u8;
        }
        fs::write(&file, &bytes).unwrap();
        match tables(&file).await {
            Ok(tables) => judge(&collect(&tables, "a.db")),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 20, "{refused} of 120 were refused");
}

/// SQLite would delete the file that the journal names.
#[tokio::test]
async fn a_journal_that_names_another_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    fs::write(
        &file,
        fs::read(corpus("upstream-lowercase-states.db")).unwrap(),
    )
    .unwrap();
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut journal = b"/precious".to_vec();
    journal.extend(magic);
    fs::write(folder.path().join("a.db-journal"), &journal).unwrap();
    let error = tables(&file).await.unwrap_err();
    assert!(error.to_string().contains("several databases"), "{error}");
}

/// Whatever was read can be judged.
fn judge(found: &Collected) {
    for run in &found.runs {
        if run.run.check().is_ok() {
            let (plan, places) = run.run.plan("p");
            assert_eq!(places.len(), run.run.phases.len());
            assert_eq!(
                plan.tiers.iter().map(|t| t.phases.len()).sum::<usize>(),
                places.len()
            );
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_log_is_read_and_the_file_is_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let log = folder.path().join("a.db-wal");
    let db = make(
        &file,
        &[
            "PRAGMA journal_mode = WAL",
            "PRAGMA wal_autocheckpoint = 0",
            RUNS,
            PHASES,
            ONE_RUN,
            ONE_PHASE,
        ],
    )
    .await;
    let before = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    assert!(!before.1.is_empty(), "the rows stand in the log");
    let found = collect(&tables(&file).await.unwrap(), "a.db");
    assert_eq!(found.runs.len(), 1);
    assert_eq!(found.runs[0].run.phases.len(), 1);
    assert_eq!((fs::read(&file).unwrap(), fs::read(&log).unwrap()), before);
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["a.db", "a.db-shm", "a.db-wal"],
        "nothing is left beside it"
    );
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_no_text_sets_its_run_aside_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let long = format!(
        "UPDATE phases SET phase_id = '{}' WHERE id = 9",
        "x".repeat(300_000)
    );
    let sql = [
        RUNS,
        PHASES,
        ONE_RUN,
        ONE_PHASE,
        "INSERT INTO runs SELECT id || '2', state, created_at FROM runs",
        "INSERT INTO phases VALUES (8, 'r2', X'FF00', 'QUEUED')",
        "INSERT INTO runs VALUES ('r3', 'QUEUED', 'yesterday')",
        "INSERT INTO runs VALUES ('r4', 'QUEUED', '2025-11-30 10:00:00')",
        "INSERT INTO phases VALUES (9, 'r4', '', 'QUEUED')",
        long.as_str(),
        "INSERT INTO runs VALUES ('r5', 'QUEUED', '2025-11-30 10:00:00')",
        "INSERT INTO phases VALUES (10, 'r5', CAST(X'C328' AS TEXT), 'QUEUED')",
        "INSERT INTO phases VALUES (11, 'nobody', 'P1', 'QUEUED')",
        "CREATE TABLE users (id INTEGER, username TEXT)",
        "INSERT INTO users VALUES (1, 'admin')",
    ];
    make(&file, &sql).await.close().await.unwrap();
    let found = collect(&tables(&file).await.unwrap(), "a.db");
    let broken: Vec<(&str, &str)> = found
        .runs
        .iter()
        .map(|run| (run.run.id.as_str(), run.broken.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        broken,
        [
            ("r", ""),
            ("r2", "phases 8: column phase_id holds bytes, not text"),
            ("r3", "row r3: created_at `yesterday` is no time"),
            ("r4", "phases 9: column phase_id is too long"),
            ("r5", "phases 10: column phase_id is not UTF-8"),
        ]
    );
    let aside: Vec<(&str, &str)> = found
        .aside
        .iter()
        .map(|row| (row.table.as_str(), row.reason.as_str()))
        .collect();
    assert_eq!(
        aside,
        [
            ("phases", "its run is not in the file"),
            (
                "users",
                "it belongs to no run, and this system has no table for it"
            ),
        ]
    );
}

/// A column with a default costs a file nothing, and each of its rows the whole text.
#[tokio::test]
async fn a_small_file_with_large_rows_is_refused_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let more = "INSERT INTO runs WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT 'r' || i, 'QUEUED', '2025' FROM n";
    let large = format!(
        "ALTER TABLE runs ADD COLUMN goal TEXT DEFAULT '{}'",
        "x".repeat(200_000)
    );
    make(&file, &[RUNS, PHASES, more, &large])
        .await
        .close()
        .await
        .unwrap();
    assert!(
        fs::metadata(&file).unwrap().len() < 1 << 20,
        "the file itself is small"
    );
    let bounds = Bounds {
        bytes: 8 << 20,
        ..Bounds::default()
    };
    let error = tables_within(&file, &bounds).await.unwrap_err();
    assert!(
        matches!(&error, LegacyError::TooMuch { table, .. } if table == "runs"),
        "{error}"
    );
    assert!(
        error.to_string().contains("8388608 bytes together"),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_file_would_compute_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    // A constraint that no row satisfies: whoever evaluated it would call the file damaged.
    let checked = "CREATE TABLE notes (run_id TEXT CHECK (length(run_id) < 0))";
    let sql = [
        RUNS,
        PHASES,
        ONE_RUN,
        ONE_PHASE,
        checked,
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO notes VALUES ('r')",
        "CREATE VIEW odd AS SELECT * FROM nowhere",
        "CREATE TRIGGER odd AFTER INSERT ON runs BEGIN SELECT raise(ABORT, 'odd'); END",
    ];
    make(&file, &sql).await.close().await.unwrap();
    let found = tables(&file).await.unwrap();
    let names: Vec<&str> = found.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["notes", "phases", "runs"]);
    for (sql, words) in [
        (
            "ALTER TABLE phases ADD COLUMN twice TEXT GENERATED ALWAYS AS (state || state)",
            "column `twice` of its table `phases` is computed",
        ),
        (
            "CREATE VIRTUAL TABLE words USING fts5(text)",
            "`words` is a table of a module",
        ),
    ] {
        fs::remove_file(&file).unwrap();
        make(&file, &[RUNS, PHASES, sql])
            .await
            .close()
            .await
            .unwrap();
        let error = tables(&file).await.unwrap_err();
        assert!(matches!(error, LegacyError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A row of the schema that gives a view the name of a table.
#[tokio::test]
async fn what_only_calls_itself_a_table_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let sql = [
        RUNS,
        "CREATE TABLE other (run_id TEXT, phase_id TEXT, state TEXT)",
        "CREATE VIEW phases AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i AS run_id, i AS phase_id, i AS state FROM n",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET type = 'table' WHERE name = 'phases'",
    ];
    make(&file, &sql).await.close().await.unwrap();
    let error = tables(&file).await.unwrap_err().to_string();
    let told = error.contains("malformed database schema") || error.contains("no table `phases`");
    assert!(told, "{error}");
}

#[tokio::test]
async fn reading_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let more = "INSERT INTO runs WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT 'r' || i, 'QUEUED', '2025' FROM n";
    make(&file, &[RUNS, PHASES, more])
        .await
        .close()
        .await
        .unwrap();
    let bounds = Bounds::default();
    bounds
        .late
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let error = tables_within(&file, &bounds).await.unwrap_err();
    assert!(matches!(error, LegacyError::TooSlow { .. }), "{error}");
}

#[tokio::test]
async fn rows_come_in_the_order_of_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let sql = [
        RUNS,
        PHASES,
        "INSERT INTO runs VALUES ('b', 'QUEUED', '2025'), ('a', 'QUEUED', '2025')",
        "INSERT INTO phases VALUES (10, 'a', 'P', 'QUEUED'), (9, 'a', 'P', 'QUEUED')",
    ];
    make(&file, &sql).await.close().await.unwrap();
    let keys: Vec<String> = tables(&file)
        .await
        .unwrap()
        .iter()
        .flat_map(|table| table.rows.iter().map(|row| row.key.clone()))
        .collect();
    assert_eq!(keys, ["9", "10", "a", "b"]);
}
