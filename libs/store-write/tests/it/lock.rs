//! The lock of the active registry: one holder, and none that is silent for long.

use std::time::Duration;

use autopack_testkit::Postgres;

use crate::base::{Base, open, start};

#[tokio::test]
async fn one_session_at_a_time_has_the_lock() {
    let base = Postgres::shared().database();
    let long = Duration::from_secs(15);
    let (one, two) = (open(&base.url(), long).await, open(&base.url(), long).await);
    let (mut first, mut second) = (one.line(), two.line());
    assert!(first.try_claim().await.unwrap());
    assert!(
        first.try_claim().await.unwrap(),
        "asking again changes nothing"
    );
    assert!(!second.try_claim().await.unwrap());
    assert!(second.standing().await.unwrap().is_none(), "no schema yet");
    first.close().await;
    // The server ends the session as soon as it has read the farewell.
    let since = std::time::Instant::now();
    while !second.try_claim().await.unwrap() {
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "the lock is not free"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process that hangs keeps its connection, but says nothing.
#[tokio::test]
async fn a_silent_session_loses_the_lock() {
    let base = Postgres::shared().database();
    let database = open(&base.url(), Duration::from_secs(1)).await;
    let mut hanging = database.line();
    assert!(hanging.try_claim().await.unwrap());
    let other = open(&base.url(), Duration::from_mins(1)).await;
    let mut waiting = other.line();
    let since = std::time::Instant::now();
    while !waiting.try_claim().await.unwrap() {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "it keeps the lock"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(since.elapsed() >= Duration::from_millis(500), "not at once");
}

/// The writer gives signs of life while nobody asks it for anything.
#[tokio::test]
async fn an_idle_writer_keeps_the_lock() {
    let base = Postgres::shared().database();
    let running = start(open(&base.url(), Duration::from_secs(1)).await).await;
    let other = open(&base.url(), Duration::from_mins(1)).await;
    let mut waiting = other.line();
    // Whoever has the lock spoke when its session was three times as old as it may be silent.
    let spoke = "SELECT coalesce(bool_or(a.state_change - a.backend_start > interval '3 s'), false) \
                 FROM pg_stat_activity a JOIN pg_locks l USING (pid) \
                 WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()";
    let since = std::time::Instant::now();
    while base.sql(spoke) != "t" {
        assert!(!waiting.try_claim().await.unwrap(), "it has lost the lock");
        assert!(since.elapsed() < Duration::from_secs(20), "it is silent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!waiting.try_claim().await.unwrap());
    running.create("late", "g").await.unwrap();
    assert_eq!(running.handle.stats().reconnections, 0);
}

#[tokio::test]
async fn sessions_commit_durably_and_readers_cannot_write() {
    let base = Postgres::shared().database();
    base.sql(&format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        base.name()
    ));
    let running = start(open(&base.url(), Duration::from_secs(15)).await).await;
    running.create("one", "g").await.unwrap();
    use sea_orm::ConnectionTrait as _;
    let read = &running.database.read;
    let refused = read
        .execute_unprepared("DELETE FROM request")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    let asked = sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        "SELECT current_setting('synchronous_commit') AS s, current_setting('statement_timeout') AS t",
    );
    let row = read.query_one_raw(asked).await.unwrap().unwrap();
    let found: (String, String) = (row.try_get("", "s").unwrap(), row.try_get("", "t").unwrap());
    assert_eq!(found, ("on".to_owned(), "30s".to_owned()));
}

/// An embedded writer that was overtaken refuses; one on a server ends, for its process to stand by.
#[tokio::test]
async fn a_writer_that_was_overtaken_changes_nothing_and_says_so() {
    for base in [Base::sqlite(), Base::postgres()] {
        let running = start(base.open().await).await;
        running.create("one", "g").await.unwrap();
        let admin = running.database.admin().await.unwrap();
        use sea_orm::ConnectionTrait as _;
        admin
            .execute_unprepared("UPDATE registry_epoch SET epoch = epoch + 1")
            .await
            .unwrap();
        let refused = running.create("two", "g").await.unwrap_err();
        assert!(
            matches!(refused, autopack_store_write::WriteError::TakenOver),
            "{refused}"
        );
        let open = autopack_store::read::open_runs(&running.database.read)
            .await
            .unwrap();
        assert_eq!(open.len(), 1);
        if !running.database.is_embedded() {
            let ended = tokio::time::timeout(Duration::from_secs(5), running.task).await;
            assert!(ended.unwrap().unwrap().is_err());
        }
    }
}
