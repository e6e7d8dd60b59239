//! Small things that the tests here share.

use std::time::Duration;

use autopack_testkit::{Answer, Cluster, Phase, Plan, TempRepo};

/// How long anything here may take.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Submits a plan of so many phases as an operator, the last of which writes a file, and follows it to its end.
#[track_caller]
pub(crate) fn run(cluster: &Cluster, repo: &TempRepo, id: &str, phases: usize) -> Answer {
    let mut plan = Plan::new(id);
    for number in 1..phases {
        plan = plan.phase(Phase::noop(&format!("P{number}")));
    }
    let last = format!("P{phases}");
    let plan = plan
        .phase(Phase::command(&last, "echo x > made.txt"))
        .write(&cluster.folder(id));
    let cli = cluster.cli("operator");
    let submitted = cli.call(&[
        "submit",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
        "--watch",
    ]);
    submitted.expect_code(0);
    cli.ask(&["status", id])
}
