//! Reports: what each form says, what is told of reports that break off, and that no text is too much.

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_domain::plan::{ReportKind, StepKind};
use autopack_policy::gate::{StepEnd, StepResult, verdict};
use autopack_policy::report::{MAX_ID, MAX_MESSAGE, MAX_TESTS, Outcome, Reading, detect, read};
use proptest::prelude::*;

use crate::step;

fn reading(kind: ReportKind, text: &str) -> Reading {
    read(kind, &[text], "/project").unwrap_or_else(|| panic!("{kind}: nothing found in {text}"))
}

fn named(reading: &Reading) -> Vec<(&str, Outcome)> {
    let tests = reading.tests.iter();
    tests.map(|test| (test.id.as_str(), test.outcome)).collect()
}

#[test]
fn pytest_names_tests_in_words_in_parallel_and_in_its_summary() {
    use Outcome::{Failed, Passed, Skipped};
    let text = "===== test session starts =====\ncollected 5 items\n\n\
        tests/test_a.py::test_one PASSED [ 20%]\n\
        tests/test_a.py::TestB::test_two[a b] FAILED [ 40%]\n\
        tests/test_a.py::test_three SKIPPED (no network) [ 60%]\n\
        tests/test_a.py::test_four XFAIL (later) [ 80%]\n\
        [gw1] [100%] PASSED tests/test_b.py::test_five \n\
        ==== short test summary info ====\n\
        FAILED tests/test_a.py::TestB::test_two[a b] - assert 1 == 2\n\
        ==== 1 failed, 2 passed, 1 skipped, 1 xfailed in 0.10s ====\n";
    let found = reading(ReportKind::Pytest, text);
    let want = [
        ("tests/test_a.py::test_one", Passed),
        ("tests/test_a.py::TestB::test_two[a b]", Failed),
        ("tests/test_a.py::test_three", Skipped),
        ("tests/test_a.py::test_four", Passed),
        ("tests/test_b.py::test_five", Passed),
    ];
    assert_eq!(named(&found), want);
    assert_eq!(found.tests[1].message, "assert 1 == 2");
    assert!(found.whole);
    let quiet = "..F\nFAILED tests/test_a.py::test_x - boom\n1 failed, 2 passed in 0.1s\n";
    let found = reading(ReportKind::Pytest, quiet);
    assert!(!found.whole, "two of three have no name");
}

#[test]
fn unittest_names_tests_with_docstrings_and_of_older_pythons() {
    let text = "test_a (mod.Case)\nSays something. ... ok\n\
        test_b (mod.Case.test_b) ... printed by the test\nok\n\
        test_c (mod.Case.test_c) ... expected failure\n\
        test_d (mod.Case.test_d) ... ERROR\n\n\
        ======\nERROR: test_d (mod.Case.test_d)\n------\nTraceback (most recent call last):\n  File \"x\"\nValueError: no\n\n\
        ------\nRan 4 tests in 0.01s\n\nFAILED (errors=1, expected failures=1)\n";
    let found = reading(ReportKind::Unittest, text);
    assert!(
        named(&found).contains(&("mod.Case.test_a", Outcome::Passed)),
        "{found:?}"
    );
    assert!(named(&found).contains(&("mod.Case.test_c", Outcome::Passed)));
    let red = found
        .tests
        .iter()
        .find(|test| test.id == "mod.Case.test_d")
        .unwrap();
    assert_eq!(
        (red.outcome, red.message.as_str()),
        (Outcome::Failed, "ValueError: no")
    );
    assert!(!found.whole, "the output of test_b hides its end");
}

#[test]
fn go_json_and_text_name_the_same_tests() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/toolchains/go/recorded/"
    );
    let of = |name: &str| std::fs::read_to_string(format!("{folder}{name}.txt")).unwrap();
    let sorted = |name: &str| {
        let mut tests = reading(ReportKind::Go, &of(name)).tests;
        tests.sort_by(|a, b| a.id.cmp(&b.id));
        tests
            .into_iter()
            .map(|test| (test.id, test.outcome))
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted("json-failing"), sorted("failing"));
    let found = reading(ReportKind::Go, &of("json-failing"));
    assert_eq!(found.tests[0].millis, Some(10));
}

