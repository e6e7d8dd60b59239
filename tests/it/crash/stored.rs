//! What a data directory holds, as it is stored.
//!
//! Invariant: the database is opened for reading only, and after the process that wrote it has ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use autopack_testkit::program;
use serde_json::Value;

const QUERY: &str = "
import json, sqlite3, sys
db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
one = lambda sql: db.execute(sql).fetchone()
print(json.dumps({
    'usage': dict(db.execute('SELECT attempt_uid, SUM(total) FROM usage_event GROUP BY attempt_uid').fetchall()),
    'events': one('SELECT COUNT(*), COUNT(DISTINCT run_sequence), MIN(run_sequence), MAX(run_sequence) FROM event'),
    'global': one('SELECT COUNT(*), MIN(sequence), MAX(sequence) FROM event'),
    'check': one('PRAGMA integrity_check')[0],
}))
";

/// What the database says.
pub(crate) struct Stored {
    /// Tokens that were recorded for each attempt.
    pub(crate) usage: BTreeMap<String, u64>,
}

/// Reads it; fails if the database is damaged or the event log has a gap.
#[track_caller]
pub(crate) fn read(data: &Path) -> Stored {
    let file = data.join("db/registry.sqlite");
    let mut command = Command::new("python3");
    command.args(["-c", QUERY, file.to_str().unwrap()]);
    let done = program::run(&mut command, Duration::from_secs(30));
    let found: Value = serde_json::from_str(&done.expect_code(0).stdout).unwrap();
    assert_eq!(found["check"], "ok", "the database's own check");
    let numbers = |name: &str| -> Vec<u64> {
        found[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.as_u64().unwrap())
            .collect()
    };
    let (events, global) = (numbers("events"), numbers("global"));
    assert_eq!(
        events[1..],
        [events[0], 1, events[0]],
        "the numbers of the run's events have no gap"
    );
    assert_eq!(global[1..], [1, global[0]], "the event log has no gap");
    let usage = found["usage"].as_object().unwrap().iter();
    Stored {
        usage: usage
            .map(|(uid, total)| (uid.clone(), total.as_u64().unwrap()))
            .collect(),
    }
}
