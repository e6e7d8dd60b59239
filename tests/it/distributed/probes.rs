//! Probes over separate processes, PostgreSQL and nats.

use autopack_testkit::{Cluster, TempRepo};
use serde_json::json;

#[test]
fn probes_pass_over_the_services_apart_and_say_what_they_need_there() {
    let (repo, cluster) = (TempRepo::small(), Cluster::up(1));
    let (cli, place) = (cluster.cli("operator"), repo.path().to_str().unwrap());
    for probe in ["run-state", "issues", "complete"] {
        let answer = cli.ask(&["doctor", "--probe", probe, "--repo", place]);
        answer.done.expect_code(0);
        assert_eq!(answer.json["findings"], json!([]), "{:#}", answer.json);
    }
    let runs = cli.read(&["runs", "--project", "autopack-probe"]);
    for run in runs.as_array().unwrap() {
        assert!(run["state"].as_str().unwrap().starts_with("DONE_"), "{run}");
    }
    // The data directory of this machine is not the workers'.
    let unnamed = cli.call(&["doctor", "--probe", "issues"]);
    unnamed.expect_code(2);
    assert!(unnamed.stderr.contains("--repo"), "{unnamed:?}");
    let reader = cluster.cli("reader");
    let refused = reader.ask(&["doctor", "--probe", "issues", "--repo", place]);
    refused.done.expect_code(1);
    let finding = &refused.json["findings"][0];
    assert_eq!(finding["code"], "PROBE_FAILED");
    let what = finding["what"].as_str().unwrap();
    assert!(what.contains("PERMISSION_DENIED"), "{finding}");
}
