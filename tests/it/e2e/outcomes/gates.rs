//! Red, missing, empty and slow gates.

use autopack_testkit::series::adding;
use autopack_testkit::{Phase, Plan, Series, TempRepo};
use serde_json::json;

use crate::rig::{ENVIRONMENT, HUMAN, play, play_with};

/// What the small repository proves itself with.
const UNITTEST: &str = "python3 -m unittest discover";

/// A good phase, and one that breaks the tests.
fn red(repo: &TempRepo, gate: &str) -> Plan {
    let series = Series::at(repo, "HEAD", "edits");
    let good = series.edit(|dir| std::fs::write(dir.join("good.txt"), "good\n").unwrap());
    let bad = series.edit(|dir| {
        std::fs::write(
            dir.join("app/core.py"),
            "def double(n):\n    return n * 3\n",
        )
        .unwrap();
    });
    Plan::new("demo")
        .phase(Phase::patch("good", good).test(gate))
        .phase(Phase::patch("bad", bad).test(gate))
        .phase(Phase::patch("later", adding("later.txt", "x\n")))
}

#[test]
fn a_red_gate_needs_a_person_and_nothing_of_it_lands() {
    let repo = TempRepo::small();
    let plan = red(&repo, UNITTEST);
    let played = play("demo", repo, &plan);
    played
        .fails(HUMAN, "GATE_FAILED", "bad")
        .says("bad", &["test_double"])
        .is_green(UNITTEST);
    assert_eq!(played.phase("good")["state"], "COMPLETE");
    assert_eq!(
        played.phase("bad")["attempts"],
        1,
        "the same patch again would be the same"
    );
    let later = played.phase("later");
    assert_eq!(
        (&later["state"], &later["cause"]),
        (&json!("SKIPPED"), &json!("DEPENDENCY_FAILED"))
    );
    assert_eq!(played.landed().len(), 1);
    assert!(
        played
            .incident("phases/bad/output.txt")
            .contains("AssertionError")
    );
    assert!(
        played
            .incident("phases/bad/diff.patch")
            .contains("+    return n * 3")
    );
    played.again_is_the_same();
}

#[test]
fn a_builder_gets_all_its_attempts_and_then_the_phase_fails() {
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "echo \"attempt $AUTOPACK_ATTEMPT\" > broken.txt")
            .check("test ! -e broken.txt")
            .set("max_attempts", 2),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played.fails(HUMAN, "GATE_FAILED", "P1").has_no_branch();
    assert_eq!(played.phase("P1")["attempts"], 2);
    assert!(
        played
            .incident("phases/P1/diff.patch")
            .contains("+attempt 2")
    );
}

#[test]
fn a_second_attempt_sees_the_first_failure_and_may_succeed() {
    let line = "if grep -q 'second time' \"$AUTOPACK_PREVIOUS_FAILURE_FILE\"; then echo 2 > n; else echo 1 > n; fi";
    let gate = "grep -q 2 n || { echo 'only the second time'; exit 1; }";
    let plan = Plan::new("demo").phase(Phase::command("P1", line).check(gate));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    assert_eq!(played.phase("P1")["attempts"], 2);
    assert_eq!(played.landed()[0].trailer("Autopack-Attempt"), "2");
}

#[test]
fn a_gate_command_that_is_missing_when_it_runs_is_the_environments_fault() {
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")).test("true && no-such-runner --all"));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "GATE_NOT_FOUND", "P1")
        .says("P1", &["no-such-runner"])
        .has_no_branch();
}

#[test]
fn a_gate_command_that_the_worker_lacks_is_found_before_the_first_lease() {
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")).test("no-such-runner --all"))
        .phase(Phase::patch("P2", adding("b.txt", "b\n")).test("no-such-runner-either"));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["`no-such-runner`", "`no-such-runner-either`"])
        .has_no_branch();
    assert_eq!(played.phase("P1")["attempts"], 0);
}

#[test]
fn a_test_step_without_tests_proves_nothing() {
    let repo = TempRepo::empty();
    repo.write("README.md", "nothing to test\n");
    repo.commit("First");
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")).test(UNITTEST));
    let played = play("demo", repo, &plan);
    played
        .fails(ENVIRONMENT, "GATE_ZERO_TESTS", "P1")
        .says("P1", &["Ran 0 tests"])
        .has_no_branch();
}

#[test]
fn a_gate_that_is_slow_on_the_base_as_well_cannot_tell() {
    let gate = json!({ "steps": [{ "run": "sleep 60", "kind": "check", "timeout_seconds": 1 }] });
    let plan =
        Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")).set("gate", gate));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "GATE_TIMEOUT", "P1")
        .says("P1", &["time-out"])
        .has_no_branch();
}

