//! S1: every service in one process over SQLite.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use autopack_testkit::{Autopack, Dialect, Many, TempRepo};
use autopack_wire::client::Clients;

use crate::{ask, numbers::Line, template};

/// Executes the statements that it reads, one JSON list of them; prints the rows of the last one.
const EXECUTE: &str = "
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for name, value in (('journal_mode', 'OFF'), ('synchronous', 'OFF'), ('cache_size', '-200000')):
    db.execute(f'PRAGMA {name} = {value}')
rows = []
for sql in json.load(sys.stdin):
    rows = db.execute(sql).fetchall()
for row in rows:
    print(row[0])
db.execute('PRAGMA journal_mode = WAL')
";

/// The copies wait for nobody, so the scheduler and the worker beside the registry have nothing to do.
pub(crate) async fn measure(many: Many) -> Vec<Line> {
    let autopack = Autopack::new();
    let repo = TempRepo::small();
    let up = autopack.up(&["--workers", "1"]);
    template::store(&connect(&autopack), &repo).await;
    up.stop();
    let file = autopack.data().join("db/registry.sqlite");
    let filled = Instant::now();
    let columns = |table: &str| {
        execute(
            &file,
            &[format!(
                "SELECT name FROM pragma_table_info('{table}') ORDER BY cid"
            )],
        )
    };
    let statements = many.statements(Dialect::Sqlite, template::ID, &columns);
    execute(&file, &statements);
    let size = std::fs::metadata(&file).unwrap().len() as f64 / 1_048_576.0;
    let filled = filled.elapsed().as_secs_f64();
    let began = Instant::now();
    let up = autopack.up(&["--workers", "1"]);
    let serving = began.elapsed().as_secs_f64();
    let clients = connect(&autopack);
    let mut lines = vec![
        Line::plain("S1", "SQLite: rows stored in", filled, "s"),
        Line::plain("S1", "size of the database", size, "MiB"),
        Line::plain(
            "S1",
            "from the start of the process until it answers",
            serving,
            "s",
        )
        .at_most(10.0, "first aim"),
    ];
    lines.extend(ask::every_question("S1", &clients, many).await);
    lines.extend(ask::self_check("S1", &clients, up.id()).await);
    up.stop();
    lines
}

fn connect(autopack: &Autopack) -> Clients {
    let read = |name: &str| std::fs::read_to_string(autopack.data().join(name)).unwrap();
    let told: serde_json::Value = serde_json::from_str(&read("registry.json")).unwrap();
    let tcp = told["tcp"].as_str().unwrap_or_else(|| panic!("{told}"));
    let address = if tcp.starts_with("http") {
        tcp.to_owned()
    } else {
        format!("http://{tcp}")
    };
    Clients::connect_http(&address, Some(read("token").trim())).unwrap()
}

/// The first column of the last statement's rows.
fn execute(file: &Path, statements: &[String]) -> Vec<String> {
    let mut python = Command::new("python3")
        .args(["-c", EXECUTE])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = python.stdin.take().unwrap();
    serde_json::to_writer(input, statements).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "the statements failed");
    String::from_utf8_lossy(&done.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}
