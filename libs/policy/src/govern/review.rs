//! How much a change can break, and whether a person has to look at it first.
//!
//! Invariant: the score is a sum of parts with bounds of their own, so that every level can be reached; what must be
//! approved is asked for with its reason, and passes without a person only where the policy names it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use autopack_domain::approval::{Ask, Guard, RiskLevel};
use serde::Deserialize;

use super::diff::FileDiff;
use super::symbols::Loss;
use crate::scope::PathSet;

/// More lines deleted than added than this are asked about (SEMANTICS 5.8).
pub const MUCH_DELETED: usize = 100;
/// Bounds of the parts of the score; together 1000.
const SENSITIVE: usize = 400;
const SIZE: usize = 200;
const DELETION: usize = 200;
const SPREAD: usize = 100;
const SYMBOLS: usize = 100;
/// Where medium, high and critical begin.
const LEVELS: [usize; 3] = [200, 400, 600];
/// Lines of a change, deletions beyond additions, and top folders at which a part is at its bound.
const FULL: (usize, usize, usize) = (2000, 200, 5);

#[derive(Deserialize)]
struct Data {
    sensitive: Vec<Sensitive>,
    auto: Auto,
    never: Never,
}

#[derive(Deserialize)]
struct Sensitive {
    name: String,
    weight: usize,
    paths: Vec<String>,
}

#[derive(Deserialize)]
struct Auto {
    lines: usize,
    paths: Vec<String>,
}

#[derive(Deserialize)]
struct Never {
    paths: Vec<String>,
}

/// The policy, compiled.
struct Policy {
    sensitive: Vec<(String, usize, PathSet)>,
    auto_lines: usize,
    auto: PathSet,
    never: PathSet,
}

/// Data that cannot be read has no sensitive paths and approves nothing; a test reads it.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let data: Option<Data> = toml::from_str(include_str!("../../data/review.toml")).ok();
    let Some(data) = data else {
        return Policy {
            sensitive: Vec::new(),
            auto_lines: 0,
            auto: PathSet::default(),
            never: PathSet::default(),
        };
    };
    let compile = |paths: &[String]| PathSet::compile(paths).unwrap_or_default();
    Policy {
        sensitive: data
            .sensitive
            .iter()
            .map(|s| (s.name.clone(), s.weight.min(100), compile(&s.paths)))
            .collect(),
        auto_lines: data.auto.lines,
        auto: compile(&data.auto.paths),
        never: compile(&data.never.paths),
    }
});

/// What the plan and the run ask for.
#[derive(Clone, Debug, Default)]
pub struct Wishes<'a> {
    /// `scope.approval_paths`.
    pub approval_paths: &'a [String],
    /// Whether risk, deletions, lost declarations and the category ask as well.
    pub by_risk: bool,
    /// The phase's category is never applied without a review.
    pub reviewed_category: bool,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// The level.
    pub risk: RiskLevel,
    /// 0 to 1000.
    pub score: usize,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
    /// Kinds of sensitive paths that it touches.
    pub touches: Vec<String>,
    /// Why a person has to look; empty: nobody has to.
    pub asks: Vec<Ask>,
    /// The policy approves it without a person.
    pub auto: bool,
}

/// Judges a change that broke no rule.
pub fn review(
    paths: &[String],
    files: &[FileDiff],
    losses: &[Loss],
    wishes: &Wishes<'_>,
) -> Review {
    let policy = &*POLICY;
    let added = files.iter().map(|file| file.added.len()).sum::<usize>();
    let removed = files.iter().map(|file| file.removed.len()).sum::<usize>();
    let touched: Vec<&(String, usize, PathSet)> = policy
        .sensitive
        .iter()
        .filter(|(_, _, set)| paths.iter().any(|path| set.covers(path)))
        .collect();
    let weight = touched
        .iter()
        .map(|(_, weight, _)| *weight)
        .max()
        .unwrap_or(0);
    let net = removed.saturating_sub(added);
    let folders: BTreeSet<&str> = paths
        .iter()
        .map(|path| path.split('/').next().unwrap_or(path))
        .collect();
    let large = losses.iter().any(Loss::is_large);
    let part = |value: usize, full: usize, bound: usize| value.min(full) * bound / full;
    let score = weight * SENSITIVE / 100
        + part(added + removed, FULL.0, SIZE)
        + part(net, FULL.1, DELETION)
        + part(folders.len().saturating_sub(1), FULL.2 - 1, SPREAD)
        + if large { SYMBOLS } else { 0 };
    let risk = match LEVELS.iter().filter(|begin| score >= **begin).count() {
        0 => RiskLevel::Low,
        1 => RiskLevel::Medium,
        2 => RiskLevel::High,
        _ => RiskLevel::Critical,
    };
    let asks = asks(paths, losses, wishes, (risk, score, net));
    let small = added + removed <= policy.auto_lines && risk < RiskLevel::High;
    let auto = !asks.is_empty()
        && asks.iter().all(|ask| ask.guard == Guard::Path)
        && small
        && paths
            .iter()
            .all(|path| policy.auto.covers(path) && !policy.never.covers(path));
    Review {
        risk,
        score,
        added,
        removed,
        touches: touched.iter().map(|(name, ..)| name.clone()).collect(),
        asks,
        auto,
    }
}

