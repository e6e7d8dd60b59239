//! B0: what the machine gives at this moment. Printed, no aim.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use autopack_testkit::Postgres;
use autopack_wire::registry as pb;
use tokio::runtime::Runtime;

use crate::jetstream;
use crate::numbers::{Line, percentile};
use crate::rig::Rig;

/// Samples of each.
const ROUNDS: usize = 300;

/// The samples that ratios are taken of.
pub(crate) struct Calibration {
    sync: Vec<Duration>,
    commit: Vec<Duration>,
    hop: Vec<Duration>,
    call: Vec<Duration>,
}

impl Calibration {
    /// Three commits, two hops and four calls: what a phase of a chain cannot do without.
    pub(crate) fn chain_floor(&self) -> f64 {
        let p50 = |samples: &[Duration]| percentile(samples, 0.5);
        3.0 * p50(&self.commit) + 2.0 * p50(&self.hop) + 4.0 * p50(&self.call)
    }

    /// The block that is printed first.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (what, samples) in [
            ("append 256 B + fdatasync", &self.sync),
            ("PostgreSQL, one row a transaction", &self.commit),
            ("JetStream: publish, ack, pull, double ack", &self.hop),
            ("gRPC unary over TCP", &self.call),
        ] {
            for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
                let figure = percentile(samples, share);
                lines.push(Line::plain("B0", format!("{what}, {name}"), figure, "ms"));
            }
        }
        lines.push(Line::plain(
            "B0",
            "floor of a chain: 3 commits + 2 hops + 4 calls",
            self.chain_floor(),
            "ms",
        ));
        lines
    }
}

pub(crate) fn run(runtime: &Runtime) -> Calibration {
    let rig = runtime.block_on(async { Rig::start(0, 1) });
    let call = runtime.block_on(async {
        let mut registry = rig.clients.registry.clone();
        let mut spans = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let asked = registry.list_runs(pb::ListRunsRequest::default()).await;
            asked.unwrap();
            spans.push(start.elapsed());
        }
        spans
    });
    Calibration {
        sync: sync(),
        commit: commits(),
        hop: jetstream::hops(&rig.cluster.nats.url(), ROUNDS),
        call,
    }
}

fn sync() -> Vec<Duration> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let block = [b'x'; 256];
    let one = |_| {
        let start = Instant::now();
        file.write_all(&block).unwrap();
        file.as_file().sync_data().unwrap();
        start.elapsed()
    };
    (0..ROUNDS).map(one).collect()
}

/// By PostgreSQL's own pgbench, one client.
fn commits() -> Vec<Duration> {
    let server = Postgres::start_durable();
    let database = server.database();
    database.sql("CREATE TABLE calibration (id bigserial PRIMARY KEY, body text)");
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("one.sql");
    std::fs::write(
        &script,
        "INSERT INTO calibration (body) VALUES (repeat('x', 256));\n",
    )
    .unwrap();
    let done = Command::new(server.bin().join("pgbench"))
        .args([
            "-n",
            "-c",
            "1",
            "-M",
            "prepared",
            "-t",
            &ROUNDS.to_string(),
            "-l",
            "-f",
        ])
        .arg(&script)
        .arg(database.url())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "pgbench: {said}");
    let logs = std::fs::read_dir(folder.path()).unwrap().flatten();
    let log = logs
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("pgbench_log"));
    // client, transaction, microseconds, ...
    let text = std::fs::read_to_string(log.unwrap()).unwrap();
    let third = |line: &str| line.split(' ').nth(2)?.parse().ok();
    text.lines()
        .filter_map(third)
        .map(Duration::from_micros)
        .collect()
}
