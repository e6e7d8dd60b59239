//! Forward, once, and never past what a program can read.

use autopack_migrations::{ALL, Migration, MigrationError, migrate, migrate_to, pending};
use sea_orm::ConnectionTrait;

use crate::base::{Base, both, columns, texts};

both!(
    migrating_twice_applies_everything_once,
    an_older_program_runs_while_the_schema_says_so,
    a_changed_migration_is_refused,
    views_outlive_the_tables_and_show_no_address,
);

async fn migrating_twice_applies_everything_once(base: Base) {
    let db = base.connect().await;
    let all: Vec<i64> = ALL.iter().map(|m| m.version).collect();
    let versions = |list: Vec<autopack_migrations::Pending>| {
        list.iter().map(|p| p.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(pending(&db).await.unwrap()), all);
    assert!(columns(&db).await.is_empty(), "looking changes nothing");
    assert_eq!(versions(migrate(&db).await.unwrap()), all);
    assert_eq!(migrate(&db).await.unwrap(), []);
    assert_eq!(pending(&db).await.unwrap(), []);
}

async fn an_older_program_runs_while_the_schema_says_so(base: Base) {
    let db = base.connect().await;
    let newer = |min_reader| {
        let mut history = ALL.to_vec();
        history.push(Migration {
            version: 9000,
            min_reader,
            name: "newer",
            sqlite: "CREATE TABLE newer (id BIGINT PRIMARY KEY)",
            postgres: "CREATE TABLE newer (id BIGINT PRIMARY KEY)",
            states: &[],
        });
        history
    };
    migrate_to(&db, &newer(1)).await.unwrap();
    migrate(&db).await.expect("the older program reads it");
    db.execute_unprepared("UPDATE schema_compat SET min_reader = 9000")
        .await
        .unwrap();
    for refused in [migrate(&db).await, pending(&db).await] {
        let error = refused.unwrap_err();
        assert!(
            matches!(
                error,
                MigrationError::TooNew {
                    found: 9000,
                    needs: 9000,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("9000"), "{error}");
    }
}

async fn a_changed_migration_is_refused(base: Base) {
    let db = base.connect().await;
    migrate(&db).await.unwrap();
    let mut history = ALL.to_vec();
    history[0].sqlite = "SELECT 1";
    history[0].postgres = "SELECT 1";
    let error = migrate_to(&db, &history).await.unwrap_err();
    assert!(
        matches!(error, MigrationError::Changed { version: 1 }),
        "{error}"
    );
}

async fn views_outlive_the_tables_and_show_no_address(base: Base) {
    let db = base.connect().await;
    migrate(&db).await.unwrap();
    let all = columns(&db).await;
    let views: Vec<_> = all.iter().filter(|line| line.starts_with("v1_")).collect();
    assert_eq!(views.len(), 9, "{views:#?}");
    for view in views {
        for kept in ["repository", "fence", "ruleset", "body"] {
            assert!(!view.contains(kept), "{view}");
        }
    }
}

#[tokio::test]
async fn both_dialects_make_the_same_tables_with_the_same_columns_in_the_same_order() {
    let (one, two) = (Base::sqlite(), Base::postgres());
    let (one, two) = (one.connect().await, two.connect().await);
    migrate(&one).await.unwrap();
    migrate(&two).await.unwrap();
    assert_eq!(columns(&one).await, columns(&two).await);
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns c WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'";
    assert_eq!(
        texts(&two, sql).await,
        Vec::<String>::new(),
        "texts compare by bytes"
    );
}

#[tokio::test]
async fn processes_that_migrate_at_once_do_not_collide() {
    let base = Base::postgres();
    let connections = futures::future::join_all((0..4).map(|_| base.connect())).await;
    let done = futures::future::join_all(connections.iter().map(migrate)).await;
    let applied: usize = done.into_iter().map(|d| d.unwrap().len()).sum();
    assert_eq!(applied, ALL.len(), "each migration by one of them");
}
