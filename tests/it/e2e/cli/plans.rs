//! Plans before a run: every fault at once, every default with its source, a builder for those without.

use autopack_testkit::repo::write;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::{Value, json};

const BAD: &str = "\
schema: autopack/plan/v1
run:
  id: 'not an id!'
  safety_profile: reckless
  colour: blue
tiers:
  - id: T1
    phases:
      - id: P1
        goal: g
        complexity: simple
        depends_on: [P9]
        builder: { kind: patch }
      - id: P1
        builder: { kind: robot }
        gate: { steps: [{ run: '' , kind: maybe }] }
";

fn paths(answer: &Value) -> Vec<String> {
    let faults = answer["faults"].as_array().unwrap();
    faults
        .iter()
        .map(|fault| fault["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_fault_of_a_plan_is_listed_at_once() {
    let autopack = Autopack::new();
    let folder = autopack.folder("plan");
    write(&folder, "bad.yaml", BAD);
    let plan = folder.join("bad.yaml");
    let answer = autopack.ask(&["plan", "validate", plan.to_str().unwrap()]);
    answer.done.expect_code(1);
    assert_eq!(answer.json["valid"], false);
    let found = paths(&answer.json);
    for part in [
        "run.id",
        "run.goal",
        "run.safety_profile",
        "run.colour",
        "complexity",
        "depends_on",
        "builder",
        "phases[1].id",
        "kind",
        "run",
    ] {
        assert!(
            found.iter().any(|path| path.contains(part)),
            "no fault at {part}: {found:#?}"
        );
    }
    assert!(found.len() >= 9, "{found:#?}");
    let profile = answer.json["faults"]
        .as_array()
        .unwrap()
        .iter()
        .find(|fault| fault["path"] == "run.safety_profile")
        .unwrap();
    assert_eq!(profile["allowed"], json!(["normal", "safety_critical"]));
    // The same list for people, and when a run is asked for; nothing is stored.
    let text = autopack.call(&["plan", "validate", plan.to_str().unwrap()]);
    text.expect_code(1);
    assert!(
        found.iter().all(|path| text.stdout.contains(path.as_str())),
        "{}",
        text.stdout
    );
    let repo = TempRepo::small();
    let run = autopack.run(&plan, repo.path());
    run.done.expect_code(1);
    assert!(
        run.done.stderr.contains("PLAN_INVALID") && run.done.stderr.contains("run.colour"),
        "{}",
        run.done.stderr
    );
    assert_eq!(autopack.read(&["runs"]), json!([]));
}

#[test]
fn a_plan_is_checked_against_its_repository_without_a_run() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let before = repo.fingerprint();
    let bad = Plan::new("demo")
        .phase(Phase::patch("P1", "no patch\n"))
        .phase(Phase::command("P2", "no-such-agent"))
        .phase(
            Phase::patch("P3", autopack_testkit::series::adding("a", "a\n")).test("no-such-runner"),
        );
    let plan = bad.write(&autopack.folder("bad"));
    let answer = autopack.ask(&[
        "plan",
        "validate",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ]);
    answer.done.expect_code(1);
    let faults = answer.json["faults"].to_string();
    for word in ["phases[0].builder.patch", "no-such-agent", "no-such-runner"] {
        assert!(faults.contains(word), "{word} is missing in {faults}");
    }
    let good = Plan::new("demo").phase(Phase::patch(
        "P1",
        autopack_testkit::series::adding("a", "a\n"),
    ));
    let plan = good.write(&autopack.folder("good"));
    let answer = autopack.read(&[
        "plan",
        "validate",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ]);
    assert_eq!(
        (&answer["valid"], &answer["base"]),
        (&json!(true), &json!(repo.git(&["rev-parse", "HEAD"])))
    );
    let missing = good.run("base", "none").write(&autopack.folder("missing"));
    let answer = autopack.ask(&[
        "plan",
        "validate",
        missing.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ]);
    answer.done.expect_code(1);
    assert!(
        answer.json["faults"].to_string().contains("BASE_MISSING"),
        "{}",
        answer.json
    );
    before.expect_same(&repo.fingerprint());
    assert_eq!(repo.branch("demo"), None);
}

#[test]
fn patch_files_stay_in_the_plans_folder() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let folder = autopack.folder("plan");
    write(
        &autopack.folder(""),
        "outside.patch",
        autopack_testkit::series::adding("a", "a\n"),
    );
    std::os::unix::fs::symlink("../outside.patch", folder.join("link.patch")).unwrap();
    for name in [
        "../outside.patch",
        "link.patch",
        "missing.patch",
        "/etc/passwd",
    ] {
        let text = format!(
            "schema: autopack/plan/v1\nrun: {{ goal: g }}\ntiers:\n  - id: T1\n    phases:\n      - {{ id: P1, goal: g, builder: {{ kind: patch, patch: {name} }} }}\n"
        );
        write(&folder, "plan.yaml", text);
        let done = autopack.run(&folder.join("plan.yaml"), repo.path()).done;
        done.expect_code(1);
        assert!(
            done.stderr.contains("PLAN_INVALID") && done.stderr.contains(name),
            "{name}: {}",
            done.stderr
        );
    }
}

