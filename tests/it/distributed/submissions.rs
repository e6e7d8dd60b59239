//! Builder, auditor and operator at separate keys, with the services apart.

use autopack_testkit::program::within;
use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Cluster, Phase, Plan, TempRepo};
use serde_json::{Value, json};

use crate::rig::BOUND;

#[track_caller]
fn until_awaited(cli: &Autopack, what: &str) {
    within(BOUND, &format!("P1 waits for the {what}"), || {
        let status = cli.ask(&["status", "demo"]).json;
        (status["phases"][0]["handoff"]["awaited"] == what).then_some(())
    });
}

#[test]
fn a_result_is_submitted_audited_and_landed_across_a_restart_of_the_registry() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(1);
    let external = json!({ "kind": "external", "audit": true });
    let plan = Plan::new("demo")
        .phase(Phase::noop("P1").set("builder", external))
        .write(&cluster.folder("demo"));
    let operator = cluster.cli("operator");
    let (plan, target) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    operator
        .call(&["submit", plan, "--repo", target])
        .expect_code(0);
    until_awaited(&operator, "submission");
    assert_eq!(
        cluster.registry.metric("autopack_registry_leases"),
        Some(0.0)
    );

    let patch = cluster.folder("patch").join("made.patch");
    std::fs::write(&patch, adding("made.txt", "good\n")).unwrap();
    let patch = patch.to_str().unwrap();
    let submit = [
        "submit-result",
        "demo",
        "P1",
        "--builder",
        "bot",
        "--patch",
        patch,
        "--tokens",
        "70",
    ];
    let audit = [
        "audit",
        "demo",
        "P1",
        "approve",
        "--auditor",
        "ada",
        "--tokens",
        "5",
    ];
    for (role, args) in [
        ("auditor", &submit[..]),
        ("reader", &submit),
        ("builder", &audit),
    ] {
        let denied = cluster.cli(role).call(args);
        denied.expect_code(1);
        assert!(
            denied.stderr.contains("PERMISSION_DENIED"),
            "{}",
            denied.stderr
        );
    }
    cluster.cli("builder").call(&submit).expect_code(0);
    until_awaited(&operator, "audit");

    cluster.registry.kill();
    cluster.registry.start();
    cluster.registry.ready();
    cluster.cli("auditor").call(&audit).expect_code(0);
    operator.call(&["watch", "demo"]).expect_code(0);
    let status: Value = operator.ask(&["status", "demo"]).json;
    assert_eq!(status["state"], "DONE_SUCCESS", "{status:#}");
    assert_eq!(status["phases"][0]["tokens"]["settled"], 75);
    assert_eq!(
        repo.landed_file("demo", "made.txt").as_deref(),
        Some("good\n")
    );
}