#[test]
fn a_gate_that_only_the_change_makes_slow_is_red() {
    let gate = json!({ "steps": [{ "run": "test ! -e slow || sleep 60", "kind": "check", "timeout_seconds": 1 }] });
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("slow", "x\n")).set("gate", gate));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(HUMAN, "GATE_FAILED", "P1")
        .says("P1", &["time-out"])
        .has_no_branch();
    assert!(
        played
            .incident("phases/P1/output.txt")
            .contains("(on the base)")
    );
}

#[test]
fn a_gate_whose_set_up_fails_says_nothing_about_the_change() {
    let gate = json!({ "setup": [{ "run": "echo no network >&2; exit 4" }], "steps": [{ "run": "true", "kind": "check" }] });
    let plan =
        Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")).set("gate", gate));
    play("demo", TempRepo::small(), &plan)
        .fails(ENVIRONMENT, "GATE_SETUP_FAILED", "P1")
        .says("P1", &["no network"])
        .has_no_branch();
}

#[test]
fn a_gate_that_is_killed_says_nothing_about_the_change() {
    let plan =
        Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")).check("kill -9 $$"));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "GATE_KILLED", "P1")
        .has_no_branch();
    assert_eq!(
        played.phase("P1")["attempts"],
        3,
        "an inconclusive gate is tried again"
    );
    assert_eq!(played.phase("P1")["attempts_charged"], 0);
}

#[test]
fn what_a_gate_writes_does_not_land() {
    let plan = Plan::new("demo")
        .phase(
            Phase::patch("P1", adding("a.txt", "a\n"))
                .check("echo x > written-by-gate.txt; rm README.md"),
        )
        .phase(
            Phase::command("P2", "test ! -e written-by-gate.txt && echo b > b.txt")
                .check("test -e README.md"),
        );
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    assert_eq!(played.repo.landed_file("demo", "written-by-gate.txt"), None);
    assert!(played.repo.landed_file("demo", "README.md").is_some());
}

#[test]
fn a_gate_that_cannot_be_inferred_is_found_before_the_first_lease() {
    let repo = TempRepo::empty();
    repo.write("notes.txt", "no toolchain\n");
    repo.commit("First");
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "a\n")).without("gate"));
    play("demo", repo, &plan)
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["tiers[0].phases[0].gate.steps"]);
}

#[test]
fn a_gate_is_inferred_from_the_toolchain() {
    let repo = TempRepo::empty();
    repo.write(
        "Cargo.toml",
        "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    repo.write("src/lib.rs", "#[test]\nfn one() {}\n");
    repo.write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"one\"\nversion = \"0.1.0\"\n",
    );
    repo.commit("First");
    let red = "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,2 +1,3 @@\n #[test]\n fn one() {}\n+#[test] fn two() { panic!(\"red\"); }\n";
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("src/two.rs", "//! Two.\n")).without("gate"))
        .phase(Phase::patch("P2", red).without("gate"));
    let mut autopack = autopack_testkit::Autopack::new();
    let home = std::path::PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    for (name, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
        let value =
            std::env::var(name).unwrap_or_else(|_| home.join(folder).to_str().unwrap().to_owned());
        autopack = autopack.with(name, &value);
    }
    let played = play_with(autopack, "demo", repo, &plan);
    played
        .fails(HUMAN, "GATE_FAILED", "P2")
        .says("P2", &["two"]);
    let landed = played.landed();
    assert_eq!(landed.len(), 1);
    assert!(
        landed[0]
            .trailer("Autopack-Gate")
            .starts_with("passed; cargo "),
        "{landed:?}"
    );
    assert_eq!(played.autopack.attempts("demo")[0]["tests"], 1);
    assert!(
        played.status["facts"]["toolchains"]
            .as_str()
            .unwrap()
            .contains("cargo")
    );
}

#[test]
fn independent_phases_finish_and_the_next_tier_does_not_start() {
    let plan = Plan::new("demo")
        .tier("T1")
        .phase(Phase::patch("bad", adding("bad.txt", "x\n")).check("test ! -e bad.txt"))
        .phase(Phase::patch("good", adding("good.txt", "x\n")).after(&[]))
        .tier("T2")
        .phase(Phase::patch("next", adding("next.txt", "x\n")));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(HUMAN, "GATE_FAILED", "bad")
        .is_green("test ! -e bad.txt && test -e good.txt");
    let next = played.phase("next");
    assert_eq!(
        (&next["state"], &next["cause"]),
        (&json!("SKIPPED"), &json!("TIER_FAILED"))
    );
    assert_eq!(played.status["tiers"][1]["state"], "SKIPPED");
}