fn asks(
    paths: &[String],
    losses: &[Loss],
    wishes: &Wishes<'_>,
    (risk, score, net): (RiskLevel, usize, usize),
) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut ask = |guard, path: &str, detail: String| {
        asks.push(Ask {
            guard,
            path: path.to_owned(),
            detail,
        });
    };
    // A list that cannot be read was refused with the plan.
    let wanted = PathSet::compile(wishes.approval_paths).unwrap_or_default();
    for path in paths.iter().filter(|path| wanted.covers(path)) {
        ask(
            Guard::Path,
            path,
            "`scope.approval_paths` names it".to_owned(),
        );
    }
    if !wishes.by_risk {
        return asks;
    }
    if risk >= RiskLevel::High {
        ask(Guard::Risk, "", format!("{risk}: {score} of 1000"));
    }
    if net > MUCH_DELETED {
        ask(
            Guard::Deletion,
            "",
            format!(
                "{net} more lines are deleted than added; more than {MUCH_DELETED} are asked about"
            ),
        );
    }
    for loss in losses.iter().filter(|loss| loss.is_large()) {
        let first: Vec<&str> = loss.lost.iter().take(5).map(String::as_str).collect();
        let detail = format!(
            "{} of {} declarations are gone, such as {}",
            loss.lost.len(),
            loss.had,
            first.join(", ")
        );
        ask(Guard::Symbols, &loss.path, detail);
    }
    if wishes.reviewed_category {
        ask(
            Guard::Category,
            "",
            "the phase's category is applied only after a review".to_owned(),
        );
    }
    asks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, added: usize, removed: usize) -> FileDiff {
        FileDiff {
            path: path.into(),
            added: (0..added).map(|n| (n as u32, String::new())).collect(),
            removed: vec![String::new(); removed],
            ..FileDiff::default()
        }
    }

    fn judge(files: &[FileDiff], losses: &[Loss], wishes: &Wishes<'_>) -> Review {
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        review(&paths, files, losses, wishes)
    }

    #[test]
    fn the_policy_can_be_read() {
        let data: Data = toml::from_str(include_str!("../../data/review.toml")).unwrap();
        for paths in data
            .sensitive
            .iter()
            .map(|s| &s.paths)
            .chain([&data.auto.paths, &data.never.paths])
        {
            assert!(PathSet::compile(paths).is_ok());
        }
        assert_eq!(SENSITIVE + SIZE + DELETION + SPREAD + SYMBOLS, 1000);
    }

    #[test]
    fn every_level_is_reached_by_a_change_that_could_be() {
        let level = |files: &[FileDiff]| judge(files, &[], &Wishes::default()).risk;
        assert_eq!(level(&[file("src/a.rs", 10, 2)]), RiskLevel::Low);
        assert_eq!(level(&[file("Cargo.toml", 1, 1)]), RiskLevel::Medium);
        assert_eq!(
            level(&[file("db/migrations/7.sql", 20, 0)]),
            RiskLevel::High
        );
        assert_eq!(
            level(&[file("src/auth/login.py", 0, 220)]),
            RiskLevel::Critical
        );
    }

    #[test]
    fn paths_ask_always_and_the_rest_only_where_it_is_wanted() {
        let files = [file("db/migrations/7.sql", 5, 300)];
        let loss = Loss {
            path: "db/migrations/7.sql".into(),
            had: 4,
            lost: vec!["a".into(), "b".into(), "c".into()],
        };
        let off = Wishes {
            approval_paths: &["db/".to_owned()],
            reviewed_category: true,
            ..Wishes::default()
        };
        let guards = |wishes: &Wishes<'_>| -> Vec<Guard> {
            let asks = judge(&files, std::slice::from_ref(&loss), wishes).asks;
            asks.iter().map(|ask| ask.guard).collect()
        };
        assert_eq!(guards(&off), [Guard::Path]);
        let on = Wishes {
            by_risk: true,
            ..off
        };
        assert_eq!(
            guards(&on),
            [
                Guard::Path,
                Guard::Risk,
                Guard::Deletion,
                Guard::Symbols,
                Guard::Category
            ]
        );
        assert!(guards(&Wishes::default()).is_empty());
    }

    #[test]
    fn only_what_the_policy_names_passes_without_a_person() {
        let all = ["**".to_owned()];
        let wishes = Wishes {
            approval_paths: &all,
            ..Wishes::default()
        };
        let auto = |files: &[FileDiff]| judge(files, &[], &wishes).auto;
        assert!(auto(&[file("docs/plan.md", 90, 10)]));
        assert!(!auto(&[file("docs/plan.md", 90, 11)]), "too many lines");
        assert!(
            !auto(&[file("docs/decisions/README.md", 1, 0)]),
            "`*` stays inside a component"
        );
        assert!(
            !auto(&[file("docs/plan.md", 1, 0), file("src/a.rs", 1, 0)]),
            "one path that is not named"
        );
        let none = judge(&[file("docs/plan.md", 1, 0)], &[], &Wishes::default());
        assert!(!none.auto && none.asks.is_empty(), "nobody asks");
    }
}
