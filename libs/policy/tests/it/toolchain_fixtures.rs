//! The recorded output of each toolchain's runner, for passing, failing, flaky and not collectable tests: the verdict
//! and the ids. The repositories stand in `tests/fixtures/toolchains`.

use std::path::{Path, PathBuf};

use autopack_domain::gate::Verdict;
use autopack_domain::plan::{GateProfile, ReportKind, ReportSpec, StepKind, StepSpec};
use autopack_policy::gate::{StepEnd, StepResult, verdict};
use autopack_policy::integrity::flaky::evidence;
use autopack_policy::report::{Outcome, Reading, detect, read};
use autopack_policy::toolchain::{TreeView, infer_gate};

use crate::step;

/// One runner: its folder, what its gate is, and what its tests are called.
struct Tool {
    folder: &'static str,
    /// Its files in `recorded` begin with this.
    prefix: &'static str,
    /// `None`: as inferred from the repository.
    run: Option<&'static str>,
    /// The report that the plan has to name.
    report: Option<ReportKind>,
    kind: ReportKind,
    /// Ending of the report's file; the output without.
    file: Option<&'static str>,
    passing: &'static [&'static str],
    skipped: &'static [&'static str],
    failing: &'static [&'static str],
    flaky: &'static str,
    /// What cannot be collected, if the runner names it.
    broken: &'static [&'static str],
}

const TOOLS: [Tool; 9] = [
    Tool {
        folder: "unittest",
        prefix: "",
        run: None,
        report: None,
        kind: ReportKind::Unittest,
        file: None,
        passing: &[
            "tests.test_core.Core.test_double",
            "tests.test_core.Core.test_zero",
        ],
        skipped: &["tests.test_core.Core.test_remote"],
        failing: &["tests.test_core.Core.test_double"],
        flaky: "tests.test_core.Core.test_double",
        broken: &["tests.test_core"],
    },
    Tool {
        folder: "pytest",
        prefix: "",
        run: None,
        report: None,
        kind: ReportKind::Junit,
        file: Some("xml"),
        passing: &[
            "tests/test_app.py::TestZero::test_zero",
            "tests/test_app.py::test_double[1]",
            "tests/test_app.py::test_double[2]",
        ],
        skipped: &["tests/test_app.py::test_remote"],
        failing: &[
            "tests/test_app.py::test_double[1]",
            "tests/test_app.py::test_double[2]",
        ],
        flaky: "tests/test_app.py::TestZero::test_zero",
        broken: &["tests/test_app.py"],
    },
    Tool {
        folder: "cargo",
        prefix: "",
        run: None,
        report: None,
        kind: ReportKind::Cargo,
        file: None,
        passing: &[
            "demo::doc::src/lib.rs - double",
            "demo::tests::doubles",
            "it::zero",
        ],
        skipped: &["demo::tests::remote"],
        failing: &["it::zero"],
        flaky: "it::zero",
        broken: &[],
    },
    Tool {
        folder: "cargo",
        prefix: "nextest-",
        run: Some("cargo nextest run --locked --no-fail-fast"),
        report: None,
        kind: ReportKind::Nextest,
        file: None,
        passing: &["demo::it::zero", "demo::tests::doubles"],
        skipped: &[],
        failing: &["demo::it::zero"],
        flaky: "demo::it::zero",
        broken: &[],
    },
    Tool {
        folder: "node",
        prefix: "",
        run: None,
        report: None,
        kind: ReportKind::Node,
        file: None,
        passing: &["double > doubles", "double > keeps zero"],
        skipped: &["double > asks a server"],
        failing: &["double > doubles"],
        flaky: "double > doubles",
        broken: &["test/double.test.js"],
    },
    Tool {
        folder: "jest",
        prefix: "",
        run: None,
        report: Some(ReportKind::Jest),
        kind: ReportKind::Jest,
        file: Some("json"),
        passing: &[
            "test/double.test.js::double doubles",
            "test/double.test.js::double keeps zero",
        ],
        skipped: &["test/double.test.js::double asks a server"],
        failing: &["test/double.test.js::double doubles"],
        flaky: "test/double.test.js::double doubles",
        broken: &["test/double.test.js"],
    },
    Tool {
        folder: "vitest",
        prefix: "",
        run: None,
        report: Some(ReportKind::Vitest),
        kind: ReportKind::Vitest,
        file: Some("json"),
        passing: &[
            "test/double.test.js::double doubles",
            "test/double.test.js::double keeps zero",
        ],
        skipped: &["test/double.test.js::double asks a server"],
        failing: &["test/double.test.js::double doubles"],
        flaky: "test/double.test.js::double doubles",
        broken: &["test/double.test.js"],
    },
    Tool {
        folder: "go",
        prefix: "",
        run: None,
        report: None,
        kind: ReportKind::Go,
        file: None,
        passing: &[
            "example.com/demo.TestDouble",
            "example.com/demo.TestDouble/two",
            "example.com/demo.TestDouble/zero",
        ],
        skipped: &["example.com/demo.TestRemote"],
        failing: &[
            "example.com/demo.TestDouble",
            "example.com/demo.TestDouble/two",
        ],
        flaky: "example.com/demo.TestDouble",
        broken: &["example.com/demo"],
    },
    JAVA,
];

