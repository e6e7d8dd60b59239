//! A promotion over separate processes, PostgreSQL and nats, with a worker that dies in it.

use autopack_testkit::program::within;
use autopack_testkit::{Cluster, TempRepo};

use crate::rig::{BOUND, run};

#[test]
fn a_promotion_outlives_the_worker_that_moved_the_branch() {
    let repo = TempRepo::small();
    repo.git(&["branch", "release"]);
    let base = repo.git(&["rev-parse", "release"]);
    let mut cluster = Cluster::up(1);
    let status = run(&cluster, &repo, "demo", 2);
    assert_eq!(status.json["state"], "DONE_SUCCESS");
    assert_eq!(cluster.workers[0].stop(), Some(0));
    cluster.workers[0].set("AUTOPACK_FAILPOINT", "worker.promote_moved=1");
    cluster.workers[0].start();
    let cli = cluster.cli("operator");
    let mut asking = cli.command(&["promote", "demo", "--to", "release", "--json"]);
    let asking = asking.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let tip = || repo.git(&["rev-parse", "refs/heads/release"]);
    within(BOUND, "the worker has moved the branch and died", || {
        (tip() != base && !cluster.workers[0].is_running()).then_some(())
    });
    cluster.add_worker();
    let done = asking.wait_with_output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["state"], "LANDED", "{answer:#}");
    assert_eq!(answer["landed_commit"], tip().as_str());
    assert_eq!(tip(), repo.branch("demo").unwrap());
    let shown = cli.read(&["integration", "demo", "--refresh", "--to", "release"]);
    assert_eq!(shown["target"]["ahead"], 0, "{shown:#}");
    assert_eq!(shown["promotions"].as_array().unwrap().len(), 1);
    // Who may only read is told so.
    let reader = cluster.cli("reader");
    reader.call(&["promote", "demo"]).expect_code(1);
    reader.read(&["integration", "demo"]);
}
