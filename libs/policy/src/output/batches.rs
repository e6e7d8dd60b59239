//! A phase that is too large for one answer, in batches.
//!
//! Invariant: every deliverable is in exactly one batch; no batch holds something that a later one must make first.

use super::MOST;
use super::kind::{Deliverable, Kind};
use super::predict::{Task, canonical, predict, rounded};

/// Above this estimate a phase is built in batches: 80 % of the largest budget.
pub const SPLIT_ABOVE: u64 = MOST * 4 / 5;
/// Tokens for the pass that aligns the batches with each other.
pub const ALIGNMENT: u64 = 4096;

/// What a file depends on decides when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Types, models, configuration, migrations.
    Foundation,
    /// What the product does.
    Core,
    /// What others call.
    Interface,
    /// What proves and tells it.
    Proof,
}

impl Layer {
    /// The layer of a file.
    pub fn of(path: &str, category: &str) -> Self {
        match Kind::of(path, category) {
            Kind::Doc | Kind::Test => return Self::Proof,
            Kind::Config => return Self::Foundation,
            Kind::Frontend => return Self::Interface,
            Kind::Backend => {}
        }
        let path = path.to_ascii_lowercase();
        let has = |words: &[&str]| {
            path.split(|c: char| !c.is_alphanumeric())
                .any(|part| words.contains(&part))
        };
        if has(&[
            "types",
            "type",
            "models",
            "model",
            "schema",
            "schemas",
            "config",
            "enums",
            "migrations",
        ]) {
            Self::Foundation
        } else if has(&[
            "api",
            "routes",
            "cli",
            "integration",
            "integrations",
            "main",
        ]) {
            Self::Interface
        } else {
            Self::Core
        }
    }
}

/// What one answer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Places in the list of deliverables; empty for the pass that aligns.
    pub items: Vec<usize>,
    /// Tokens that it may have.
    pub budget: u64,
}

/// The batches of a phase; empty if one answer is enough.
pub fn batches(task: &Task<'_>) -> Vec<Batch> {
    if predict(task).tokens <= SPLIT_ABOVE {
        return Vec::new();
    }
    let category = canonical(task.category);
    let mut order: Vec<(Layer, usize)> = task
        .deliverables
        .iter()
        .enumerate()
        .map(|(n, one)| (Layer::of(one.path(), &category), n))
        .collect();
    order.sort();
    let mut batches: Vec<Batch> = Vec::new();
    let mut open: Option<(Layer, Vec<usize>)> = None;
    for (layer, item) in order {
        match &mut open {
            Some((of, items)) if *of == layer && fits(task, items, item) => items.push(item),
            _ => {
                batches.extend(open.take().map(|(_, items)| sized(task, items)));
                open = Some((layer, vec![item]));
            }
        }
    }
    batches.extend(open.map(|(_, items)| sized(task, items)));
    batches.push(Batch {
        items: Vec::new(),
        budget: ALIGNMENT,
    });
    batches
}

fn part(task: &Task<'_>, items: &[usize]) -> Vec<Deliverable> {
    let of = |n: &usize| task.deliverables.get(*n).cloned();
    items.iter().filter_map(of).collect()
}

fn fits(task: &Task<'_>, items: &[usize], more: usize) -> bool {
    let mut items = items.to_vec();
    items.push(more);
    let deliverables = part(task, &items);
    let wanted = Task {
        deliverables: &deliverables,
        ..task.clone()
    };
    predict(&wanted).tokens <= SPLIT_ABOVE
}

fn sized(task: &Task<'_>, items: Vec<usize>) -> Batch {
    let deliverables = part(task, &items);
    let wanted = Task {
        deliverables: &deliverables,
        ..task.clone()
    };
    let budget = rounded(predict(&wanted).tokens as f64 * 1.2).min(MOST);
    Batch { items, budget }
}
