//! Two registries on different databases behind one address, and one bus under both.

use autopack_testkit::cluster::Node;
use autopack_testkit::program::within;
use autopack_testkit::proxy::{Mode, Proxy};
use autopack_testkit::{Cluster, TempRepo};

use crate::rig::{BOUND, run};

fn is_ready(node: &Node) -> bool {
    node.page("/readyz").is_some_and(|(code, _)| code == 200)
}

/// A registry of its own, serving.
fn served() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.registry.start();
    cluster.registry.ready();
    cluster
}

/// BUILD-129: the caller worked on one database and the server on another, and neither knew.
#[test]
fn scenario_two_servers_on_different_databases() {
    let (mut one, two) = (served(), served());
    let proxy = Proxy::to(one.registry.socket());
    let address = format!("http://{}", proxy.address());
    let at = [("AUTOPACK_REGISTRY", address.as_str())];
    one.add_scheduler_with(&at).ready();
    one.add_worker_with(&at).ready();
    one.telemetry.set("AUTOPACK_REGISTRY", &address);
    one.telemetry.start();
    one.telemetry.ready();
    let nodes = |one: &Cluster| -> Vec<(bool, String)> {
        [&one.schedulers[0], &one.workers[0], &one.telemetry]
            .map(|node| (is_ready(node), node.log_text()))
            .into()
    };

    // The address leads to the other registry from one connection to the next.
    proxy.retarget(two.registry.socket());
    proxy.set(Mode::Cut);
    within(BOUND, "the registry is missed", || {
        nodes(&one).iter().all(|(ready, _)| !ready).then_some(())
    });
    proxy.set(Mode::Pass);
    within(BOUND, "every service refuses the other database", || {
        let refuses = |(ready, log): &(bool, String)| !ready && log.contains("DATABASE_MISMATCH");
        nodes(&one).iter().all(refuses).then_some(())
    });
    let theirs = two.cli("operator");
    let workers = theirs.read(&["workers"]);
    assert_eq!(workers.as_array().map(Vec::len), Some(0), "{workers}");

    // Back at the right one everything goes on by itself.
    proxy.retarget(one.registry.socket());
    proxy.set(Mode::Cut);
    within(BOUND, "the wrong registry is let go", || {
        let last = |log: &str| log.rsplit("does not serve us").next().map(str::to_owned);
        let is_gone = |log: &str| last(log).is_some_and(|said| !said.contains("DATABASE_MISMATCH"));
        nodes(&one)
            .iter()
            .all(|(_, log)| is_gone(log))
            .then_some(())
    });
    proxy.set(Mode::Pass);
    within(BOUND, "every service is back", || {
        nodes(&one).iter().all(|(ready, _)| *ready).then_some(())
    });
    let repo = TempRepo::small();
    let done = run(&one, &repo, "after", 1);
    assert_eq!(done.json["state"], "DONE_SUCCESS", "{done:?}");
}

#[test]
fn the_command_line_and_a_service_refuse_a_database_that_they_were_not_told_of() {
    let (mut one, two) = (served(), served());
    let (ours, theirs) = (one.cli("operator"), two.cli("operator"));
    let identity = ours.read(&["info"])["database_identity"].clone();
    let identity = identity.as_str().unwrap().to_owned();
    assert_eq!(identity.len(), 32);
    let told = |cli: autopack_testkit::Autopack| cli.with("AUTOPACK_DATABASE_IDENTITY", &identity);
    told(ours).call(&["runs"]).expect_code(0);
    let refused = told(theirs).call(&["runs"]);
    refused.expect_code(1);
    assert!(refused.stderr.contains("DATABASE_MISMATCH"), "{refused:?}");
    assert!(refused.stderr.contains(&identity), "{refused:?}");

    let at = [("AUTOPACK_REGISTRY__DATABASE_IDENTITY", "0".repeat(32))];
    let at: Vec<(&str, &str)> = at
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let worker = one.add_worker_with(&at);
    within(BOUND, "the worker refuses", || {
        let over = !worker.is_running() || worker.log_text().contains("DATABASE_MISMATCH");
        over.then_some(())
    });
    assert!(
        worker.log_text().contains("DATABASE_MISMATCH"),
        "{}",
        worker.log_text()
    );
    assert!(!is_ready(worker));
}

/// A job of another deployment on the same bus is left alone: it is still there for its own worker.
#[test]
fn a_job_of_another_database_on_the_same_bus_is_left_to_its_own_workers() {
    let mut one = served();
    let mut two = Cluster::new();
    let bus = one.nats.url();
    two.set_all("AUTOPACK_BUS", &bus);
    two.registry.start();
    two.registry.ready();
    // This worker is on the bus of the first deployment and at the registry of the second.
    two.add_worker().ready();
    one.add_scheduler().ready();
    let repo = TempRepo::small();
    let plan = autopack_testkit::Plan::new("demo").phase(autopack_testkit::Phase::noop("P1"));
    let plan = plan.write(&one.folder("demo"));
    let cli = one.cli("operator");
    let args = [
        "submit",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ];
    cli.call(&args).expect_code(0);
    within(BOUND, "the wrong worker sees the job and says so", || {
        two.workers[0]
            .log_text()
            .contains("DATABASE_MISMATCH")
            .then_some(())
    });
    one.add_worker().ready();
    cli.call(&["watch", "demo"]).expect_code(0);
    assert_eq!(cli.status("demo")["state"], "DONE_SUCCESS");
}