const JAVA: Tool = Tool {
    folder: "maven",
    prefix: "",
    run: None,
    report: None,
    kind: ReportKind::Junit,
    file: Some("xml"),
    passing: &["demo.CoreTest::doubles", "demo.CoreTest::keepsZero"],
    skipped: &["demo.CoreTest::remote"],
    failing: &["demo.CoreTest::doubles"],
    flaky: "demo.CoreTest::doubles",
    broken: &[],
};

struct Tree {
    root: PathBuf,
    paths: Vec<String>,
    texts: Vec<(String, String)>,
}

impl TreeView for Tree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.as_str())
    }
}

impl Tree {
    fn of(root: PathBuf) -> Self {
        let mut tree = Self {
            paths: Vec::new(),
            texts: Vec::new(),
            root,
        };
        let root = tree.root.clone();
        tree.add(&root);
        tree.paths.sort();
        tree
    }

    fn add(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add(&path);
                continue;
            }
            let name = path.strip_prefix(&self.root).unwrap();
            let name = name.to_str().unwrap().to_owned();
            self.texts
                .push((name.clone(), std::fs::read_to_string(&path).unwrap()));
            self.paths.push(name);
        }
    }
}

impl Tool {
    fn at(&self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/toolchains");
        root.join(self.folder)
    }

    /// The gate's test step.
    fn step(&self) -> StepSpec {
        let mut found = if let Some(run) = self.run {
            step(run, StepKind::Test)
        } else {
            let gate = infer_gate(&Tree::of(self.at().join("repo")), GateProfile::Normal);
            let steps = gate.unwrap_or_else(|e| panic!("{}: {}", self.folder, e.reason));
            let mut steps = steps.steps.into_iter();
            steps.find(|step| step.kind == StepKind::Test).unwrap()
        };
        found.report = self.report.map(|kind| ReportSpec {
            kind,
            path: "report.json".to_owned(),
        });
        found
    }

    /// What was recorded: the exit code, the output, the report.
    fn recorded(&self, variant: &str) -> (i32, String, Option<Reading>) {
        let folder = self.at().join("recorded");
        let text = |ending: &str| {
            std::fs::read_to_string(folder.join(format!("{}{variant}.{ending}", self.prefix)))
        };
        let all = text("txt").unwrap();
        let (first, output) = all.split_once('\n').unwrap();
        let code = first.strip_prefix("exit ").unwrap().parse().unwrap();
        let reading = match self.file {
            Some(ending) => text(ending)
                .ok()
                .and_then(|file| read(self.kind, &[&file], "/project")),
            None => read(self.kind, &[output], "/project"),
        };
        (code, output.to_owned(), reading)
    }