#[test]
fn explain_shows_every_default_with_its_source() {
    let repo = TempRepo::small();
    let autopack = Autopack::new().with("MAX_ATTEMPTS", "4");
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "true")
            .without("gate")
            .set("task_category", "docs"),
    );
    let plan = plan.write(&autopack.folder("plan"));
    let args = [
        "plan",
        "explain",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ];
    let answer = autopack.read(&args);
    assert_eq!(
        answer["plan"]["run"]["project"], "app",
        "from the folder's name"
    );
    let sources = answer["provenance"].as_object().unwrap();
    assert!(sources.len() > 15, "{sources:#?}");
    assert_eq!(sources["run.project"], "repository");
    let source = |end: &str| {
        sources
            .iter()
            .find(|(path, _)| path.ends_with(end))
            .map(|(_, source)| source.as_str().unwrap().to_owned())
    };
    assert_eq!(source("task_category").as_deref(), Some("plan"));
    assert_eq!(source("run.safety_profile").as_deref(), Some("builtin"));
    assert_eq!(answer["strategy"]["phase"][0]["max_attempts"], 4);
    let text = autopack.call(&args);
    text.expect_code(0);
    assert!(
        text.stdout.contains("# strategy") && text.stdout.contains("repository"),
        "{}",
        text.stdout
    );
}

#[test]
fn a_plan_without_builders_needs_one_from_the_command_line() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let older = json!({ "run_id": "older", "phases": [
        { "phase_id": "p1", "goal": "Write a file", "scope": { "paths": ["notes/"] }, "gate": { "steps": [] } },
    ] });
    write(&autopack.folder("plan"), "plan.json", older.to_string());
    let plan = autopack.folder("plan").join("plan.json");
    let args = [
        "run",
        plan.to_str().unwrap(),
        "--repo",
        repo.path().to_str().unwrap(),
    ];
    let refused = autopack.call(&args);
    refused.expect_code(1);
    assert!(
        refused.stderr.contains("BUILDER_MISSING") && refused.stderr.contains("--builder"),
        "{}",
        refused.stderr
    );
    assert_eq!(autopack.read(&["runs"]), json!([]));
    let line = "command:mkdir -p notes && echo x > notes/$AUTOPACK_PHASE_ID.txt";
    let mut with = args.to_vec();
    with.extend(["--builder", line]);
    autopack.ask(&with).done.expect_code(0);
    assert!(repo.landed_file("older", "notes/p1.txt").is_some());
    let mut odd = args.to_vec();
    odd.extend(["--builder", "robot"]);
    autopack.call(&odd).expect_code(2);
}

#[test]
fn the_environments_faults_are_listed_at_once_and_testing_is_ignored() {
    let autopack = Autopack::new()
        .with("MAX_ATTEMPTS", "0")
        .with("CI_PROFILE", "fast")
        .with("DATABASE_URL", "");
    let done = autopack.call(&["runs"]);
    done.expect_code(1);
    assert!(
        done.stderr.contains("MAX_ATTEMPTS") && done.stderr.contains("CI_PROFILE"),
        "{}",
        done.stderr
    );
    let autopack = Autopack::new().with("TESTING", "1");
    let done = autopack.call(&["runs"]);
    done.expect_code(0);
    assert!(done.stderr.contains("TESTING"), "{}", done.stderr);
    let autopack = Autopack::new().with("DATABASE_URL", "postgresql://user:hunter2@db/x");
    let done = autopack.call(&["runs"]);
    done.expect_code(1);
    assert!(
        done.stderr.contains("DATABASE_UNSUPPORTED") && !done.stderr.contains("hunter2"),
        "{}",
        done.stderr
    );
}

#[test]
fn the_data_directory_is_never_inside_the_repository() {
    let repo = TempRepo::small();
    let before = repo.fingerprint();
    let data = repo.path().join("data");
    let autopack = Autopack::new().with("AUTOPACK_DATA_DIR", data.to_str().unwrap());
    let plan = Plan::new("demo")
        .phase(Phase::noop("P1"))
        .write(&autopack.folder("plan"));
    autopack.run(&plan, repo.path()).done.expect_code(1);
    before.expect_same(&repo.fingerprint());
}
