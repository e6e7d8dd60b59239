//! Symbolic links: where they may point, and that nothing is written through one.
//!
//! Invariant: following any accepted link, alone or after others of the tree, never leaves the root.

use std::collections::BTreeSet;

use autopack_domain::Cause;

use super::change::{ChangeSet, LINK_MODE, TreeFacts};
use super::{Change, Violation};
use crate::paths;

/// The links of both trees and those of the change set itself.
pub(super) fn all_links(changes: &ChangeSet, facts: &TreeFacts) -> BTreeSet<String> {
    let mut links = facts.links.clone();
    for change in &changes.entries {
        if change.new_mode == LINK_MODE || change.old_mode == LINK_MODE {
            links.insert(String::from_utf8_lossy(&change.path).into_owned());
        }
    }
    links
}

/// A path below a link would be written wherever the link points.
pub(super) fn through(path: &str, links: &BTreeSet<String>, found: &mut Vec<Violation>) {
    if let Some(link) = paths::ancestors(path).find(|up| links.contains(*up)) {
        let detail = format!("goes through the symbolic link `{link}`");
        found.push(Violation::new(Cause::PathEscape, path, detail));
    }
}

/// The target of a new or changed link.
pub(super) fn target(
    path: &str,
    change: &Change,
    links: &BTreeSet<String>,
    found: &mut Vec<Violation>,
) {
    let raw = change.link_target.as_deref().unwrap_or_default();
    let problem = match std::str::from_utf8(raw) {
        Ok(text) => target_problem(path, text, links),
        Err(_) => Some("is not valid UTF-8"),
    };
    if let Some(problem) = problem {
        let detail = format!("the target of the symbolic link {problem}");
        found.push(Violation::new(Cause::PathEscape, path, detail));
    }
}

fn target_problem(path: &str, target: &str, links: &BTreeSet<String>) -> Option<&'static str> {
    if target.is_empty() {
        return Some("is empty or unknown");
    }
    if target.chars().any(char::is_control) {
        return Some("has a control character");
    }
    let drive =
        target.as_bytes().get(1) == Some(&b':') && target.as_bytes()[0].is_ascii_alphabetic();
    if target.starts_with(['/', '\\', '~']) || drive {
        return Some("is absolute");
    }
    // Where the link stands, as components; each `..` goes one up.
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    for component in target.split(['/', '\\']) {
        match component {
            "" | "." => {}
            ".." => {
                // `link/..` is the parent of what the link points to, not of the link.
                if links.contains(&at.join("/")) {
                    return Some("goes up from another symbolic link");
                }
                if at.pop().is_none() {
                    return Some("leaves the repository");
                }
            }
            name if paths::is_dot_git(name) => return Some("leads into `.git`"),
            name => at.push(name),
        }
    }
    None
}
