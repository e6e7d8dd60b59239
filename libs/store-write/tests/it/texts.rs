//! Whatever a text holds, it is stored as it is and does nothing.

use autopack_store::read;

use crate::base::{Base, both, start};

both!(
    any_text_is_stored_as_it_is,
    a_batch_of_many_rows_is_one_commit_with_gapless_events,
    a_run_of_the_same_id_is_refused_and_its_neighbours_are_stored,
);

const TEXTS: &[&str] = &[
    "plain",
    "it's",
    "'; DROP TABLE run; --",
    "\\'; DROP TABLE run; --",
    "E'\\x27' || $1 $$ $tag$ ? :name",
    "two\nlines\ttab \u{1a} \u{7f} \\n \\0",
    "snow \u{2603} \u{1f600} \u{202e}",
    "/* -- */ \"quoted\" %s {} ${HOME}",
];

async fn any_text_is_stored_as_it_is(base: Base) {
    let running = start(base.open().await).await;
    for (n, text) in TEXTS.iter().enumerate() {
        let stored = running.create(&format!("r{n}"), text).await.unwrap();
        let found = read::run(&running.database.read, stored.uid).await.unwrap();
        assert_eq!(found.unwrap().goal, *text);
    }
    // NUL is the one character that PostgreSQL cannot store.
    let stored = running.create("nul", "a\0b").await.unwrap();
    let found = read::run(&running.database.read, stored.uid).await.unwrap();
    let goal = found.unwrap().goal;
    assert!(["a\0b", "a\u{fffd}b"].contains(&goal.as_str()), "{goal:?}");
}

async fn a_batch_of_many_rows_is_one_commit_with_gapless_events(base: Base) {
    let running = start(base.open().await).await;
    running.create("first", "g").await.unwrap();
    let before = running.handle.stats();
    let ids: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    let created = futures::future::join_all(ids.iter().map(|id| running.create(id, "g"))).await;
    assert!(created.iter().all(Result::is_ok));
    let after = running.handle.stats();
    assert!(after.commits - before.commits <= 10, "{after:?}");
    let events = read::events(&running.database.read, 0, 10_000)
        .await
        .unwrap();
    let numbers: Vec<u64> = events.iter().map(|e| e.sequence).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let open = read::open_runs(&running.database.read).await.unwrap();
    assert_eq!(open.len(), 201);
    for uid in open {
        let run = read::aggregate(&running.database.read, uid).await.unwrap();
        assert_eq!(run.unwrap().phases.len(), 2);
    }
}

async fn a_run_of_the_same_id_is_refused_and_its_neighbours_are_stored(base: Base) {
    let running = start(base.open().await).await;
    let ids = ["one", "two", "ONE", "three"];
    let created = futures::future::join_all(ids.iter().map(|id| running.create(id, "g"))).await;
    let stored: Vec<bool> = created.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, true, false, true]);
    assert_eq!(
        read::open_runs(&running.database.read).await.unwrap().len(),
        3
    );
}
