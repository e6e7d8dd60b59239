//! Where the report of a step is, if the plan does not say: its command line names the runner.
//!
//! Invariant: a runner that is not named is not guessed, but for scripts (`make test`, `npm test`), whose output says
//! itself whose it is.

use autopack_domain::plan::{ReportKind, StepKind, StepSpec};

use crate::text::Pattern;

/// Where the results of a step are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The form.
    pub kind: ReportKind,
    /// A file or folder below the repository's root, which may be anywhere below the step's folder if it is a
    /// pattern; `None`: what the step prints.
    pub files: Option<String>,
    /// The plan names it, so that it must be there.
    pub declared: bool,
}

/// Files that Maven's runners write, in whatever module.
pub const MAVEN_REPORTS: &str = "**/target/surefire-reports/TEST-*.xml";
/// Files that Gradle's runner writes, in whatever module.
pub const GRADLE_REPORTS: &str = "**/build/test-results/*/TEST-*.xml";

static NAMED: [(ReportKind, Pattern); 9] = [
    (ReportKind::Pytest, Pattern::new(r"\bpy\.?test\b")),
    (
        ReportKind::Unittest,
        Pattern::new(r"\bunittest\b|manage\.py test\b"),
    ),
    (ReportKind::Nextest, Pattern::new(r"\bnextest\b")),
    (ReportKind::Cargo, Pattern::new(r"\bcargo\b.*\b(test|t)\b")),
    (
        ReportKind::Go,
        Pattern::new(r"\bgo\s+(\S+\s+)*test\b|\bgotestsum\b"),
    ),
    (ReportKind::Node, Pattern::new(r"\bnode\b.*--test\b")),
    (ReportKind::Jest, Pattern::new(r"\bjest\b")),
    (ReportKind::Vitest, Pattern::new(r"\bvitest\b")),
    (ReportKind::Tap, Pattern::new(r"\b(prove|bats|tape|tap)\b")),
];

static MAVEN: Pattern = Pattern::new(r"\b(mvnw?|mvnd)\b");
static GRADLE: Pattern = Pattern::new(r"\bgradlew?\b");

/// Traces of a runner in the output of a script.
static TRACES: [(ReportKind, Pattern); 6] = [
    (
        ReportKind::Nextest,
        Pattern::new(r"(?m)^\s+Summary \[\s*[\d.]+s\] +\d+ tests? run:"),
    ),
    (ReportKind::Cargo, Pattern::new(r"(?m)^test result: ")),
    (
        ReportKind::Go,
        Pattern::new(r#"(?m)^(=== RUN\s|\{"Time":".*"Action":)"#),
    ),
    (
        ReportKind::Node,
        Pattern::new(r"(?m)^(?:#|ℹ) tests \d+\s*$"),
    ),
    (
        ReportKind::Unittest,
        Pattern::new(r"(?m)^Ran \d+ tests? in [\d.]+s\s*$"),
    ),
    (
        ReportKind::Pytest,
        Pattern::new(r"(?m)^=+ test session starts =+\s*$"),
    ),
];

/// The source of a step's results; `None`: it runs no tests, or nobody can say.
pub fn detect(step: &StepSpec, output: &str) -> Option<Source> {
    if step.kind != StepKind::Test {
        return None;
    }
    if let Some(report) = &step.report {
        return Some(Source {
            kind: report.kind,
            files: Some(report.path.clone()).filter(|path| !path.is_empty()),
            declared: true,
        });
    }
    let guessed = |kind, files: Option<&str>| Source {
        kind,
        files: files.map(str::to_owned),
        declared: false,
    };
    if MAVEN.is_match(&step.run) {
        return Some(guessed(ReportKind::Junit, Some(MAVEN_REPORTS)));
    }
    if GRADLE.is_match(&step.run) {
        return Some(guessed(ReportKind::Junit, Some(GRADLE_REPORTS)));
    }
    let named = NAMED.iter().find(|(_, name)| name.is_match(&step.run));
    let traced = || TRACES.iter().find(|(_, trace)| trace.is_match(output));
    let (kind, _) = named.or_else(traced)?;
    Some(guessed(*kind, None))
}
