//! The distributed form measured: calibration first, then the scenarios of DURABILITY a.4 over real processes, real
//! PostgreSQL and real nats-server, on this machine.
//!
//! Invariant: one run, one machine, one durability class, printed first; figures of other runs are never compared with
//! these. The binaries are those of `AUTOPACK_BIN_DIR`.
//!
//! `cargo bench -p autopack-tests --bench distributed -- [--quick] [--only b1,b2] [--workers 1,2,4,8]`

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark starts processes, prints, and ends when it cannot go on"
)]

mod backlog;
mod calibrate;
mod chain;
mod fair;
mod faults;
mod jetstream;
mod load;
#[path = "../../../services/autopack/src/bench/numbers.rs"]
mod numbers;
mod processes;
mod rig;

use autopack_testkit::collector::Collector;
use numbers::Line;

/// How much to measure.
struct Sizes {
    chain: usize,
    runs: (usize, usize),
    fan_out: usize,
    diamonds: usize,
    starts: usize,
    /// Runs by phases of the small and of the large backlog.
    backlogs: [(usize, usize); 2],
    flood: usize,
    workers: Vec<usize>,
}

const SCENARIOS: [&str; 11] = [
    "b1", "b2", "b3", "b4", "b5", "b6", "b8", "b9", "b10", "b11", "b12",
];

fn main() {
    let (sizes, only) = arguments();
    println!(
        "durability class: D2 (PostgreSQL, fsync on, synchronous_commit on) with JetStream as D1 (flushed to the \
         system, fsync every 2 minutes; what it loses is offered again)"
    );
    println!(
        "{} processors; binaries of {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        autopack_testkit::autopack::bin_dir().display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let say = |lines: Vec<Line>| lines.iter().for_each(|line| println!("{line}"));
    let calibration = calibrate::run(&runtime);
    say(calibration.lines());
    for name in SCENARIOS {
        if !only.is_empty() && !only.iter().any(|o| o == name) {
            continue;
        }
        match name {
            "b1" => say(runtime.block_on(chain::chain(sizes.chain, &calibration))),
            "b2" => {
                for workers in &sizes.workers {
                    say(runtime.block_on(load::runs(sizes.runs, *workers, "")));
                }
            }
            "b3" => {
                for workers in &sizes.workers {
                    say(runtime.block_on(load::fan_out(sizes.fan_out, *workers)));
                }
            }
            "b4" => say(runtime.block_on(chain::diamonds(sizes.diamonds))),
            "b5" => say(runtime.block_on(chain::start_latency(sizes.starts))),
            "b6" => say(runtime.block_on(backlog::drain(sizes.backlogs))),
            "b8" => say(runtime.block_on(faults::worker_killed())),
            "b9" => say(runtime.block_on(faults::worker_drained())),
            "b10" => say(runtime.block_on(faults::servers_killed())),
            "b11" => say(runtime.block_on(fair::noisy_neighbour(sizes.flood, sizes.starts))),
            _ => {
                let collector = Collector::start();
                let endpoint = collector.endpoint();
                say(runtime.block_on(fair::tracing_cost(sizes.runs, &endpoint)));
            }
        }
    }
}

fn arguments() -> (Sizes, Vec<String>) {
    let mut sizes = Sizes {
        chain: 200,
        runs: (300, 10),
        fan_out: 5000,
        diamonds: 20,
        starts: 20,
        backlogs: [(500, 40), (500, 200)],
        flood: 20_000,
        workers: vec![1, 2, 4, 8],
    };
    let mut only = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--quick" => {
                sizes = Sizes {
                    chain: 50,
                    runs: (30, 10),
                    fan_out: 500,
                    diamonds: 5,
                    starts: 5,
                    backlogs: [(20, 50), (50, 100)],
                    flood: 2000,
                    workers: sizes.workers,
                }
            }
            "--only" => only = list(&words.next().unwrap_or_default()),
            "--workers" => {
                let numbers = list(&words.next().unwrap_or_default());
                sizes.workers = numbers.iter().filter_map(|n| n.parse().ok()).collect();
            }
            other => panic!("{other} is not known; see the head of this file"),
        }
    }
    (sizes, only)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).collect()
}
