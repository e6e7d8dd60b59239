//! What a model may be shown: the deliverables, and the text files of the tip that are near the task.
//!
//! Invariant: bounded in number and bytes; links, submodules, binaries and files that usually hold secrets are never
//! read for it.

use std::collections::BTreeMap;

use autopack_git::{Oid, TreeEntry, utf8_path};
use autopack_policy::output::kind::{Deliverable, Shape};
use autopack_policy::prompt::{Rank, Shown, is_private};
use autopack_policy::scope::CompiledScope;

use super::super::{Job, goal};
use crate::error::Stop;
use crate::repo::Opened;

/// The most files that are read.
const MAX_FILES: usize = 80;
/// The largest file that is read.
const MAX_FILE: usize = 1024 * 1024;
/// Bytes of all of them.
const MAX_ALL: usize = 16 * 1024 * 1024;

/// What there is to see.
pub(super) struct Sight {
    /// The task, with what failed before.
    pub(super) task: String,
    /// What the phase owes.
    pub(super) deliverables: Vec<Deliverable>,
    /// Text files near the task.
    pub(super) files: Vec<Shown>,
    /// Every path, and what stands there; for answers about files that were not shown.
    pub(super) paths: Vec<String>,
    /// Texts of files by path, as far as they were read.
    pub(super) texts: BTreeMap<String, String>,
}

impl Sight {
    /// Lines of the longest file that may change.
    pub(super) fn longest(&self) -> usize {
        let writable = self
            .files
            .iter()
            .filter(|file| file.writable && matches!(file.rank, Rank::Deliverable | Rank::Scope));
        writable
            .map(|file| file.text.lines().count())
            .max()
            .unwrap_or(0)
    }
}

/// Looks at the tip's tree.
pub(super) async fn look(job: &Job<'_>, opened: &Opened, base: &Oid) -> Result<Sight, Stop> {
    let own = &opened.repo.own;
    let listed = async { Ok::<_, Stop>(own.list_tree(base, None).await?) };
    let entries = job.lease.guard(listed).await?;
    let previous = goal::previous_failure(&job.leased.previous);
    let task = goal::goal(&job.run.goal, job.spec, job.attempt.number, &previous);
    let scope = CompiledScope::compile(&job.spec.scope).ok();
    let mut ranked: Vec<(Rank, bool, String, &TreeEntry)> = Vec::new();
    let mut paths = Vec::with_capacity(entries.len());
    for entry in &entries {
        let Ok(path) = utf8_path(&entry.path) else {
            continue;
        };
        paths.push(path.to_owned());
        if !entry.mode.is_file() || is_private(path) {
            continue;
        }
        let writable = scope.as_ref().is_some_and(|scope| scope.allows(path));
        if let Some(rank) = rank(job, scope.as_ref(), &task, path, writable) {
            ranked.push((rank, writable, path.to_owned(), entry));
        }
    }
    paths.sort_unstable();
    ranked.sort_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
    ranked.truncate(MAX_FILES);
    let mut files = Vec::new();
    let mut left = MAX_ALL;
    for (rank, writable, path, entry) in ranked {
        let read = async { Ok::<_, Stop>(own.read_blob(&entry.oid, MAX_FILE.min(left)).await?) };
        let blob = job.lease.guard(read).await?;
        if blob.truncated || blob.bytes.contains(&0) {
            continue;
        }
        let Ok(text) = String::from_utf8(blob.bytes) else {
            continue;
        };
        left -= text.len();
        files.push(Shown {
            path,
            text,
            rank,
            writable,
        });
        if left == 0 {
            break;
        }
    }
    let texts: BTreeMap<String, String> = files
        .iter()
        .map(|file| (file.path.clone(), file.text.clone()))
        .collect();
    let deliverables = job.spec.scope.deliverables.iter().map(|text| {
        let mut one = Deliverable::new(text);
        one.shape = texts.get(one.path()).map(|text| Shape::of(text));
        one
    });
    Ok(Sight {
        deliverables: deliverables.collect(),
        task,
        files,
        paths,
        texts,
    })
}

/// How near a file is; `None`: it is not shown.
fn rank(
    job: &Job<'_>,
    scope: Option<&CompiledScope>,
    task: &str,
    path: &str,
    writable: bool,
) -> Option<Rank> {
    let spec = &job.spec.scope;
    let under = |list: &str| list == path || (list.ends_with('/') && path.starts_with(list));
    if spec.deliverables.iter().any(|one| under(one)) {
        Some(Rank::Deliverable)
    } else if scope.is_some_and(|scope| scope.names_literally(path)) {
        Some(Rank::Scope)
    } else if spec.read_only_context.iter().any(|one| under(&one.path)) {
        Some(Rank::Context)
    } else if task.contains(path) {
        Some(Rank::Named)
    } else if writable {
        Some(Rank::Allowed)
    } else {
        None
    }
}
