//! What a gate's tests are worth: compared with the base, flaky, promised.

use autopack_domain::plan::{
    GateProfile, KnownFailures, Quarantined, ReportKind, ReportSpec, StepKind, TestRules,
};
use autopack_domain::run::settle::Report;
use autopack_domain::{Cause, quarantine};

use crate::world::{World, command, with_step};

const UNITTEST: &str = "python3 -m unittest discover -v";
const TESTS: &str = "import os\nimport unittest\n\nfrom app import double\n\n\nclass App(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(2), 4)\n\n    def test_zero(self):\n        self.assertEqual(double(0), 0)\n";
const APP: &str = "def double(n):\n    return n * 2\n";

fn world() -> World {
    World::with_files(&[("app.py", APP), ("test_app.py", TESTS)])
}

/// Runs a phase whose builder is this line of shell, with a real test runner as its gate.
async fn play(world: &mut World, id: &str, line: &str, rules: TestRules) -> Report {
    let mut spec = with_step(command(id, line), StepKind::Test, UNITTEST, 60);
    spec.gate.tests = rules;
    spec.gate.profile = GateProfile::Normal;
    world.execute(spec).await
}

fn rules() -> TestRules {
    TestRules::default()
}

#[tokio::test]
async fn a_removed_test_needs_leave() {
    let mut world = world();
    let remove = "sed -i '/def test_zero/,$d' test_app.py";
    let report = play(&mut world, "P1", remove, rules()).await;
    assert_eq!(
        report.cause,
        Some(Cause::TestsWeakened),
        "{}",
        report.detail
    );
    for part in [
        "test_app.App.test_zero",
        "is not in the result",
        "gate.tests.may_remove",
    ] {
        assert!(report.detail.contains(part), "{part}: {}", report.detail);
    }
    assert_eq!(world.branch(), None);
    assert_eq!(report.facts["baseline"], "run");
    let declared = TestRules {
        may_remove: vec!["*.test_zero".into()],
        ..rules()
    };
    let report = play(&mut world, "P2", remove, declared).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(report.facts["tests_weakened_by_leave"], 1);
    assert_eq!(
        report.facts["baseline"], "remembered",
        "the base ran for the first phase"
    );
}

#[tokio::test]
async fn the_switch_off_is_as_if_nothing_were_compared() {
    let mut world = world();
    let off = TestRules {
        integrity: false,
        reruns: 0,
        ..rules()
    };
    let report = play(
        &mut world,
        "P1",
        "sed -i '/def test_zero/,$d' test_app.py",
        off,
    )
    .await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert!(!report.facts.contains_key("baseline") && !report.facts.contains_key("tests_added"));
}

#[tokio::test]
async fn a_skipped_and_an_emptied_test_need_leave() {
    let mut world = world();
    let skip = "sed -i 's/    def test_zero/    @unittest.skip(\"later\")\\n    def test_zero/' test_app.py";
    let report = play(&mut world, "P1", skip, rules()).await;
    assert_eq!(
        report.cause,
        Some(Cause::TestsWeakened),
        "{}",
        report.detail
    );
    assert!(
        report.detail.contains("is skipped in the result"),
        "{}",
        report.detail
    );
    let empty = "sed -i 's/self.assertEqual(double(0), 0)/pass/' test_app.py";
    let report = play(&mut world, "P2", empty, rules()).await;
    assert_eq!(
        report.cause,
        Some(Cause::TestsWeakened),
        "{}",
        report.detail
    );
    assert!(
        report
            .detail
            .contains("test_app.App.test_zero: asserts nothing any more"),
        "{}",
        report.detail
    );
    let may = TestRules {
        may_empty: vec!["*".into()],
        ..rules()
    };
    assert_eq!(play(&mut world, "P3", empty, may).await.cause, None);
    assert!(world.branch().is_some());
}

#[tokio::test]
async fn the_next_phase_is_compared_with_what_the_last_one_proved() {
    let mut world = world();
    let add = "printf '\\n    def test_one(self):\\n        self.assertEqual(double(1), 2)\\n' >> test_app.py";
    let report = play(&mut world, "P1", add, rules()).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(
        (&report.facts["tests_added"], report.tests),
        (&1.into(), Some(3))
    );
    let kept = world.fake.artifact(&report, "tests").unwrap();
    assert!(
        kept.contains("test_app.App.test_one") && kept.contains("autopack/tests/v1"),
        "{kept}"
    );
    let report = play(
        &mut world,
        "P2",
        "sed -i '/def test_one/,$d' test_app.py",
        rules(),
    )
    .await;
    assert_eq!(
        report.cause,
        Some(Cause::TestsWeakened),
        "{}",
        report.detail
    );
    assert_eq!(report.facts["baseline"], "remembered");
}

