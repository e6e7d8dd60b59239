//! The PostgreSQL server of the testkit: it starts, survives, ends with its process, and leaves others alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

use std::time::Duration;

use autopack_testkit::{Postgres, within};

#[test]
fn a_server_comes_back_after_a_kill_and_after_a_shutdown_with_what_was_committed() {
    let server = Postgres::start();
    let database = server.database();
    database.sql("CREATE TABLE t (n INT)");
    for (round, end) in [Postgres::kill as fn(&Postgres), Postgres::stop]
        .iter()
        .enumerate()
    {
        database.sql(&format!("INSERT INTO t VALUES ({round})"));
        end(&server);
        assert!(database.try_sql("SELECT 1").is_err());
        server.resume();
        assert_eq!(
            database.sql("SELECT count(*) FROM t"),
            (round + 1).to_string()
        );
    }
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let server = Postgres::start();
    let database = server.database();
    server.freeze();
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| database.sql("SELECT 7"));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!asked.is_finished(), "a frozen server does not answer");
        server.thaw();
        asked.join().unwrap()
    });
    assert_eq!(answer, "7");
}

#[test]
fn a_database_that_the_testkit_did_not_create_is_refused() {
    let server = Postgres::shared();
    for foreign in [
        "postgres",
        "template1",
        "no_such_database",
        "x; DROP DATABASE y",
    ] {
        let refused = server.existing(foreign).unwrap_err();
        assert!(refused.contains(foreign), "{refused}");
    }
    let own = server.database();
    own.sql("CREATE TABLE t (n INT)");
    let again = server.existing(own.name()).unwrap();
    assert_eq!(again.sql("SELECT count(*) FROM t"), "0");
    drop(again);
    let copy = server.database_like(&own);
    assert_eq!(copy.sql("SELECT count(*) FROM t"), "0");
}

#[test]
fn a_server_ends_with_its_value_and_leaves_nothing() {
    let server = Postgres::start();
    let port = server.port();
    drop(server);
    let free = || {
        std::net::TcpListener::bind(("127.0.0.1", port))
            .ok()
            .map(drop)
    };
    within(Duration::from_secs(10), "the port is free again", free);
}
