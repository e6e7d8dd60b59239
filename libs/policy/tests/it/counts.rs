//! Counts: summaries as the runners print them, empty runs, and hostile output.

use autopack_domain::gate::TestCounts;
use autopack_policy::gate::counts;

fn check(output: &str, command: &str, expected: Option<(u64, u64, u64)>) {
    let expected = expected.map(|(passed, failed, skipped)| TestCounts {
        passed,
        failed,
        skipped,
    });
    assert_eq!(counts(output, command), expected, "{command}: {output}");
}

/// The same answer for the runner's own command and for a command that names no runner.
fn both(output: &str, command: &str, expected: (u64, u64, u64)) {
    check(output, command, Some(expected));
    check(output, "make test", Some(expected));
}

#[test]
fn pytest() {
    for (output, expected) in [
        ("...F [100%]\n1 failed, 3 passed in 0.12s\n", (3, 1, 0)),
        (
            "===== 1 failed, 3 passed, 2 skipped, 1 deselected, 4 warnings in 0.12s =====\n",
            (3, 1, 2),
        ),
        (
            "=== 5 passed, 1 xfailed, 1 xpassed in 61.20s (0:01:01) ===\n",
            (7, 0, 0),
        ),
        ("1 error in 0.08s\n", (0, 1, 0)),
        ("2 passed, 3 errors in 0.08s\n", (2, 3, 0)),
        ("====== 2 skipped in 0.01s ======\n", (0, 0, 2)),
        ("======== no tests ran in 0.00s ========\n", (0, 0, 0)),
        ("\nno tests ran in 0.01s\n", (0, 0, 0)),
        ("3 deselected in 0.01s\n", (0, 0, 0)),
        ("collected 0 items\n", (0, 0, 0)),
        (
            "\u{1b}[32m\u{1b}[1m2 passed\u{1b}[0m\u{1b}[32m in 0.01s\u{1b}[0m\r\n",
            (2, 0, 0),
        ),
    ] {
        both(output, "python3 -m pytest -q", expected);
    }
    check("I passed in 3s\n2 passed in my exam\n", "pytest", None);
    check("INTERNALERROR> boom\n", "pytest", None);
}

#[test]
fn unittest() {
    let run = "python3 -m unittest discover -v";
    both(
        "test_a (t.T.test_a) ... ok\n\n------\nRan 1 test in 0.000s\n\nOK\n",
        run,
        (1, 0, 0),
    );
    both(
        "Ran 6 tests in 0.001s\n\nFAILED (failures=3, errors=1, skipped=1, expected failures=1)\n",
        run,
        (1, 4, 1),
    );
    both(
        "Ran 2 tests in 0.0s\n\nFAILED (unexpected successes=1)\n",
        run,
        (1, 1, 0),
    );
    both("\n------\nRan 0 tests in 0.000s\n\nOK\n", run, (0, 0, 0));
    both("Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", run, (0, 0, 0));
    both("Ran 3 tests in 0.000s\n\nOK (skipped=3)\n", run, (0, 0, 3));
}

#[test]
fn cargo_sums_its_binaries() {
    let ok = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.06s\n";
    let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s\n";
    let red = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
    both(
        &format!("{ok}\n   Doc-tests c\n\n{none}"),
        "cargo test",
        (2, 0, 1),
    );
    both(
        &format!("{none}{ok}{red}{none}"),
        "cargo test --workspace --locked",
        (3, 2, 1),
    );
    both(none, "cargo test zzz", (0, 0, 0));
    check("error: could not compile `x`\n", "cargo test", None);
    let nextest = "────────────\n     Summary [   0.064s] 6 tests run: 3 passed (1 slow), 2 failed, 1 timed out, 4 skipped\n";
    both(nextest, "cargo nextest run", (3, 3, 4));
    both(
        &format!("{nextest}{ok}"),
        "cargo nextest run && cargo test --doc",
        (5, 3, 5),
    );
    both(
        "     Summary [   0.000s] 0 tests run: 0 passed, 4 skipped\nerror: no tests to run\n",
        "cargo nextest run",
        (0, 0, 0),
    );
}