#[tokio::test]
async fn a_failure_of_the_base_is_proved_there_and_excused_only_by_leave() {
    let broken = TESTS.replace("double(0), 0", "double(0), 1");
    let mut world = World::with_files(&[("app.py", APP), ("test_app.py", &broken)]);
    let report = play(&mut world, "P1", "echo '# more' >> app.py", rules()).await;
    assert_eq!(report.cause, Some(Cause::GateFailed));
    let line = "test_app.App.test_zero (red on the base as well): AssertionError: 0 != 1";
    assert!(report.detail.contains(line), "{}", report.detail);
    assert_eq!(report.facts["known_failures"][0], "test_app.App.test_zero");
    let allow = TestRules {
        known_failures: KnownFailures::Allow,
        ..rules()
    };
    let report = play(
        &mut world,
        "P2",
        "sed -i 's/n . 2/n * 3/' app.py",
        allow.clone(),
    )
    .await;
    assert_eq!(
        report.cause,
        Some(Cause::GateFailed),
        "another test is red: {}",
        report.detail
    );
    let report = play(&mut world, "P3", "echo '# more' >> app.py", allow).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert!(
        report.gate.ends_with("; 1 known failures"),
        "{}",
        report.gate
    );
    assert!(world.branch().is_some());
}

/// Makes a test that is red whenever its mark is not there, and leaves the mark.
const FLAKY: &str = "        mark = os.path.join(os.environ['FLAKY_MARK'], 'seen')\n        first = not os.path.exists(mark)\n        open(mark, 'w').close()\n        self.assertFalse(first)\n";

