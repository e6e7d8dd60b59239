//! Tests that a change weakens, that are flaky, or that a phase promises.

use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::json;

use crate::rig::{HUMAN, POLICY, play, play_with};

const UNITTEST: &str = "python3 -m unittest discover -v";

/// A builder that removes the tests and says that all is well.
const REMOVES: &str = "printf 'import unittest\\n\\nfrom app.core import double\\n\\n\\nclass Other(unittest.TestCase):\\n    def test_other(self):\\n        self.assertEqual(double(1), 2)\\n' > tests/test_core.py; echo done";

fn gate(tests: &serde_json::Value) -> serde_json::Value {
    json!({ "steps": [{ "run": UNITTEST, "kind": "test" }], "tests": tests })
}

#[test]
fn a_removed_test_ends_the_run_unless_the_plan_declares_it() {
    let phase = |tests| {
        Phase::command("P1", REMOVES)
            .set("gate", gate(&tests))
            .set("max_attempts", 1)
    };
    let played = play(
        "demo",
        TempRepo::small(),
        &Plan::new("demo").phase(phase(json!({}))),
    );
    played
        .fails(POLICY, "TESTS_WEAKENED", "P1")
        .says("P1", &["is not in the result", "gate.tests.may_remove"])
        .has_no_branch();
    let plan = Plan::new("demo").phase(phase(json!({ "may_remove": ["tests.test_core.*"] })));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds().is_green(UNITTEST);
    let attempt = &played.autopack.attempts("demo")[0];
    let names: Vec<&str> = attempt["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|artifact| artifact["name"].as_str())
        .collect();
    assert!(names.contains(&"tests"), "{attempt:#}");
}

#[test]
fn a_flaky_test_lands_with_evidence_and_the_run_remembers_it() {
    let autopack = Autopack::new().sharing("marks");
    let folder = autopack.folder("marks");
    let repo = TempRepo::small();
    repo.write(
        "tests/test_flaky.py",
        "import os\nimport unittest\n\n\nclass Flaky(unittest.TestCase):\n    def test_flaky(self):\n        mark = os.environ['FLAKY_MARK'] + '/seen'\n        runs = os.path.getsize(mark) if os.path.exists(mark) else 0\n        with open(mark, 'a') as file:\n            file.write('x')\n        self.assertNotEqual(runs, 0)\n",
    );
    repo.commit("A flaky test");
    let mark = folder.to_str().unwrap();
    let steps = json!([{ "run": UNITTEST, "kind": "test", "env": { "FLAKY_MARK": mark } }]);
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", "echo more > more.txt").set("gate", json!({ "steps": steps })));
    let played = play_with(autopack, "demo", repo, &plan);
    played.succeeds();
    let facts = played.status["facts"]["flaky_tests"]
        .as_str()
        .unwrap_or_default();
    assert!(facts.contains("test_flaky"), "{:#}", played.status["facts"]);
}

#[test]
fn a_promised_test_that_proves_nothing_is_no_promise_kept() {
    let hollow = "printf 'import unittest\\n\\n\\nclass New(unittest.TestCase):\\n    def test_new(self):\\n        self.assertTrue(True)\\n' > tests/test_new.py";
    let plan = Plan::new("demo").phase(
        Phase::command("P1", hollow)
            .set("gate", gate(&json!({ "promised": ["*.test_new"] })))
            .set("max_attempts", 1),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(HUMAN, "TEST_PROMISE_BROKEN", "P1")
        .says("P1", &["is green without the change"])
        .has_no_branch();
}

#[test]
fn the_next_attempt_reads_which_test_is_red_and_mends_it() {
    let line = "if grep -q 'test_double.*: AssertionError' \"$AUTOPACK_PREVIOUS_FAILURE_FILE\"; then sed -i 's/n . 3/n * 2/' app/core.py; echo '# mended' >> app/core.py; else sed -i 's/n . 2/n * 3/' app/core.py; fi";
    let plan = Plan::new("demo").phase(Phase::command("P1", line).test(UNITTEST));
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds().is_green(UNITTEST);
    assert_eq!(played.phase("P1")["attempts"], 2);
}
