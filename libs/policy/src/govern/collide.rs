//! Names that are one file on some file systems, and folders that git would take for a repository.
//!
//! Invariant: only what the change set adds is reported; a collision that the base has already is not
//! the builder's.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::Cause;

use super::change::{ChangeSet, TreeFacts};
use super::{ChangeKind, Violation};
use crate::paths::{self, ancestors, fold};

/// Added paths, or folders above them, that differ from another path only in case or Unicode form.
pub(super) fn names(changes: &ChangeSet, facts: &TreeFacts, found: &mut Vec<Violation>) {
    let added = accepted(changes, |kind| kind == ChangeKind::Added);
    // Folded name -> the spellings that came with the change, each with a path that has it.
    let mut fresh: BTreeMap<String, BTreeMap<&str, &str>> = BTreeMap::new();
    for path in &added {
        for name in ancestors(path).chain([*path]) {
            fresh
                .entry(fold(name))
                .or_default()
                .entry(name)
                .or_insert(path);
        }
    }
    // Most names of the tree are told apart by their length alone: folding keeps that of ASCII.
    let lengths: BTreeSet<usize> = fresh.keys().map(String::len).collect();
    // Spellings that stand in the tree without the change.
    let mut standing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut last = "";
    for path in &facts.paths {
        if added.contains(path.as_str()) {
            continue;
        }
        // A folder of the path before was looked at with that one.
        let seen = |name: &&str| last.starts_with(name) && last[name.len()..].starts_with('/');
        let may_be = |name: &&str| !name.is_ascii() || lengths.contains(&name.len());
        for name in ancestors(path)
            .filter(|name| !seen(name))
            .chain([path.as_str()])
            .filter(may_be)
        {
            if let Some((folded, _)) = fresh.get_key_value(fold(name).as_str()) {
                standing.entry(folded.as_str()).or_default().insert(name);
            }
        }
        last = path;
    }
    for (folded, spellings) in &fresh {
        let known = standing.get(folded.as_str());
        for (name, path) in spellings {
            if known.is_some_and(|known| known.contains(name)) {
                continue;
            }
            let other = known
                .into_iter()
                .flatten()
                .copied()
                .chain(spellings.keys().copied())
                .find(|other| other != name);
            if let Some(other) = other {
                let detail = format!("`{name}` and `{other}` are one name on many file systems");
                found.push(Violation::new(Cause::PathCollision, *path, detail));
            }
        }
    }
}

/// A changed path that belongs to a folder with `HEAD`, `objects/` and `refs/`: git would take that
/// folder for a bare repository and run what its configuration says.
pub(super) fn bare_repositories(
    changes: &ChangeSet,
    facts: &TreeFacts,
    found: &mut Vec<Violation>,
) {
    let changed = accepted(changes, |kind| kind != ChangeKind::Deleted);
    let mut candidates: BTreeSet<&str> = BTreeSet::new();
    for path in &changed {
        candidates.extend(repository_root(path));
    }
    for root in candidates {
        let below = |part: &str| {
            let prefix = if root.is_empty() {
                part.to_owned()
            } else {
                format!("{root}/{part}")
            };
            facts.paths.iter().any(|path| path.starts_with(&prefix))
        };
        let head = if root.is_empty() {
            "HEAD".to_owned()
        } else {
            format!("{root}/HEAD")
        };
        if facts.paths.contains(&head) && below("objects/") && below("refs/") {
            found.push(Violation::new(
                Cause::SubmoduleChanged,
                root,
                "a folder that git takes for a bare repository",
            ));
        }
    }
}

/// The folder that the path would make a repository of.
fn repository_root(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if matches!(name, "HEAD" | "config") {
        return Some(folder);
    }
    ["objects/", "refs/"].iter().find_map(|part| {
        let at = path.find(part)?;
        match at {
            0 => Some(""),
            _ if path[..at].ends_with('/') => Some(&path[..at - 1]),
            _ => None,
        }
    })
}

fn accepted(changes: &ChangeSet, wanted: impl Fn(ChangeKind) -> bool) -> BTreeSet<&str> {
    changes
        .entries
        .iter()
        .filter(|change| wanted(change.kind))
        .filter_map(|change| paths::check(&change.path).ok())
        .collect()
}
