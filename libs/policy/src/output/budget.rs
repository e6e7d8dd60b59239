//! The tokens that an answer may have.
//!
//! Invariant: budget = min([`MOST`], max(base, int(estimate x buffer))), raised to the floors of what is delivered.

use autopack_domain::plan::Complexity;

use super::MOST;
use super::kind::Kind;
use super::predict::{Estimate, Rule, Task, by, canonical, rounded};

/// Files that are long whatever changes in them.
const MANIFESTS: &[&str] = &[
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "cargo.lock",
    "poetry.lock",
    "uv.lock",
    "go.sum",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "cargo.toml",
];

/// The least that a phase is given.
pub fn base(category: &str, complexity: Complexity) -> u64 {
    let row = match canonical(category).as_str() {
        "docs" => [4096, 8192, 12_288],
        "tests" => [6144, 8192, 12_288],
        _ => [8192, 12_288, 16_384],
    };
    by(complexity, row)
}

/// How much more than the estimate is given.
pub fn buffer(task: &Task<'_>, estimate: &Estimate) -> f64 {
    if matches!(estimate.rule, Rule::DocSynthesis | Rule::DocUpdate) {
        return 2.2;
    }
    let mut buffer: f64 = 1.2;
    if estimate.confidence < 0.7 {
        buffer = buffer.max(1.4);
    }
    let category = canonical(task.category);
    let hard = task.complexity == Complexity::High
        && ["implementation", "integration"].contains(&category.as_str());
    if task.deliverables.len() >= 8 || hard {
        buffer = buffer.max(1.6);
    }
    buffer
}

/// The budget of a phase's answer.
pub fn budget(task: &Task<'_>, estimate: &Estimate) -> u64 {
    let wanted = rounded(estimate.tokens as f64 * buffer(task, estimate));
    wanted
        .max(base(task.category, task.complexity))
        .max(floor(task))
        .min(MOST)
}

/// What the kind of deliverables asks for at least.
fn floor(task: &Task<'_>) -> u64 {
    let category = canonical(task.category);
    let mut floor = 0;
    let manifest = task.deliverables.iter().any(|one| {
        let name = one.path().rsplit('/').next().unwrap_or_default();
        MANIFESTS.contains(&name.to_ascii_lowercase().as_str())
    });
    if manifest || (category == "backend" && task.deliverables.len() >= 3) {
        floor = 12_000;
    }
    let frontend = task
        .deliverables
        .iter()
        .any(|one| Kind::of(one.path(), &category) == Kind::Frontend);
    if frontend || ["deployment", "frontend"].contains(&category.as_str()) {
        floor = 16_384;
    }
    floor
}
