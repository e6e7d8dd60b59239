//! The role of telemetry: it reads the views, and that is all.

use autopack_migrations::{RoleError, grant_telemetry, migrate};
use sea_orm::ConnectionTrait;

use crate::base::{Base, texts};

#[tokio::test]
async fn the_role_reads_the_views_and_nothing_else_and_writes_nothing() {
    let base = Base::postgres();
    let db = base.connect().await;
    migrate(&db).await.unwrap();
    let role = format!("telemetry_{}", std::process::id());
    for _ in 0..2 {
        grant_telemetry(&db, &role, Some("it's secret"))
            .await
            .unwrap();
    }
    let Base::Postgres(database) = &base else {
        panic!("a PostgreSQL database");
    };
    let url = database.url_as(&role, "it%27s%20secret");
    let reader = sea_orm::Database::connect(url).await.unwrap();
    assert_eq!(
        texts(&reader, "SELECT count(*)::text FROM v1_run").await,
        ["0"]
    );
    for forbidden in [
        "SELECT * FROM run",
        "SELECT * FROM request",
        "SELECT * FROM registry_epoch",
        "INSERT INTO project (name, created_at) VALUES ('p', 1)",
        "UPDATE registry_epoch SET epoch = 9",
        "SET default_transaction_read_only = off; DELETE FROM v1_run",
        "CREATE TABLE mine (id INT)",
        "CREATE TEMPORARY TABLE mine (id INT)",
    ] {
        let refused = reader
            .execute_unprepared(forbidden)
            .await
            .unwrap_err()
            .to_string();
        let reasons = [
            "permission denied",
            "read-only transaction",
            "cannot delete from view",
        ];
        assert!(
            reasons.iter().any(|r| refused.contains(r)),
            "{forbidden}: {refused}"
        );
    }
    reader.close().await.unwrap();
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn a_role_that_no_grant_limits_is_refused() {
    let base = Base::postgres();
    let db = base.connect().await;
    migrate(&db).await.unwrap();
    let named = grant_telemetry(&db, "autopack", None).await;
    assert!(matches!(named, Err(RoleError::Superuser(_))), "{named:?}");
    let odd = grant_telemetry(&db, "x\"; DROP TABLE run", None).await;
    assert!(matches!(odd, Err(RoleError::Name(_))), "{odd:?}");
    let embedded = Base::sqlite();
    let embedded = embedded.connect().await;
    let none = grant_telemetry(&embedded, "telemetry", None).await;
    assert!(matches!(none, Err(RoleError::Embedded)), "{none:?}");
}
