//! The PostgreSQL server of the testkit: it starts, survives, ends with its process, and leaves others alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot unwrap has failed"
)]

use std::sync::atomic::{AtomicBool, Ordering};
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

const BOUND: Duration = Duration::from_secs(20);

/// Whether a psql has sent its request to this database, or what comes before, and sleeps until there is an answer.
fn asks(database: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.map(|process| process.path()).any(|path| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let is_psql = words.next().is_some_and(|word| word.ends_with(b"/psql"));
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let socket = std::fs::read_dir(path.join("fd")).is_ok_and(|open| {
            open.flatten().any(|fd| {
                std::fs::read_link(fd.path())
                    .is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
            })
        });
        is_psql && words.any(|word| word == database.as_bytes()) && socket && stat.contains(") S ")
    })
}

#[test]
fn a_frozen_server_answers_when_it_is_thawed() {
    let server = Postgres::start();
    let database = server.database();
    server.freeze();
    let thawed = AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let answer = database.sql("SELECT 7");
            (answer, thawed.load(Ordering::SeqCst))
        });
        // Without a panic in between: the thread would wait for ever.
        let since = std::time::Instant::now();
        while !asks(database.name()) && since.elapsed() < BOUND {
            std::thread::sleep(Duration::from_millis(5));
        }
        let asked_before = asks(database.name());
        thawed.store(true, Ordering::SeqCst);
        server.thaw();
        assert!(asked_before, "psql does not wait for its answer");
        asked.join().unwrap()
    });
    let message = "a frozen server does not answer";
    assert_eq!(answer, ("7".to_owned(), true), "{message}");
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
