//! Several plans in one command.

use autopack_testkit::repo::write;
use autopack_testkit::series::adding;
use autopack_testkit::{Answer, Autopack, Phase, Plan, TempRepo};
use serde_json::json;

use crate::rig::HUMAN;

fn plan(id: &str, phase: Phase) -> Plan {
    Plan::new(id).phase(phase)
}

fn run(autopack: &Autopack, repo: &TempRepo, plans: &[&str]) -> Answer {
    let mut args = vec!["run"];
    args.extend(plans);
    args.extend([
        "--repo",
        repo.path().to_str().unwrap(),
        "--max-concurrent",
        "2",
    ]);
    autopack.ask(&args)
}

#[test]
fn one_failure_does_not_stop_the_rest_and_results_keep_their_order() {
    let repo = TempRepo::small();
    let before = repo.fingerprint();
    let autopack = Autopack::new();
    let slow = plan("slow", Phase::command("P1", "sleep 1; echo x > slow.txt"));
    let red = plan(
        "red",
        Phase::patch("P1", adding("red.txt", "x\n")).check("test ! -e red.txt"),
    );
    let quick = plan("quick", Phase::patch("P1", adding("quick.txt", "x\n")));
    let files: Vec<String> = [("a", slow), ("b", red), ("d", quick)]
        .iter()
        .map(|(folder, plan)| {
            plan.write(&autopack.folder(folder))
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    write(
        &autopack.folder("c"),
        "plan.yaml",
        "schema: autopack/plan/v1\nrun: {}\n",
    );
    let bad = autopack
        .folder("c")
        .join("plan.yaml")
        .to_str()
        .unwrap()
        .to_owned();
    let order = [
        files[0].as_str(),
        files[1].as_str(),
        bad.as_str(),
        files[2].as_str(),
    ];
    let answer = run(&autopack, &repo, &order);
    answer.done.expect_code(3);
    let results = answer.json["results"].as_array().unwrap();
    let plans: Vec<&str> = results
        .iter()
        .map(|result| result["plan"].as_str().unwrap())
        .collect();
    assert_eq!(plans, order);
    let states: Vec<&str> = results
        .iter()
        .map(|result| result["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["DONE_SUCCESS", HUMAN, "ERROR", "DONE_SUCCESS"]);
    assert_eq!(results[2]["error"]["code"], "PLAN_INVALID");
    assert_eq!(
        (
            &answer.json["total"],
            &answer.json["succeeded"],
            &answer.json["failed"]
        ),
        (&json!(4), &json!(2), &json!(2))
    );
    assert!(
        repo.branch("slow").is_some()
            && repo.branch("quick").is_some()
            && repo.branch("red").is_none()
    );
    before.expect_same(&repo.fingerprint());
    // The same again: everything has ended, and the report for people is Markdown in the same order.
    let mut args = vec!["run"];
    args.extend(order);
    args.extend(["--repo", repo.path().to_str().unwrap()]);
    let text = autopack.call(&args);
    text.expect_code(3);
    assert!(
        text.stdout.starts_with("# Runs\n") && text.stdout.contains("**Succeeded:** 2 (50 %)"),
        "{}",
        text.stdout
    );
    let places: Vec<usize> = order
        .iter()
        .map(|plan| text.stdout.find(*plan).unwrap())
        .collect();
    assert!(places.is_sorted());
}

#[test]
fn a_plan_given_twice_is_one_run_and_two_plans_of_one_id_are_told_apart() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let one =
        plan("demo", Phase::patch("P1", adding("a.txt", "a\n"))).write(&autopack.folder("one"));
    let two =
        plan("demo", Phase::patch("P1", adding("b.txt", "b\n"))).write(&autopack.folder("two"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let answer = run(&autopack, &repo, &[one, one]);
    answer.done.expect_code(0);
    assert_eq!(
        (&answer.json["total"], &answer.json["results"][0]["run"]),
        (&json!(1), &json!("demo"))
    );
    assert_eq!(autopack.read(&["runs"]).as_array().unwrap().len(), 1);
    let answer = run(&autopack, &repo, &[one, two]);
    answer.done.expect_code(1);
    assert_eq!(answer.json["results"][0]["state"], "DONE_SUCCESS");
    assert_eq!(answer.json["results"][1]["error"]["code"], "RUN_EXISTS");
}

#[test]
fn ids_are_derived_from_goal_and_content() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let mut files = Vec::new();
    for name in ["a", "b"] {
        let text = format!(
            "schema: autopack/plan/v1\nrun: {{ goal: Add a file }}\ntiers:\n  - id: T1\n    phases:\n      - id: P1\n        goal: g\n        builder: {{ kind: command, run: echo {name} > {name}.txt }}\n        gate: {{ steps: [] }}\n"
        );
        write(&autopack.folder(name), "plan.yaml", text);
        files.push(
            autopack
                .folder(name)
                .join("plan.yaml")
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    let answer = run(&autopack, &repo, &[&files[0], &files[1]]);
    answer.done.expect_code(0);
    let ids: Vec<&str> = answer.json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["run"].as_str().unwrap())
        .collect();
    assert!(
        ids[0] != ids[1] && ids.iter().all(|id| id.starts_with("add-a-file-")),
        "{ids:?}"
    );
    assert!(
        repo.landed_file(ids[0], "a.txt").is_some() && repo.landed_file(ids[1], "b.txt").is_some()
    );
}