#[test]
fn go() {
    let run = "go test -v ./...";
    let verbose = "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n=== RUN   TestB/sub\n    --- FAIL: TestB/sub (0.00s)\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC (0.00s)\nFAIL\nFAIL\texample.org/a\t0.003s\n";
    both(verbose, run, (1, 1, 1));
    let json = "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestA\"}\n{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA/x\"}\n{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA\"}\n{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"TestB\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}\n{broken \"Action\"\n";
    both(json, "go test -json ./...", (1, 1, 0));
    // Package lines alone do not say how many tests ran.
    check(
        "ok  \texample.org/a\t0.003s\n?   \texample.org/b\t[no test files]\n",
        "go test ./...",
        None,
    );
    check("ok  \texample.org/a\t(cached)\n", "go test ./...", None);
    check(
        "--- FAIL: TestB (0.00s)\nFAIL\nFAIL\texample.org/a\t0.003s\n",
        "go test ./...",
        None,
    );
    check(
        "FAIL\texample.org/a [build failed]\n",
        "go test ./...",
        None,
    );
    both(
        "?   \texample.org/b\t[no test files]\n",
        "go test ./...",
        (0, 0, 0),
    );
    both(
        "testing: warning: no tests to run\nPASS\nok  \texample.org/a\t0.002s [no tests to run]\n?   \tb\t[no test files]\n",
        run,
        (0, 0, 0),
    );
    both(
        "go: warning: \"./...\" matched no packages\nno packages to test\n",
        run,
        (0, 0, 0),
    );
}

#[test]
fn node() {
    let run = "node --test";
    let lines = |mark: &str| {
        format!(
            "{mark} tests 6\n{mark} suites 1\n{mark} pass 2\n{mark} fail 1\n{mark} cancelled 1\n{mark} skipped 1\n{mark} todo 1\n{mark} duration_ms 125.69\n"
        )
    };
    both(
        &format!("TAP version 13\nok 1 - a\n1..5\n{}", lines("#")),
        run,
        (2, 2, 2),
    );
    both(&lines("ℹ"), run, (2, 2, 2));
    both(
        "1..0\n# tests 0\n# suites 0\n# pass 0\n# fail 0\n",
        run,
        (0, 0, 0),
    );
    both(
        "1..3\n# tests 3\n# pass  2\n# fail  1\n",
        "tape t.js",
        (2, 1, 0),
    );
}

#[test]
fn jest() {
    let run = "npx jest";
    both(
        "Test Suites: 1 failed, 1 total\nTests:       2 failed, 1 skipped, 1 passed, 4 total\nTime: 1 s\n",
        run,
        (1, 2, 1),
    );
    both("Tests:       0 total\n", run, (0, 0, 0));
    both(
        "No tests found, exiting with code 1\nRun with `--passWithNoTests`\n",
        run,
        (0, 0, 0),
    );
    both(
        "\u{1b}[1mTests:       \u{1b}[22m\u{1b}[1m\u{1b}[32m3 passed\u{1b}[39m\u{1b}[22m, 3 total\n",
        run,
        (3, 0, 0),
    );
}

#[test]
fn vitest() {
    let run = "vitest run";
    both(
        " Test Files  1 failed (1)\n      Tests  2 failed | 1 passed | 1 skipped (4)\n   Start at  12:58:51\n",
        run,
        (1, 2, 1),
    );
    both(
        "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m3 passed\u{1b}[39m\u{1b}[22m\u{1b}[90m (3)\u{1b}[39m\n",
        run,
        (3, 0, 0),
    );
    both(
        " Test Files  no tests\n      Tests  no tests\n",
        run,
        (0, 0, 0),
    );
    both(
        "No test files found, exiting with code 1\n\nfilter: zzz\n",
        run,
        (0, 0, 0),
    );
}

#[test]
fn mocha() {
    let run = "mocha test";
    both(
        "  1 passing (3ms)\n  1 pending\n  2 failing\n\n  1) bad one:\n",
        run,
        (1, 2, 1),
    );
    both("\n  4 passing (2s)", run, (4, 0, 0));
    both("  0 passing (1ms)\n\n", run, (0, 0, 0));
    both("Error: No test files found: \"zzz.js\"\n", run, (0, 0, 0));
}

#[test]
fn deno_and_bun() {
    both(
        "\u{1b}[31mFAILED\u{1b}[0m | 1 passed | 1 failed | 1 ignored \u{1b}[0m(17ms)\n",
        "deno test",
        (1, 1, 1),
    );
    both(
        "ok | 3 passed (2 steps) | 0 failed (5ms)\n",
        "deno test --allow-all",
        (3, 0, 0),
    );
    both("ok | 0 passed | 0 failed (0ms)\n", "deno test", (0, 0, 0));
    both("error: No test modules found\n", "deno test", (0, 0, 0));
    both(
        " 2 pass\n 2 skip\n 4 fail\n 1 expect() calls\nRan 8 tests across 2 files. [35.00ms]\n",
        "bun test",
        (2, 4, 2),
    );
    both(
        " 1 pass\n 0 fail\nRan 1 test across 1 file. [8ms]\n",
        "bun test",
        (1, 0, 0),
    );
    both(
        "The following filters did not match any test files:\n zzz\n",
        "bun test zzz",
        (0, 0, 0),
    );
}

