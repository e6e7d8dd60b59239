//! `autopack preflight`: the gate of a repository in its present checkout.

use autopack_testkit::{Autopack, TempRepo};

/// A repository whose tests are run by Python's own runner; `body` is that of the one test.
fn tested(body: &str) -> TempRepo {
    let repo = TempRepo::empty();
    let test = format!(
        "import os, unittest\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        {body}\n"
    );
    repo.write("tests/test_a.py", test);
    repo.write(
        "setup.py",
        "from setuptools import setup\nsetup(name='demo')\n",
    );
    repo
}

fn preflight(autopack: &Autopack, repo: &TempRepo, more: &[&str]) -> autopack_testkit::Answer {
    let mut args = vec!["preflight", "--repo", repo.path().to_str().unwrap()];
    args.extend(more);
    autopack.ask(&args)
}

#[test]
fn the_gate_of_a_checkout_passes_once() {
    let (repo, autopack) = (tested("self.assertTrue(True)"), Autopack::new());
    for profile in ["normal", "strict"] {
        let answer = preflight(&autopack, &repo, &["--profile", profile]);
        answer.done.expect_code(0);
        assert_eq!(answer.json["profile"], profile);
        assert_eq!(
            (&answer.json["passed"], &answer.json["flaky"]),
            (&true.into(), &false.into())
        );
        let attempts = answer.json["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!(
            attempts[0]["verdict"]["verdict"], "passed",
            "{:#}",
            answer.json
        );
    }
}

#[test]
fn a_red_gate_is_tried_as_often_as_the_variables_say() {
    let repo = tested("self.fail('no')");
    for (tries, autopack) in [
        (3, Autopack::new()),
        (1, Autopack::new().with("MAX_ATTEMPTS", "1")),
    ] {
        let answer = preflight(&autopack, &repo, &[]);
        answer.done.expect_code(1);
        assert_eq!(answer.json["passed"], false);
        assert_eq!(answer.json["attempts"].as_array().unwrap().len(), tries);
    }
    let strict = Autopack::new()
        .with("CI_PROFILE", "strict")
        .with("MAX_ATTEMPTS", "1");
    assert_eq!(preflight(&strict, &repo, &[]).json["profile"], "strict");
}

#[test]
fn a_gate_that_passes_at_the_second_attempt_is_called_flaky() {
    let body = "p = 'second'; first = not os.path.exists(p); open(p, 'w').close(); self.assertFalse(first)";
    let (repo, autopack) = (tested(body), Autopack::new());
    let answer = preflight(&autopack, &repo, &[]);
    answer.done.expect_code(0);
    assert_eq!(
        (&answer.json["passed"], &answer.json["flaky"]),
        (&true.into(), &true.into())
    );
    assert_eq!(answer.json["attempts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_gate_whose_program_is_missing_is_not_tried_in_vain() {
    let repo = tested("pass");
    let autopack = Autopack::new().with("PATH", "/nowhere");
    let answer = preflight(&autopack, &repo, &[]);
    answer.done.expect_code(1);
    let attempts = answer.json["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{:#}", answer.json);
    assert_eq!(attempts[0]["verdict"]["cause"], "GATE_NOT_FOUND");
}

#[test]
fn a_secret_of_the_caller_is_not_seen_by_the_gate() {
    let repo = tested("self.assertNotIn('GITHUB_TOKEN', os.environ)");
    let autopack = Autopack::new().with("GITHUB_TOKEN", "secret");
    preflight(&autopack, &repo, &[]).done.expect_code(0);
}

#[test]
fn a_repository_without_a_gate_is_an_error_and_never_a_pass() {
    let (repo, autopack) = (TempRepo::empty(), Autopack::new());
    repo.write("README.md", "# Demo\n");
    let answer = preflight(&autopack, &repo, &[]);
    answer.done.expect_code(1);
    assert!(answer.done.stderr.contains("no gate"), "{answer:?}");
    preflight(&autopack, &repo, &["--profile", "lax"])
        .done
        .expect_code(2);
}