#[tokio::test]
async fn a_flaky_test_is_known_by_two_outcomes_on_one_tree() {
    let flaky = format!("{TESTS}\n    def test_flaky(self):\n{FLAKY}");
    let mut world = World::with_files(&[("app.py", APP), ("test_app.py", &flaky)]);
    let folder = world.shared("marks");
    let spec = |id: &str, reruns| {
        let mut spec = with_step(
            command(id, "echo '# more' >> app.py"),
            StepKind::Test,
            UNITTEST,
            60,
        );
        let step = &mut spec.gate.steps.as_mut().unwrap()[0];
        step.env
            .insert("FLAKY_MARK".into(), folder.to_str().unwrap().into());
        spec.gate.tests = TestRules {
            reruns,
            integrity: false,
            ..rules()
        };
        spec
    };
    let report = world.execute(spec("P1", 0)).await;
    assert_eq!(
        report.cause,
        Some(Cause::GateFailed),
        "no rerun, no evidence: {}",
        report.detail
    );
    std::fs::remove_file(folder.join("seen")).unwrap();
    let report = world.execute(spec("P2", 1)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(
        report.facts[quarantine::ATTEMPT_FACT][0],
        "test_app.App.test_flaky"
    );
    assert_eq!(report.issues[0].key, "flaky__test_app.App.test_flaky");
    let output = world.fake.artifact(&report, "output").unwrap();
    assert!(output.contains("(again)"), "{output}");
}

#[tokio::test]
async fn a_flaky_test_that_the_change_brings_is_not_excused() {
    let mut world = world();
    let folder = world.shared("marks");
    let line = format!("cat >> test_app.py <<'END'\n\n    def test_flaky(self):\n{FLAKY}END");
    let mut spec = with_step(command("P1", &line), StepKind::Test, UNITTEST, 60);
    let step = &mut spec.gate.steps.as_mut().unwrap()[0];
    step.env
        .insert("FLAKY_MARK".into(), folder.to_str().unwrap().into());
    let report = world.execute(spec).await;
    assert_eq!(report.cause, Some(Cause::GateFailed), "{}", report.detail);
    assert!(
        !world
            .fake
            .artifact(&report, "output")
            .unwrap()
            .contains("(again)")
    );
}

#[tokio::test]
async fn a_quarantine_earns_more_runs_until_it_ends() {
    // Red twice, then green.
    let twice = "        mark = os.environ['FLAKY_MARK'] + '/seen'\n        with open(mark, 'a') as file:\n            file.write('x')\n        self.assertGreater(os.path.getsize(mark), 2)\n";
    let flaky = format!("{TESTS}\n    def test_flaky(self):\n{twice}");
    let mut world = World::with_files(&[("app.py", APP), ("test_app.py", &flaky)]);
    let folder = world.shared("marks");
    // The worker's clock says 2023-11-14.
    for (id, until, cause) in [
        ("P1", "2023-11-13", Some(Cause::GateFailed)),
        ("P2", "2023-11-14", None),
    ] {
        let _ = std::fs::remove_file(folder.join("seen"));
        let line = format!("echo '# {id}' >> app.py");
        let mut spec = with_step(command(id, &line), StepKind::Test, UNITTEST, 60);
        let step = &mut spec.gate.steps.as_mut().unwrap()[0];
        step.env
            .insert("FLAKY_MARK".into(), folder.to_str().unwrap().into());
        spec.gate.tests = TestRules {
            integrity: false,
            quarantine: vec![Quarantined {
                id: "*.test_flaky".into(),
                until: until.into(),
                reason: String::new(),
            }],
            ..rules()
        };
        let report = world.execute(spec).await;
        assert_eq!(report.cause, cause, "{until}: {}", report.detail);
        if cause.is_some() {
            let note = "the quarantine of *.test_flaky ended with 2023-11-13";
            assert!(report.detail.contains(note), "{}", report.detail);
        }
    }
}

#[tokio::test]
async fn a_promised_test_is_red_before_and_green_after() {
    let mut world = world();
    let promise = |name: &str| TestRules {
        promised: vec![name.to_owned()],
        ..rules()
    };
    let test = "printf '\\n    def test_triple(self):\\n        from app import triple\\n        self.assertEqual(triple(2), 6)\\n' >> test_app.py";
    let code = "printf '\\n\\ndef triple(n):\\n    return n * 3\\n' >> app.py";
    let name = "test_app.App.test_triple";
    let report = play(&mut world, "P1", code, promise(name)).await;
    assert_eq!(
        report.cause,
        Some(Cause::TestPromiseBroken),
        "{}",
        report.detail
    );
    assert!(
        report.detail.contains("no such test ran"),
        "{}",
        report.detail
    );
    let hollow =
        "printf '\\n    def test_triple(self):\\n        self.assertEqual(6, 6)\\n' >> test_app.py";
    let report = play(
        &mut world,
        "P2",
        &format!("{hollow}; {code}"),
        promise(name),
    )
    .await;
    assert_eq!(
        report.cause,
        Some(Cause::TestPromiseBroken),
        "{}",
        report.detail
    );
    assert!(
        report.detail.contains("is green without the change"),
        "{}",
        report.detail
    );
    assert_eq!(world.branch(), None);
    let report = play(&mut world, "P3", &format!("{test}; {code}"), promise(name)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(report.facts["promised_tests"], 1);
}

#[tokio::test]
async fn an_exit_code_cannot_hide_red_tests_and_a_declared_report_must_be_there() {
    let mut world = world();
    let run = format!("{UNITTEST} || true");
    let spec = with_step(
        command("P1", "sed -i 's/n . 2/n * 3/' app.py"),
        StepKind::Test,
        &run,
        60,
    );
    let report = world.execute(spec).await;
    assert_eq!(report.cause, Some(Cause::GateFailed), "{}", report.detail);
    let mut spec = with_step(
        command("P2", "echo '# x' >> app.py"),
        StepKind::Test,
        "true",
        60,
    );
    spec.gate.steps.as_mut().unwrap()[0].report = Some(ReportSpec {
        kind: ReportKind::Junit,
        path: "out/report.xml".into(),
    });
    let report = world.execute(spec).await;
    assert_eq!(
        report.cause,
        Some(Cause::GateUnreadable),
        "{}",
        report.detail
    );
    assert!(
        report
            .detail
            .contains("has not written its report `out/report.xml`"),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn the_next_attempt_gets_a_packet_that_says_what_to_mend() {
    let mut world = world();
    let mut spec = with_step(
        command("P1", "sed -i 's/n . 2/n * 3/' app.py"),
        StepKind::Test,
        UNITTEST,
        60,
    );
    let step = &mut spec.gate.steps.as_mut().unwrap()[0];
    step.env.insert("MODE".into(), "a b".into());
    let report = world.execute(spec).await;
    assert_eq!(report.cause, Some(Cause::GateFailed));
    for part in [
        "failing tests:\n  test_app.App.test_double: AssertionError: 6 != 4\n",
        "the first error:\n",
        "the change that was tested:\n  M app.py\n",
        "to see it again:\n  MODE='a b' python3 -m unittest discover -v\n",
        "the end of its output:\n",
    ] {
        assert!(report.detail.contains(part), "{part}: {}", report.detail);
    }
}
