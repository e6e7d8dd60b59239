//! The tokens of a phase's answer, from what it must deliver.
//!
//! Invariant: estimate = int((overhead + sum of the deliverables' weights) x 1.3), but for phases of documents alone,
//! which have rules of their own.

use autopack_domain::plan::Complexity;

use super::kind::{Deliverable, Kind};

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The phase's category, as the plan has it.
    pub category: &'a str,
    /// How hard it is.
    pub complexity: Complexity,
    /// What it must achieve, for the words that tell a synthesis.
    pub goal: &'a str,
    /// The files that it owes.
    pub deliverables: &'a [Deliverable],
    /// Paths that it may write, if its scope names any.
    pub scope_paths: usize,
}

/// Which rule gave the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing is owed by name.
    Default,
    /// Overhead and weights.
    Deliverables,
    /// Documents from reading much code.
    DocSynthesis,
    /// Ledgers such as a change log.
    DocUpdate,
}

impl Rule {
    /// The name in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Deliverables => "deliverables",
            Self::DocSynthesis => "doc_synthesis",
            Self::DocUpdate => "doc_sot_update",
        }
    }
}

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Tokens of the answer.
    pub tokens: u64,
    /// From 0 to 1.
    pub confidence: f64,
    /// The rule.
    pub rule: Rule,
}

/// Room for what an estimate leaves out.
const MARGIN: f64 = 1.3;
/// Names of ledgers.
const LEDGERS: &[&str] = &[
    "build_log",
    "build_history",
    "changelog",
    "history",
    "release_notes",
];

/// The category by which tables are read: older and newer names of one thing are one.
pub fn canonical(category: &str) -> String {
    let name = category.trim().to_ascii_lowercase();
    let of = match name.as_str() {
        "documentation" | "doc" | "doc_write" | "docs" => "docs",
        "testing" | "tests" | "test" => "tests",
        "implement_feature" | "feature_scaffolding" | "implementation" => "implementation",
        "cross_cutting_refactor" | "refactor" | "refactoring" | "debt_cleanup" => "refactoring",
        "external_feature_reuse" | "external_code_intake" | "integration" => "integration",
        "schema_contract_change" | "schema_change" | "database" => "database",
        "security_auth_change" | "security_auth" | "index_registry_change" | "backend" => "backend",
        other => other,
    };
    of.to_owned()
}

/// Tokens for thinking and talk.
fn overhead(category: &str, complexity: Complexity) -> u64 {
    let row = match category {
        "implementation" => [634, 1176, 5000],
        "refactoring" => [2500, 3500, 5500],
        "configuration" => [800, 1500, 2500],
        "integration" => [3000, 4000, 6000],
        "tests" => [915, 2500, 4000],
        "docs" => [1500, 2500, 3500],
        "backend" | "database" | "deployment" => [2000, 3000, 5000],
        "frontend" => [2500, 3500, 5500],
        _ => [2000; 3],
    };
    by(complexity, row)
}

/// The column of a row.
pub(super) const fn by(complexity: Complexity, row: [u64; 3]) -> u64 {
    match complexity {
        Complexity::Low => row[0],
        Complexity::Medium => row[1],
        Complexity::High => row[2],
    }
}

/// The answer's tokens.
pub fn predict(task: &Task<'_>) -> Estimate {
    let count = task.deliverables.len();
    if count == 0 {
        return Estimate {
            tokens: by(task.complexity, [8192, 12_288, 16_384]),
            confidence: 0.5,
            rule: Rule::Default,
        };
    }
    let category = canonical(task.category);
    if let Some(estimate) = documents(task, &category) {
        return estimate;
    }
    let weights: f64 = task
        .deliverables
        .iter()
        .map(|one| one.weight(&category))
        .sum();
    let share = |has: fn(&Deliverable) -> bool| {
        task.deliverables.iter().filter(|one| has(one)).count() as f64 / count as f64
    };
    let confidence =
        0.5 + 0.3 * share(Deliverable::names_a_file) + 0.2 * share(Deliverable::names_an_action);
    Estimate {
        tokens: rounded((overhead(&category, task.complexity) as f64 + weights) * MARGIN),
        confidence: confidence.min(1.0),
        rule: Rule::Deliverables,
    }
}

/// The rules for phases of documents alone; `None`: they do not hold.
fn documents(task: &Task<'_>, category: &str) -> Option<Estimate> {
    let all: Vec<&Deliverable> = task.deliverables.iter().collect();
    if !all
        .iter()
        .all(|one| Kind::of(one.path(), category) == Kind::Doc)
    {
        return None;
    }
    let count = all.len() as f64;
    let name = |one: &Deliverable| {
        let name = one.path().rsplit('/').next().unwrap_or_default();
        name.to_ascii_lowercase()
    };
    let is_ledger = |one: &&Deliverable| {
        let name = name(one);
        LEDGERS.contains(&name.trim_end_matches(".md"))
    };
    let reading = |row: [f64; 3]| match task.scope_paths {
        0 => row[0],
        1..=10 => row[1],
        _ => row[2],
    };
    if all.iter().any(is_ledger) {
        let writing = 900.0 * count;
        let tokens = reading([3000.0, 2200.0, 1500.0]) + writing * 1.15;
        return Some(Estimate {
            tokens: rounded(tokens * MARGIN),
            confidence: 0.70,
            rule: Rule::DocUpdate,
        });
    }
    let goal = task.goal.to_ascii_lowercase();
    let told = |words: &[&str]| {
        words.iter().any(|word| {
            goal.contains(&word.replace('_', " ")) || all.iter().any(|one| name(one).contains(word))
        })
    };
    let api = told(&["api_reference"]);
    let examples = told(&["example"]);
    let research = told(&["research", "investigat", "from_scratch"]);
    let guide = told(&["usage_guide", "user_guide"]);
    if !(api || (examples && (research || guide))) {
        return None;
    }
    let writing = 850.0 * count;
    let mut tokens = reading([2500.0, 2000.0, 1500.0]) + writing;
    if api {
        tokens += 1200.0;
    }
    if examples {
        tokens += 1400.0;
    }
    if all.len() >= 5 {
        tokens += writing * 0.12;
    }
    Some(Estimate {
        tokens: rounded(tokens * MARGIN),
        confidence: 0.75,
        rule: Rule::DocSynthesis,
    })
}

/// Whole tokens; what a multiplication in binary loses is not a token.
pub(super) fn rounded(tokens: f64) -> u64 {
    (tokens + 1e-6).max(0.0) as u64
}
