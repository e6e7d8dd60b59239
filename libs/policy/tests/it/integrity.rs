//! Tests against those of the base: what is held against a change, and what never is.

use autopack_domain::Timestamp;
use autopack_domain::plan::{Quarantined, ReportKind, TestRules};
use autopack_domain::quarantine::Quarantine;
use autopack_policy::gate::order::affected_first;
use autopack_policy::gate::packet::{Packet, RedTest, render};
use autopack_policy::integrity::flaky::{evidence, reruns};
use autopack_policy::integrity::promise::{Broken, on_result, without_change};
use autopack_policy::integrity::{What, compare, emptied};
use autopack_policy::report::{Outcome, Reading, TestResult};
use proptest::prelude::*;

use crate::step;
use autopack_domain::plan::StepKind;

use Outcome::{Failed, Passed, Skipped};

fn reading(tests: &[(&str, Outcome)]) -> Reading {
    Reading {
        kind: ReportKind::Cargo,
        tests: tests
            .iter()
            .map(|(id, outcome)| TestResult {
                id: (*id).to_owned(),
                outcome: *outcome,
                millis: None,
                message: String::new(),
            })
            .collect(),
        whole: true,
        problem: None,
    }
}

#[test]
fn removed_and_skipped_tests_are_told_and_leave_is_by_name() {
    let base = reading(&[
        ("a", Passed),
        ("b", Passed),
        ("c", Failed),
        ("d", Skipped),
        ("e", Failed),
    ]);
    let result = reading(&[("b", Skipped), ("c", Passed), ("f", Passed), ("e", Failed)]);
    let found = compare(&base, &result, &TestRules::default());
    let told: Vec<(&str, What)> = found
        .weakened
        .iter()
        .map(|w| (w.id.as_str(), w.what))
        .collect();
    assert_eq!(
        told,
        [
            ("a", What::Removed),
            ("b", What::Skipped),
            ("d", What::Removed)
        ]
    );
    assert_eq!((found.added, found.declared), (1, 0));
    assert_eq!(
        (found.mended, found.known_failures),
        (vec!["c".to_owned()], vec!["e".to_owned()])
    );
    let rules = TestRules {
        may_remove: vec!["a".into(), "d*".into()],
        may_skip: vec!["b".into()],
        ..TestRules::default()
    };
    let found = compare(&base, &result, &rules);
    assert!(
        found.weakened.is_empty() && found.declared == 3,
        "{found:?}"
    );
}

#[test]
fn what_is_not_known_is_held_against_nobody() {
    let base = reading(&[("a", Passed), ("b", Failed)]);
    let mut result = reading(&[("c", Failed), ("b", Failed)]);
    result.whole = false;
    let found = compare(&base, &result, &TestRules::default());
    assert!(found.weakened.is_empty() && found.added == 0);
    assert_eq!(found.broken, ["c"], "failures are known all the same");
    let mut other = reading(&[]);
    other.kind = ReportKind::Pytest;
    assert!(
        compare(&base, &other, &TestRules::default())
            .weakened
            .is_empty()
    );
}

#[test]
fn emptied_tests_are_found_by_their_text() {
    let python = "def test_a():\n    assert f(1) == 2\n\n\ndef test_b():\n    assert True\n";
    let hollow = "def test_a():\n    pass\n\n\ndef test_b():\n    assert True\n";
    assert_eq!(emptied("tests/test_x.py", python, hollow), ["test_a"]);
    let comment =
        "def test_a():\n    # assert f(1) == 2\n    f(1)\n\ndef test_b():\n    assert True\n";
    assert_eq!(emptied("tests/test_x.py", python, comment), ["test_a"]);
    assert!(emptied("tests/test_x.py", python, python).is_empty());
    let rust = "#[test]\nfn adds() {\n    assert_eq!(1 + 1, 2);\n}\n";
    assert_eq!(
        emptied("tests/it.rs", rust, "#[test]\nfn adds() {}\n"),
        ["adds"]
    );
    assert!(
        emptied("tests/it.rs", rust, "").is_empty(),
        "a removed one is no emptied one"
    );
    let go = "func TestA(t *testing.T) {\n\tt.Error(1)\n}\n";
    assert_eq!(
        emptied("a_test.go", go, "func TestA(t *testing.T) {\n}\n"),
        ["TestA"]
    );
    let js = "it('adds two', () => {\n  expect(1).toBe(1);\n});\n";
    assert_eq!(
        emptied("a.test.ts", js, "it('adds two', () => {});\n"),
        ["adds two"]
    );
    let java = "  @Test\n  void adds() {\n    assertEquals(1, 1);\n  }\n";
    assert_eq!(
        emptied("ATest.java", java, "  @Test\n  void adds() {\n  }\n"),
        ["adds"]
    );
    assert!(emptied("README.md", "assert", "").is_empty());
}

