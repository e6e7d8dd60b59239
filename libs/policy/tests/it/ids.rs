//! Names of failing tests, by runner, and their bounds.

use autopack_policy::gate::failing_ids;
use autopack_policy::gate::ids::{MAX_ID_CHARS, MAX_IDS};

#[test]
fn each_runners_form_is_read() {
    let cases: &[(&str, &[&str])] = &[
        (
            "FAILED test_a.py::test_p[x y] - assert 1 == 2\nERROR e2/test_x.py\n",
            &["test_a.py::test_p[x y]", "e2/test_x.py"],
        ),
        (
            "FAIL: test_bad (test_a.T.test_bad)\nERROR: test_e (t.T.test_e)\nFAIL: test_sub (t.T.test_sub) (i=0)\n",
            &[
                "test_bad (test_a.T.test_bad)",
                "test_e (t.T.test_e)",
                "test_sub (t.T.test_sub) (i=0)",
            ],
        ),
        (
            "test m::bad ... FAILED\ntest sp - should panic ... FAILED\ntest ok ... ok\n",
            &["m::bad", "sp"],
        ),
        (
            "        FAIL [   0.008s] (2/3) c sp\n     TIMEOUT [  60.0s] c slow\n",
            &["c sp", "c slow"],
        ),
        (
            "--- FAIL: TestB (0.00s)\n    --- FAIL: TestB/sub (0.00s)\nFAIL\texample.org/a [build failed]\n",
            &["TestB", "TestB/sub", "example.org/a [build failed]"],
        ),
        (
            "{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"TestB\"}\n{\"Action\":\"fail\",\"Package\":\"p\"}\n",
            &["p.TestB"],
        ),
        (
            "not ok 2 - bad <one>\nnot ok 3 - todo # TODO\n",
            &["bad <one>", "todo"],
        ),
        (
            "✖ bad <one> (0.730384ms)\n  ✖ inner bad (0.06ms)\n",
            &["bad <one>", "inner bad"],
        ),
        ("  ● grp › inner bad\n\n    y\n", &["grp › inner bad"]),
        (
            "\u{1b}[41m FAIL \u{1b}[49m t/b.test.mjs\u{1b}[2m > \u{1b}[22mgrp > inner bad\n",
            &["t/b.test.mjs > grp > inner bad"],
        ),
        (
            "  1) in list\n  2 failing\n\n  1) bad one:\n     Error: x\n\n  2) grp\n       inner bad:\n     Error: y\n",
            &["bad one", "grp inner bad"],
        ),
        (
            "[ERROR] a.ATest.b -- Time elapsed: 0.004 s <<< FAILURE!\n",
            &["a.ATest.b"],
        ),
        (
            "ATest > b() FAILED\n    java.lang.AssertionError\n",
            &["ATest > b()"],
        ),
        ("bad one ... FAILED (1ms)\n", &["bad one"]),
        ("(fail) g > inner bad [0.09ms]\n", &["g > inner bad"]),
        ("\t  3 - unit_x (Failed)\n", &["unit_x"]),
        ("all is well\nFAILED\nerror: test failed\n", &[]),
    ];
    for (output, expected) in cases {
        assert_eq!(failing_ids(output), *expected, "{output}");
    }
}

#[test]
fn names_are_bounded_and_each_stands_once() {
    let many: Vec<String> = (0..200).map(|i| format!("test t{i} ... FAILED")).collect();
    assert_eq!(failing_ids(&many.join("\n")).len(), MAX_IDS);
    assert_eq!(failing_ids("test a ... FAILED\ntest a ... FAILED\n"), ["a"]);
    let long = format!("test {} ... FAILED\n", "x".repeat(5000));
    assert_eq!(failing_ids(&long)[0].chars().count(), MAX_ID_CHARS);
}
