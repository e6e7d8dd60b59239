//! Usage facts of a data directory, as they are stored.
//!
//! Invariant: the database is opened for reading only, and after the process that wrote it has ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use autopack_testkit::program;
use serde_json::Value;

const SUMS: &str = "
import json, sqlite3, sys
db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
rows = db.execute('SELECT attempt_uid, SUM(total) FROM usage_event GROUP BY attempt_uid')
print(json.dumps({uid: total for uid, total in rows}))
";

/// Tokens that were recorded for each attempt.
#[track_caller]
pub(crate) fn recorded(data: &Path) -> BTreeMap<String, u64> {
    let file = data.join("db/registry.sqlite");
    let mut command = Command::new("python3");
    command.args(["-c", SUMS, file.to_str().unwrap()]);
    let done = program::run(&mut command, Duration::from_secs(30));
    let sums: Value = serde_json::from_str(&done.expect_code(0).stdout).unwrap();
    let sums = sums.as_object().unwrap().iter();
    sums.map(|(uid, total)| (uid.clone(), total.as_u64().unwrap())).collect()
}
