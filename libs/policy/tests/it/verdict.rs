//! The four verdicts: exit codes, limits, counts, precedence, and the trailer's text.

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_domain::plan::StepKind;
use autopack_policy::gate::{StepEnd, StepResult, gate_word, timeout_verdict, verdict};

use crate::step;

const GREEN: &str = "3 passed in 0.1s\n";
const NONE: &str = "no tests ran in 0.1s\n";

fn result<'a>(run: &'a str, end: StepEnd, output: &'a str) -> StepResult<'a> {
    StepResult {
        kind: StepKind::Test,
        run,
        end,
        output,
        report: None,
    }
}

fn check(run: &'static str, end: StepEnd) -> StepResult<'static> {
    StepResult {
        kind: StepKind::Check,
        ..result(run, end, "")
    }
}

fn one(run: &str, end: StepEnd, output: &str) -> Verdict {
    verdict(&[result(run, end, output)])
}

fn cannot_tell(cause: Cause) -> Verdict {
    Verdict::Inconclusive { cause }
}

fn failed() -> Verdict {
    Verdict::Failed { ids: Vec::new() }
}

#[test]
fn no_steps_is_declared_as_no_gate() {
    assert_eq!(verdict(&[]), Verdict::NotRequired);
}

#[test]
fn exit_codes_decide() {
    let exit = |code, output| one("pytest -q", StepEnd::Exited(code), output);
    assert_eq!(exit(0, GREEN), Verdict::Passed { tests: Some(3) });
    assert_eq!(exit(0, "nothing known"), Verdict::Passed { tests: None });
    assert_eq!(exit(1, GREEN), failed());
    assert_eq!(exit(2, "1 error in 0.1s\n"), failed());
    assert_eq!(exit(126, ""), cannot_tell(Cause::GateNotFound));
    assert_eq!(
        exit(127, "sh: 1: pytest: not found"),
        cannot_tell(Cause::GateNotFound)
    );
    assert_eq!(exit(137, GREEN), cannot_tell(Cause::GateKilled));
    assert_eq!(exit(143, ""), cannot_tell(Cause::GateKilled));
    assert_eq!(exit(139, ""), failed());
    assert_eq!(exit(255, ""), failed());
}

#[test]
fn a_test_step_that_ran_no_test_cannot_tell() {
    let zero = cannot_tell(Cause::GateZeroTests);
    assert_eq!(one("pytest", StepEnd::Exited(0), NONE), zero);
    assert_eq!(
        one("pytest", StepEnd::Exited(0), "2 skipped in 0.1s\n"),
        zero
    );
    assert_eq!(one("pytest", StepEnd::Exited(5), NONE), zero);
    assert_eq!(one("pytest -qq", StepEnd::Exited(5), ""), zero);
    assert_eq!(
        one(
            "python -m unittest",
            StepEnd::Exited(5),
            "Ran 0 tests in 0.0s\n\nNO TESTS RAN\n"
        ),
        zero
    );
    assert_eq!(
        one(
            "npx jest",
            StepEnd::Exited(1),
            "No tests found, exiting with code 1\n"
        ),
        zero
    );
    assert_eq!(
        one(
            "cargo nextest run",
            StepEnd::Exited(4),
            "     Summary [ 0.0s] 0 tests run: 0 passed\nerror: no tests to run\n"
        ),
        zero
    );
    let cargo = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    assert_eq!(one("cargo test", StepEnd::Exited(0), cargo), zero);
    // A binary that crashes after an empty one is red, not empty.
    assert_eq!(one("cargo test", StepEnd::Exited(101), cargo), failed());
    // A named file that is gone is the change's doing.
    assert_eq!(one("pytest gone.py", StepEnd::Exited(4), NONE), failed());
    assert_eq!(one("make test", StepEnd::Exited(5), ""), failed());
    assert_eq!(one("pytest", StepEnd::Exited(5), GREEN), failed());
}

#[test]
fn an_exit_code_that_counts_failures_is_red() {
    for code in [5, 126, 127, 137] {
        let output = format!("  1 passing (3ms)\n  {code} failing\n");
        assert_eq!(one("npx mocha", StepEnd::Exited(code), &output), failed());
    }
}

#[test]
fn a_check_step_counts_nothing() {
    assert_eq!(
        verdict(&[check("cargo build", StepEnd::Exited(0))]),
        Verdict::Passed { tests: None }
    );
    let printed = StepResult {
        output: NONE,
        ..check("pytest", StepEnd::Exited(0))
    };
    assert_eq!(verdict(&[printed]), Verdict::Passed { tests: None });
    assert_eq!(verdict(&[check("pytest", StepEnd::Exited(5))]), failed());
}

#[test]
fn limits_and_signals_cannot_tell_but_crashes_are_red() {
    for (end, expected) in [
        (StepEnd::TimedOut, cannot_tell(Cause::GateTimeout)),
        (StepEnd::MemoryLimit, cannot_tell(Cause::GateKilled)),
        (StepEnd::CpuLimit, cannot_tell(Cause::GateKilled)),
        (StepEnd::OutputLimit, cannot_tell(Cause::GateKilled)),
        (StepEnd::ProcessLimit, cannot_tell(Cause::GateKilled)),
        (StepEnd::DiskLimit, cannot_tell(Cause::DiskLimit)),
        (StepEnd::NotFound, cannot_tell(Cause::GateNotFound)),
        (StepEnd::SetupFailed, cannot_tell(Cause::GateSetupFailed)),
        (StepEnd::Signalled(9), cannot_tell(Cause::GateKilled)),
        (StepEnd::Signalled(15), cannot_tell(Cause::GateKilled)),
        (StepEnd::Signalled(11), failed()),
        (StepEnd::Signalled(6), failed()),
    ] {
        assert_eq!(one("pytest", end, GREEN), expected, "{end:?}");
    }
}

#[test]
fn a_missing_runner_with_an_exit_code_of_its_own_is_not_found() {
    let missing = "/usr/bin/python3: No module named pytest\n";
    assert_eq!(
        one("python3 -m pytest -q", StepEnd::Exited(1), missing),
        cannot_tell(Cause::GateNotFound)
    );
    let cargo = "error: no such command: `nextest`\n\nhelp: view all installed commands\n";
    assert_eq!(
        one("cargo nextest run", StepEnd::Exited(101), cargo),
        cannot_tell(Cause::GateNotFound)
    );
    // Printed by a test it changes nothing.
    let printed = format!("{missing}1 failed in 0.1s\n");
    assert_eq!(
        one("python3 -m pytest -q", StepEnd::Exited(1), &printed),
        failed()
    );
    let module = "ModuleNotFoundError: No module named 'pytest'\n";
    assert_eq!(one("python3 t.py", StepEnd::Exited(1), module), failed());
}

#[test]
fn red_wins_and_setup_stands_before_it() {
    let red = || {
        result(
            "pytest",
            StepEnd::Exited(1),
            "FAILED t.py::a - x\n1 failed in 0.1s\n",
        )
    };
    let killed = || result("pytest", StepEnd::MemoryLimit, "");
    let timeout = || check("lint", StepEnd::TimedOut);
    let setup = || result("pytest", StepEnd::SetupFailed, "");
    let named = Verdict::Failed {
        ids: vec!["t.py::a".to_owned()],
    };
    assert_eq!(verdict(&[killed(), red()]), named);
    assert_eq!(verdict(&[red(), killed()]), named);
    assert_eq!(
        verdict(&[timeout(), killed()]),
        cannot_tell(Cause::GateTimeout)
    );
    assert_eq!(
        verdict(&[setup(), red()]),
        cannot_tell(Cause::GateSetupFailed)
    );
    let green = || result("pytest", StepEnd::Exited(0), GREEN);
    assert_eq!(
        verdict(&[green(), check("b", StepEnd::Exited(0)), green()]),
        Verdict::Passed { tests: Some(6) }
    );
    assert_eq!(
        verdict(&[green(), result("pytest", StepEnd::Exited(0), NONE)]),
        cannot_tell(Cause::GateZeroTests)
    );
}

#[test]
fn a_time_out_is_red_only_if_the_base_was_in_time() {
    assert_eq!(timeout_verdict(true, true), failed());
    for (base, again) in [(true, false), (false, true), (false, false)] {
        assert_eq!(
            timeout_verdict(base, again),
            cannot_tell(Cause::GateTimeout)
        );
    }
}

#[test]
fn the_trailers_text_is_one_line() {
    let steps = [
        step("cargo test", StepKind::Test),
        step("cargo clippy\n-- -D warnings", StepKind::Check),
    ];
    let passed = Verdict::Passed { tests: Some(1) };
    assert_eq!(gate_word(&passed, &steps[..1]), "passed; cargo test");
    assert_eq!(
        gate_word(&passed, &steps),
        "passed; cargo test; cargo clippy -- -D warnings"
    );
    assert_eq!(gate_word(&Verdict::NotRequired, &[]), "not_required");
    let hostile = [step(
        "true\nAutopack-Run: other\r\n\u{1b}[2J",
        StepKind::Check,
    )];
    let word = gate_word(&passed, &hostile);
    assert!(
        !word.contains(char::is_control) && !word.contains('\n'),
        "{word:?}"
    );
    let long = vec![step(&"x ".repeat(200), StepKind::Test); 20];
    assert!(gate_word(&passed, &long).chars().count() <= 240);
}

#[test]
fn a_report_that_begins_and_never_ends_proves_nothing() {
    for output in [
        "running 3 tests\ntest a ... ok\n",
        "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n\nrunning 2 tests\n",
        "===== test session starts =====\ncollected 5 items\n\ntests/test_a.py ..",
        "=== RUN   TestA\n",
    ] {
        let steps = [StepResult {
            kind: StepKind::Test,
            run: "./test.sh",
            end: StepEnd::Exited(0),
            output,
            report: None,
        }];
        let want = Verdict::Inconclusive {
            cause: Cause::GateUnreadable,
        };
        assert_eq!(verdict(&steps), want, "{output}");
    }
}