#[test]
fn a_red_test_earns_a_rerun_unless_the_change_brings_it() {
    let rules = TestRules::default();
    let base = reading(&[("a", Passed)]);
    let now = Timestamp(0);
    let red = |id: &str| vec![id.to_owned()];
    let none = Quarantine::new();
    assert_eq!(reruns(&red("a"), Some(&base), &rules, &none, now), 1);
    assert_eq!(reruns(&red("new"), Some(&base), &rules, &none, now), 0);
    assert_eq!(
        reruns(&red("new"), None, &rules, &none, now),
        1,
        "nobody knows that it is new"
    );
    assert_eq!(reruns(&[], Some(&base), &rules, &none, now), 0);
    let off = TestRules {
        reruns: 0,
        ..rules.clone()
    };
    assert_eq!(reruns(&red("a"), Some(&base), &off, &none, now), 0);
    let seen = Quarantine::from([("a".to_owned(), Timestamp(5))]);
    assert_eq!(
        reruns(&red("a"), Some(&base), &rules, &seen, Timestamp(4)),
        3
    );
    assert_eq!(
        reruns(&red("a"), Some(&base), &rules, &seen, Timestamp(5)),
        1,
        "it has ended"
    );
    let planned = TestRules {
        quarantine: vec![Quarantined {
            id: "a*".into(),
            until: "1970-01-01".into(),
            reason: String::new(),
        }],
        ..rules
    };
    assert_eq!(reruns(&red("a"), Some(&base), &planned, &none, now), 3);
    assert_eq!(
        evidence(
            &reading(&[("a", Failed), ("b", Failed)]),
            &reading(&[("a", Passed)])
        ),
        ["a"]
    );
}

#[test]
fn a_promise_is_kept_by_a_test_that_was_red_and_is_green() {
    let promised = vec!["new::*".to_owned()];
    let result = reading(&[("new::a", Passed), ("new::b", Passed), ("old", Passed)]);
    assert!(on_result(&promised, &result).is_empty());
    assert!(without_change(&promised, &result, None).is_empty());
    let before = reading(&[("new::a", Passed), ("new::b", Failed)]);
    assert!(
        without_change(&promised, &result, Some(&before)).is_empty(),
        "one of them was red"
    );
    let hollow = reading(&[("new::a", Passed), ("new::b", Passed)]);
    let broken = without_change(&promised, &result, Some(&hollow));
    assert_eq!(broken, [Broken::NotRed("new::*".to_owned())]);
    let broken = on_result(&promised, &reading(&[("old", Passed)]));
    assert_eq!(broken, [Broken::Missing("new::*".to_owned())]);
    let broken = on_result(&promised, &reading(&[("new::a", Skipped)]));
    assert_eq!(broken, [Broken::NotGreen("new::a".to_owned())]);
}

#[test]
fn folders_with_a_change_run_first() {
    let mut steps = ["web", "api", "web", ""].map(|dir| {
        let mut step = step("make test", StepKind::Test);
        step.dir = dir.to_owned();
        step
    });
    let changed = vec!["api/a.rs".to_owned(), "website/x".to_owned()];
    assert_eq!(affected_first(&steps, &changed), [1, 3, 0, 2]);
    steps[3].dir = "web".to_owned();
    assert_eq!(affected_first(&steps, &[]), [0, 1, 2, 3]);
}

#[test]
fn a_packet_shows_the_first_error_though_the_output_is_long() {
    let noise = "compiling something or other\n".repeat(2000);
    let output =
        format!("{noise}thread 'a' panicked at src/lib.rs:3:5:\nassertion failed: twice\n{noise}");
    let packet = Packet {
        run: "cargo test",
        dir: "my api",
        env: vec![("MODE", "it's")],
        end: "it ended with exit code 101".to_owned(),
        red: vec![RedTest {
            id: "demo::a".to_owned(),
            message: "assertion failed: twice".to_owned(),
            note: String::new(),
        }],
        changed: vec!["M src/lib.rs".to_owned()],
        output: &output,
        ..Packet::default()
    };
    let text = render(&packet);
    assert!(text.len() < 14 * 1024, "{}", text.len());
    for part in [
        "`cargo test`: it ended with exit code 101\n",
        "  demo::a: assertion failed: twice\n",
        "the first error:\n  thread 'a' panicked",
        "  M src/lib.rs\n",
        "cd 'my api' && MODE='it'\\''s' cargo test",
        "its output around the first error:\ncompiling",
        "[... cut ...]",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever was printed, the packet is bounded and cut between characters.
    #[test]
    fn packets_are_bounded(
        pieces in prop::collection::vec(prop::sample::select(vec!["ä", "\n", "error: x", "ERROR", "\u{1b}[31m", "panic: ", "x\n"]), 0..200),
        times in 1usize..40,
        ids in prop::collection::vec("[a-z:ä ]{0,40}", 0..80),
    ) {
        let output = pieces.concat().repeat(times);
        let red = ids.iter().map(|id| RedTest { id: id.clone(), message: id.repeat(9), note: String::new() }).collect();
        let packet = Packet { run: "x", red, output: &output, ..Packet::default() };
        prop_assert!(render(&packet).len() < 64 * 1024);
    }
}
