//! Governance of a change set: the host decides, never the builder (DESIGN rules 4 and 9; SEMANTICS 5.1).
//!
//! Invariant: [`judge`] lists every violation, in a fixed order that does not depend on the order of the
//! change set, and each changed path is judged by every rule that can be asked about it.
//!
//! - [`change`]: change sets and the facts they are judged by
//! - [`gate_files`]: files that decide the gate
//! - [`deliverables`]: files that must exist in the result
//! - [`diff`], [`secrets`], [`symbols`], [`review`]: what a change adds and takes away, and whether a person must look

pub mod change;
mod collide;
pub mod deliverables;
pub mod diff;
pub mod gate_files;
mod links;
pub mod review;
pub mod secrets;
mod size;
pub mod symbols;

use autopack_domain::Cause;
use autopack_domain::plan::LimitSpec;

pub use change::{Change, ChangeKind, ChangeSet, TreeFacts};
pub use deliverables::missing_deliverables;
pub use gate_files::GateFiles;
pub use size::TOTAL_BYTES;

use crate::paths;
use crate::scope::CompiledScope;

use autopack_domain::plan::BuilderSpec;
use change::{LINK_MODE, SUBMODULE_MODE};

/// Whether the change was written by whoever wrote the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Part of the plan: a patch. Without `scope.paths` it may touch files that decide the gate.
    Author,
    /// Anything a program or a model made.
    Builder,
}

/// What becomes of binary files where `scope.paths` is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryPolicy {
    /// They are explicit in the plan (a binary patch).
    Explicit,
    /// They must be named literally, so here they are refused.
    Named,
}

/// The rules that depend on who built the change and on what proves it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who wrote the change.
    pub trust: Trust,
    /// Binary files in an open scope.
    pub binary: BinaryPolicy,
    /// Files that decide this phase's gate.
    pub gate_files: GateFiles,
}

impl Rules {
    /// The rules for a kind of builder: only a patch is the author's own.
    pub fn for_builder(builder: &BuilderSpec, gate_files: GateFiles) -> Self {
        let (trust, binary) = match builder {
            BuilderSpec::Patch { .. } => (Trust::Author, BinaryPolicy::Explicit),
            BuilderSpec::Command { .. }
            | BuilderSpec::Agent(_)
            | BuilderSpec::Model(_)
            | BuilderSpec::External { .. }
            | BuilderSpec::Replay { .. }
            | BuilderSpec::Noop => (Trust::Builder, BinaryPolicy::Named),
        };
        Self {
            trust,
            binary,
            gate_files,
        }
    }
}

/// One rule broken by one path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The rule, as the cause of the failed attempt.
    pub cause: Cause,
    /// The path, for people (bytes that are not UTF-8 are replaced); empty for the change as a whole.
    pub path: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new(cause: Cause, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            cause,
            path: path.into(),
            detail: detail.into(),
        }
    }
}

/// Most serious first: the first violation's cause is the cause of the attempt.
const PRECEDENCE: &[Cause] = &[
    Cause::PathEscape,
    Cause::SubmoduleChanged,
    Cause::ProtectedPath,
    Cause::OutOfScope,
    Cause::GateFilesChanged,
    Cause::PathCollision,
    Cause::ChangeTooLarge,
    Cause::BinaryRefused,
];

/// Every violation of the change set, most serious first, then by path.
pub fn judge(
    changes: &ChangeSet,
    scope: &CompiledScope,
    limits: &LimitSpec,
    facts: &TreeFacts,
    rules: &Rules,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let links = links::all_links(changes, facts);
    let guards_gate_files = rules.trust == Trust::Builder || !scope.is_open();
    for change in &changes.entries {
        let shown = change.shown_path();
        size::file(change, &shown, limits, &mut found);
        if change.old_mode == SUBMODULE_MODE || change.new_mode == SUBMODULE_MODE {
            found.push(Violation::new(
                Cause::SubmoduleChanged,
                &shown,
                "a submodule entry or a nested repository",
            ));
        }
        // A path that is not a proper path cannot be compared with the scope.
        let path = match paths::check(&change.path) {
            Ok(path) => path,
            Err(fault) => {
                found.push(Violation::new(Cause::PathEscape, &shown, fault.to_string()));
                continue;
            }
        };
        links::through(path, &links, &mut found);
        if change.kind != ChangeKind::Deleted {
            if change.new_mode == LINK_MODE {
                links::target(path, change, &links, &mut found);
            } else if !change::is_known_mode(change.new_mode) {
                let detail = format!("mode {:o} is no mode of a file", change.new_mode);
                found.push(Violation::new(Cause::PathEscape, path, detail));
            }
        }
        submodules(path, facts, &mut found);
        if scope.protects(path) {
            found.push(Violation::new(
                Cause::ProtectedPath,
                path,
                "a protected path",
            ));
        }
        if !scope.in_scope(path) {
            found.push(Violation::new(
                Cause::OutOfScope,
                path,
                "not in `scope.paths`",
            ));
        }
        let named = scope.names_literally(path);
        if guards_gate_files
            && !named
            && let Some(why) = rules.gate_files.decides(path)
        {
            found.push(Violation::new(Cause::GateFilesChanged, path, why));
        }
        let explicit = scope.is_open() && rules.binary == BinaryPolicy::Explicit;
        if change.is_binary && change.kind != ChangeKind::Deleted && !named && !explicit {
            found.push(Violation::new(
                Cause::BinaryRefused,
                path,
                "a binary file that `scope.paths` does not name literally",
            ));
        }
    }
    for folder in &facts.nested_repositories {
        found.push(Violation::new(
            Cause::SubmoduleChanged,
            folder,
            "a nested repository",
        ));
    }
    collide::bare_repositories(changes, facts, &mut found);
    collide::names(changes, facts, &mut found);
    size::whole(changes, limits, &mut found);
    found.sort_by(|a, b| {
        (rank(a.cause), &a.path, &a.detail).cmp(&(rank(b.cause), &b.path, &b.detail))
    });
    found.dedup();
    found
}

/// The cause that the attempt fails for.
pub fn primary_cause(violations: &[Violation]) -> Option<Cause> {
    violations
        .iter()
        .map(|violation| violation.cause)
        .min_by_key(|cause| rank(*cause))
}

fn rank(cause: Cause) -> usize {
    PRECEDENCE
        .iter()
        .position(|known| *known == cause)
        .unwrap_or(PRECEDENCE.len())
}

/// `.gitmodules` and everything inside a nested repository.
fn submodules(path: &str, facts: &TreeFacts, found: &mut Vec<Violation>) {
    if paths::fold(path) == ".gitmodules" {
        found.push(Violation::new(
            Cause::SubmoduleChanged,
            path,
            "the list of submodules",
        ));
    }
    if let Some(folder) = paths::ancestors(path).find(|up| facts.nested_repositories.contains(*up))
    {
        let detail = format!("inside the nested repository `{folder}`");
        found.push(Violation::new(Cause::SubmoduleChanged, path, detail));
    }
}
