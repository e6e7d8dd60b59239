//! What a batch costs on a server that syncs: round trips and time, printed; bounds on what does not depend on
//! the disk.

use std::time::{Duration, Instant};

use autopack_testkit::Postgres;

use crate::base::{open, start};

/// Commands in flight.
const WIDTHS: [usize; 3] = [1, 16, 128];
/// Runs created at each width.
const RUNS: usize = 256;

#[tokio::test]
async fn commands_that_arrive_together_share_a_commit() {
    let server = Postgres::start_durable();
    let base = server.database();
    let running = start(open(&base.url(), Duration::from_secs(15)).await).await;
    running.create("first", "g").await.unwrap();
    for width in WIDTHS {
        let before = running.handle.stats();
        let since = Instant::now();
        let ids: Vec<String> = (0..RUNS).map(|n| format!("w{width}-{n}")).collect();
        for group in ids.chunks(width) {
            let made = futures::future::join_all(group.iter().map(|id| running.create(id, "g")));
            assert!(made.await.iter().all(Result::is_ok));
        }
        let took = since.elapsed();
        let commits = running.handle.stats().commits - before.commits;
        eprintln!(
            "{width} in flight: {RUNS} runs in {took:?}, {commits} commits, {:?} a commit, {:.0} runs/s",
            took / u32::try_from(commits).unwrap(),
            RUNS as f64 / took.as_secs_f64()
        );
        assert!(
            commits <= (RUNS.div_ceil(width) * 2) as u64,
            "{commits} commits"
        );
    }
}