    fn judged(&self, variant: &str) -> (Verdict, Option<Reading>) {
        let step = self.step();
        let (code, output, reading) = self.recorded(variant);
        let found = detect(&step, &output).unwrap_or_else(|| panic!("{}: no source", step.run));
        let fits = self.folder == "pytest" || found.kind == self.kind;
        assert!(
            fits,
            "{}: {:?} is not {:?}",
            step.run, found.kind, self.kind
        );
        let steps = [StepResult {
            kind: step.kind,
            run: &step.run,
            end: StepEnd::Exited(code),
            output: &output,
            report: reading.as_ref(),
        }];
        (verdict(&steps), reading)
    }
}

fn ids(reading: &Reading, outcome: Outcome) -> Vec<&str> {
    let mut ids: Vec<&str> = reading.ids(outcome).collect();
    ids.sort_unstable();
    ids
}

fn tools() -> impl Iterator<Item = Tool> {
    TOOLS.into_iter().chain([Tool {
        folder: "gradle",
        ..JAVA
    }])
}

#[test]
fn passing_tests_are_a_passed_gate_with_every_id() {
    for tool in tools() {
        let (verdict, reading) = tool.judged("passing");
        let reading = reading.unwrap();
        assert!(
            matches!(verdict, Verdict::Passed { tests: Some(n) } if n > 0),
            "{}: {verdict:?}",
            tool.folder
        );
        assert_eq!(
            ids(&reading, Outcome::Passed),
            tool.passing,
            "{}",
            tool.folder
        );
        assert_eq!(
            ids(&reading, Outcome::Skipped),
            tool.skipped,
            "{}",
            tool.folder
        );
        assert_eq!(
            ids(&reading, Outcome::Failed),
            Vec::<&str>::new(),
            "{}",
            tool.folder
        );
        assert!(
            reading.whole && reading.problem.is_none(),
            "{}: {reading:?}",
            tool.folder
        );
    }
}

#[test]
fn a_red_test_is_a_failed_gate_with_its_id_and_message() {
    for tool in tools() {
        let (verdict, reading) = tool.judged("failing");
        let reading = reading.unwrap();
        assert_eq!(
            ids(&reading, Outcome::Failed),
            tool.failing,
            "{}",
            tool.folder
        );
        let Verdict::Failed { ids } = verdict else {
            panic!("{}: {verdict:?}", tool.folder);
        };
        assert_eq!(ids.len(), tool.failing.len(), "{}: {ids:?}", tool.folder);
        assert_eq!(reading.problem, None, "{}", tool.folder);
        // Nextest prints what a test says in a block of its own.
        let red = reading
            .tests
            .iter()
            .find(|test| test.id == *tool.failing.last().unwrap());
        assert!(
            tool.kind == ReportKind::Nextest || !red.unwrap().message.is_empty(),
            "{}: {red:?}",
            tool.folder
        );
    }
}

#[test]
fn a_flaky_test_has_two_outcomes_on_one_tree() {
    for tool in tools() {
        let (red, first) = tool.judged("flaky");
        let (green, second) = tool.judged("flaky-again");
        assert!(
            matches!(red, Verdict::Failed { .. }) && green.lands(),
            "{}: {red:?} {green:?}",
            tool.folder
        );
        assert_eq!(
            evidence(&first.unwrap(), &second.unwrap()),
            [tool.flaky],
            "{}",
            tool.folder
        );
    }
}

#[test]
fn tests_that_cannot_be_collected_are_a_failed_gate() {
    for tool in tools() {
        let (verdict, reading) = tool.judged("broken");
        let Verdict::Failed { ids } = verdict else {
            panic!("{}: {verdict:?}", tool.folder);
        };
        if !tool.broken.is_empty() {
            assert_eq!(ids, tool.broken, "{}", tool.folder);
            assert!(
                !reading.unwrap().tests[0].message.is_empty(),
                "{}",
                tool.folder
            );
        }
    }
}