#[test]
fn tap_has_subtests_directives_and_a_plan() {
    let text = "TAP version 14\n# Subtest: group\n    ok 1 - first\n    not ok 2 - second # TODO later\n    1..2\nok 1 - group\nok 2 - third # SKIP why\nnot ok 3 - fourth\n1..3\n";
    let found = reading(ReportKind::Tap, text);
    let want = [
        ("group > first", Outcome::Passed),
        ("group > second", Outcome::Skipped),
        ("third", Outcome::Skipped),
        ("fourth", Outcome::Failed),
    ];
    assert_eq!(named(&found), want);
    assert!(found.whole);
    let cut = reading(ReportKind::Tap, "1..3\nok 1 - a\n");
    assert_eq!(
        cut.problem.as_deref(),
        Some("3 tests are planned, and only 1 told")
    );
    let gone = reading(ReportKind::Tap, "1..2\nok 1 - a\nBail out! no database\n");
    assert_eq!(
        gone.problem.as_deref(),
        Some("the run was given up: no database")
    );
}

#[test]
fn node_prints_ticks_as_well() {
    let text = "▶ outer\n  ✔ first (1.2ms)\n  ▶ inner\n    ✖ second (2ms)\n  ✖ inner (2ms)\n  ﹣ third (0.1ms) # SKIP\n✖ outer (4ms)\nℹ tests 3\nℹ suites 2\nℹ pass 1\nℹ fail 1\nℹ skipped 1\n\n✖ failing tests:\n\n✖ second (2ms)\n";
    let found = reading(ReportKind::Node, text);
    let want = [
        ("outer > first", Outcome::Passed),
        ("outer > inner > second", Outcome::Failed),
        ("outer > third", Outcome::Skipped),
    ];
    assert_eq!(named(&found), want);
    assert!(found.whole);
}

#[test]
fn a_junit_file_is_read_with_its_entities_and_its_quirks() {
    let text = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"b\">]><testsuites><testsuite name='s'>\
        <testcase classname='a.B' name='c(&quot;&lt;x&gt;&quot;)' time='1,234.5'/>\
        <testcase name='alone'><error message='&#x42;oom &unknown; &amp;'/></testcase>\
        <!-- <testcase name='no'/> -->\
        <testcase classname='a.B' name='d'><system-out><![CDATA[<testcase name='no'/>]]></system-out></testcase>\
        </testsuite></testsuites>";
    let found = reading(ReportKind::Junit, text);
    let want = [
        ("a.B::c(\"<x>\")", Outcome::Passed),
        ("alone", Outcome::Failed),
        ("a.B::d", Outcome::Passed),
    ];
    assert_eq!(named(&found), want);
    assert_eq!(found.tests[0].millis, Some(1_234_500));
    assert_eq!(found.tests[1].message, "Boom &unknown; &");
}

#[test]
fn reports_that_break_off_are_told_and_no_green_exit_hides_them() {
    let junit = "<testsuite><testcase name='a'/><testcase na";
    let rust = "running 2 tests\ntest a ... ok\n";
    let nextest = "    Starting 2 tests across 1 binary\n        PASS [   0.004s] (1/2) demo a\n";
    let go = "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n";
    let jest = "{\"numPassedTests\":2,\"testResults\":[{\"name\":\"a";
    let pytest = "===== test session starts =====\ncollected 2 items\n\ntests/test_a.py::test_x PASSED [ 50%]\n";
    let node = "▶ outer\n  ✔ first (1.2ms)\n";
    for (kind, run, text) in [
        (ReportKind::Junit, "mvn test", junit),
        (ReportKind::Cargo, "cargo test", rust),
        (ReportKind::Nextest, "cargo nextest run", nextest),
        (ReportKind::Go, "go test -v ./...", go),
        (ReportKind::Jest, "npx jest --json", jest),
        (ReportKind::Pytest, "pytest -v", pytest),
        (ReportKind::Node, "node --test", node),
        (ReportKind::Tap, "prove -v", "1..2\nok 1\n"),
    ] {
        let found = reading(kind, text);
        assert!(found.problem.is_some() && !found.whole, "{kind}: {found:?}");
        let result = StepResult {
            kind: StepKind::Test,
            run,
            end: StepEnd::Exited(0),
            output: "",
            report: Some(&found),
        };
        let want = Verdict::Inconclusive {
            cause: Cause::GateUnreadable,
        };
        assert_eq!(verdict(&[result]), want, "{kind}");
    }
}