#[test]
fn maven_sums_its_modules() {
    let class = "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s - in a.ATest\n";
    let module = |n: u32| {
        format!(
            "[INFO] Results:\n[INFO]\n[INFO] Tests run: {n}, Failures: 0, Errors: 0, Skipped: 1\n"
        )
    };
    let red = "[ERROR] Tests run: 4, Failures: 1, Errors: 2, Skipped: 0\n";
    both(
        &format!("{class}{}{class}{}", module(3), module(4)),
        "mvn -B test",
        (5, 0, 2),
    );
    both(&format!("{}{red}", module(2)), "./mvnw test", (2, 3, 1));
    both("[INFO] No tests to run.\n", "mvn test", (0, 0, 0));
    both(
        "\u{1b}[1;32mTests run: 2, Failures: 0, Errors: 0, Skipped: 0\u{1b}[m\n",
        "mvn test",
        (2, 0, 0),
    );
}

#[test]
fn gradle() {
    let run = "./gradlew test";
    both(
        "> Task :test FAILED\n\n5 tests completed, 2 failed, 1 skipped\n",
        run,
        (2, 2, 1),
    );
    both(
        "> Task :test\n\nATest > a() PASSED\n\nATest > b() SKIPPED\n\nBUILD SUCCESSFUL in 3s\n",
        run,
        (1, 0, 1),
    );
    both(
        "> Task :compileTestJava NO-SOURCE\n> Task :test NO-SOURCE\n\nBUILD SUCCESSFUL\n",
        run,
        (0, 0, 0),
    );
    check(
        "> Task :a:test NO-SOURCE\n> Task :b:test\n\nBUILD SUCCESSFUL in 3s\n",
        run,
        None,
    );
    check("BUILD SUCCESSFUL in 3s\n", run, None);
}

#[test]
fn other_runners() {
    both(
        "1..3\nok 1 a\nnot ok 2 b\nok 3 c # skip\n",
        "bats test",
        (1, 1, 1),
    );
    both("1..0\n", "prove -v", (0, 0, 0));
    both(
        "All tests successful.\nFiles=1, Tests=3,  0 wallclock secs\n",
        "prove",
        (3, 0, 0),
    );
    both(
        "67% tests passed, 1 tests failed out of 3\n",
        "ctest",
        (2, 1, 0),
    );
    both("No tests were found!!!\n", "ctest", (0, 0, 0));
    both(
        "5 examples, 1 failure, 1 pending\n",
        "bundle exec rspec",
        (3, 1, 1),
    );
    both("OK (3 tests, 5 assertions)\n", "phpunit", (3, 0, 0));
    both(
        "Tests: 5, Assertions: 5, Errors: 1, Failures: 1.\n",
        "phpunit",
        (3, 2, 0),
    );
    both(
        "Passed!  - Failed:     0, Passed:     3, Skipped:     1, Total:     4\n",
        "dotnet test",
        (3, 0, 1),
    );
    check("ok 1 a\nnot ok 2 b\n", "make test", None);
}

#[test]
fn a_false_summary_before_the_true_one_does_not_count() {
    check(
        "99 passed in 0.01s\n...\n======== no tests ran in 0.00s ========\n",
        "pytest",
        Some((0, 0, 0)),
    );
    check(
        "Ran 9 tests in 0.1s\n\nOK\n\nRan 0 tests in 0.000s\n\nOK\n",
        "python -m unittest",
        Some((0, 0, 0)),
    );
    check(
        "Tests:       9 passed, 9 total\nTests:       1 failed, 1 total\n",
        "jest",
        Some((0, 1, 0)),
    );
    // Another runner's summary does not count where the command names its runner.
    check("9 passed in 0.01s\n", "cargo test", None);
    check(
        "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        "pytest -q",
        None,
    );
    check(
        "  test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        "cargo test",
        None,
    );
}

#[test]
fn an_unnamed_runner_is_found_and_several_are_summed() {
    let cargo = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    check(
        &format!("{cargo}3 passed in 0.01s\n"),
        "./run-all",
        Some((5, 0, 0)),
    );
    check(
        &format!("{cargo}3 passed in 0.01s\n"),
        "cargo test && pytest",
        Some((5, 0, 0)),
    );
    check("", "make", None);
    check("Hello\n", "npm test", None);
}
