//! Reads of a registry that holds 100,000 runs with 2,000,000 phases: each through the gRPC API of a real process, over
//! SQLite and over PostgreSQL.
//!
//! Invariant: the rows are copies of a run that the registry itself has stored, made below it, and gone afterwards. The
//! aims are those of the read alone: one caller at a time, on this machine. The binaries are those of `AUTOPACK_BIN_DIR`.
//!
//! `cargo bench -p autopack-tests --bench scale -- [--quick] [--only sqlite,postgres]`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark starts processes, prints, and ends when it cannot go on"
)]

mod ask;
#[allow(dead_code, reason = "aims of other benchmarks are lower bounds")]
#[path = "../../../services/autopack/src/bench/numbers.rs"]
mod numbers;
mod postgres;
mod sqlite;
mod template;

use autopack_testkit::Many;
use numbers::Line;

fn main() {
    let mut many = Many {
        runs: 100_000,
        projects: 20,
        backlog: 5_000,
    };
    let mut only = vec!["sqlite".to_owned(), "postgres".to_owned()];
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--quick" => many.runs = 5_000,
            "--only" => {
                let list = words.next().unwrap_or_default();
                only = list.split(',').map(|word| word.trim().to_owned()).collect();
            }
            other => panic!("{other} is not known; see the head of this file"),
        }
    }
    println!(
        "{} runs, {} phases, {} projects with {} open issues each; binaries of {}",
        many.runs,
        many.runs as usize * template::PHASES,
        many.projects,
        many.backlog,
        autopack_testkit::autopack::bin_dir().display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let say = |lines: Vec<Line>| lines.iter().for_each(|line| println!("{line}"));
    for name in only {
        match name.as_str() {
            "sqlite" => say(runtime.block_on(sqlite::measure(many))),
            "postgres" => say(runtime.block_on(postgres::measure(many))),
            other => panic!("{other} is not a database; see the head of this file"),
        }
    }
}