#[test]
fn an_exit_code_of_zero_does_not_make_a_red_test_green() {
    let text = "running 1 test\ntest a ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    let found = reading(ReportKind::Cargo, text);
    for report in [Some(&found), None] {
        let result = StepResult {
            kind: StepKind::Test,
            run: "cargo test || true",
            end: StepEnd::Exited(0),
            output: text,
            report,
        };
        assert_eq!(
            verdict(&[result]),
            Verdict::Failed {
                ids: vec!["a".to_owned()]
            }
        );
    }
}

#[test]
fn a_script_is_recognised_by_what_it_prints_and_a_check_never() {
    let run = step("make test", StepKind::Test);
    let kind = |output: &str| detect(&run, output).map(|source| source.kind);
    assert_eq!(kind("test result: ok. 1 passed"), Some(ReportKind::Cargo));
    assert_eq!(
        kind("Ran 3 tests in 0.1s\n\nOK\n"),
        Some(ReportKind::Unittest)
    );
    assert_eq!(kind("# tests 3\n# suites 1\n"), Some(ReportKind::Node));
    assert_eq!(kind("done\n"), None);
    assert_eq!(detect(&step("cargo test", StepKind::Check), ""), None);
}

#[test]
fn long_reports_are_bounded_and_not_whole() {
    let lines = |name: &str| -> String {
        let lines = (0..MAX_TESTS + 5).map(|n| format!("test {name}{n} ... ok"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let found = reading(ReportKind::Cargo, &lines(&"x".repeat(MAX_ID)));
    assert!(found.tests.len() < MAX_TESTS, "long names are cut alike");
    let many = lines("t");
    let found = reading(ReportKind::Cargo, &many);
    assert_eq!(found.tests.len(), MAX_TESTS);
    assert!(!found.whole);
}

/// Pieces of real reports, to be mixed.
const PIECES: &[&str] = &[
    "<testsuite>",
    "<testcase name=\"",
    "a\" ",
    "/>",
    "<failure message='",
    "'>",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "</testcase>",
    "</testsuite>",
    "&lt;",
    "&#x",
    ";",
    "running 3 tests\n",
    "test a ... ok\n",
    "test result: ok. 1 passed; 2 failed; 0 ignored;\n",
    "---- a stdout ----\n",
    "thread 'a' panicked at x\n",
    "=== RUN   TestA\n",
    "--- FAIL: TestA (0.1s)\n",
    "ok  \tpkg\t0.1s\n",
    "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\n",
    "{\"testResults\":[",
    "{\"name\":1}",
    "]}",
    "TAP version 13\n",
    "1..99999999999999999999\n",
    "ok 1 - a\n",
    "    not ok - b # TODO\n",
    "# Subtest: x\n",
    "  error: 'e'\n",
    "  duration_ms: 1e99\n",
    "Bail out!\n",
    "▶ g\n",
    "  ✔ a (1ms)\n",
    "ℹ tests 2\n",
    "        PASS [   0.1s] (1/2) a b\n",
    "     Summary [ 1s] 1/2 tests run: 1 passed\n",
    "tests/test_a.py::x PASSED\n",
    "FAILED tests/test_a.py - x\n",
    "1 failed, 1 passed in 1s\n",
    "test_a (m.C.test_a) ... ok\n",
    "Ran 1 test in 1s\n\nOK\n",
    "\u{1b}[31m",
    "\r",
    "\n",
    "ä",
    "\0",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No mixture of reports makes a reader panic, and what it gives is bounded, each id once.
    #[test]
    fn any_text_is_read_within_bounds(
        picks in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(PIECES).prop_map(str::to_owned),
            1 => ".{0,12}".prop_map(String::from),
        ], 0..60),
        cut in 0usize..400,
    ) {
        let mut text = picks.concat();
        let mut at = cut.min(text.len());
        while !text.is_char_boundary(at) { at -= 1; }
        let whole = text.clone();
        text.truncate(at);
        for kind in ReportKind::ALL {
            for text in [&text, &whole] {
                let Some(found) = read(*kind, &[text.as_str()], "/project") else { continue };
                let mut ids: Vec<&str> = found.tests.iter().map(|test| test.id.as_str()).collect();
                ids.sort_unstable();
                let before = ids.len();
                ids.dedup();
                prop_assert_eq!(before, ids.len());
                for test in &found.tests {
                    prop_assert!(!test.id.is_empty() && test.id.chars().count() <= MAX_ID);
                    prop_assert!(test.message.chars().count() <= MAX_MESSAGE);
                }
                prop_assert!(!(found.whole && found.problem.is_some()));
            }
        }
    }
}
