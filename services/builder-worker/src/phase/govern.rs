//! Governance of the candidate: facts from git, judgement from policy.
//!
//! Invariant: the change set is computed from the objects, never taken from what the builder says; every violation is
//! told, the most serious decides.

use std::collections::HashMap;

use autopack_domain::Cause;
use autopack_domain::states::AttemptState;
use autopack_git::{Change, ChangeKind, GitError, Oid, OwnClone};
use autopack_policy::govern::{
    self, ChangeSet, GateFiles, Rules, TreeFacts, Violation, missing_deliverables, primary_cause,
};
use autopack_policy::scope::CompiledScope;
use futures::{StreamExt, TryStreamExt};

use super::build::Candidate;
use super::{Job, land, review};
use crate::error::{Failure, Stop};
use crate::repo::{Opened, Repo};
use crate::text;

/// Violations that are written out.
const LINES: usize = 200;
/// Changed paths that are remembered for the gate.
const CHANGED: usize = 500;
/// Longest target of a link that is read.
const LINK: usize = 4096;
/// Blobs that are read at a time.
const AT_ONCE: usize = 4;

/// What is known of a candidate that was found good, for its landing.
pub(crate) struct Judged {
    /// The trees and blobs that the candidate has and its base has not.
    pub(crate) objects: Vec<Oid>,
    /// Its commit on the base, made meanwhile and held by the attempt's private reference.
    pub(crate) draft: Option<Oid>,
}

/// What is to be judged.
struct Look {
    changes: ChangeSet,
    facts: TreeFacts,
    objects: Vec<Oid>,
}

/// Judges the candidate; a violation or a missing deliverable is a failure.
pub(crate) async fn govern(
    job: &mut Job<'_>,
    opened: &Opened,
    base: &Oid,
    candidate: &Candidate,
) -> Result<Judged, Stop> {
    job.evidence.candidate = Some(candidate.tree.clone());
    let lease = job.lease;
    // The report tells the stage; nothing of the look depends on its answer, and neither does a commit that no branch
    // names.
    let (reported, looked) = futures::join!(
        job.report(AttemptState::Governing),
        lease.guard(async {
            let looked = async {
                let look = look(&opened.repo, base, candidate).await?;
                let violations = judge(job, &look)?;
                Ok::<_, Stop>((look, violations))
            };
            let (looked, second, draft) = futures::join!(
                looked,
                review::read(job, &opened.repo, base, &candidate.tree),
                land::draft(job, opened, candidate)
            );
            let (look, violations) = looked?;
            Ok::<_, Stop>((look, violations, second, draft))
        })
    );
    reported?;
    let (look, violations, second, draft) = looked?;
    let (changes, facts) = (look.changes, look.facts);
    job.evidence.changed = changes.entries.iter().take(CHANGED).map(told).collect();
    job.fact("changed_files", changes.entries.len());
    let bytes = changes.entries.iter().map(|change| change.size);
    job.fact("changed_bytes", bytes.fold(0, u64::saturating_add));
    if let Some(failure) = refused(&violations) {
        return Err(failure.into());
    }
    deliverables(job, &facts.paths, candidate)?;
    let paths: Vec<String> = changes
        .entries
        .iter()
        .map(govern::Change::shown_path)
        .collect();
    review::judge(job, &second?, &paths, candidate)?;
    Ok(Judged {
        objects: look.objects,
        draft,
    })
}

/// A changed path behind a letter that says how.
fn told(change: &govern::Change) -> String {
    let letter = match change.kind {
        govern::ChangeKind::Added => 'A',
        govern::ChangeKind::Modified => 'M',
        govern::ChangeKind::Deleted => 'D',
        govern::ChangeKind::TypeChanged => 'T',
    };
    format!("{letter} {}", text::shown(&change.path))
}

/// All that is wrong with the candidate.
fn judge(job: &Job<'_>, look: &Look) -> Result<Vec<Violation>, Stop> {
    let scope = CompiledScope::compile(&job.spec.scope).map_err(|faults| {
        let lines = text::lines(faults.iter().map(ToString::to_string), LINES);
        Stop::failed(Cause::PreflightFailed, lines)
    })?;
    let (changes, facts) = (&look.changes, &look.facts);
    // A script that the change deletes decided the gate, too.
    let deleted = changes
        .entries
        .iter()
        .filter(|change| change.kind == govern::ChangeKind::Deleted)
        .filter_map(|change| String::from_utf8(change.path.clone()).ok());
    let paths: Vec<String> = if job.steps().is_empty() {
        Vec::new()
    } else {
        facts.paths.iter().cloned().chain(deleted).collect()
    };
    let rules = Rules::for_builder(job.builder, GateFiles::for_steps(job.steps(), &paths));
    let limits = &job.spec.limits;
    Ok(govern::judge(changes, &scope, limits, facts, &rules))
}

/// The failure that these violations are.
fn refused(violations: &[Violation]) -> Option<Failure> {
    let cause = primary_cause(violations)?;
    let line = |violation: &Violation| {
        let at = if violation.path.is_empty() {
            "the change"
        } else {
            &violation.path
        };
        format!("{}: {at}: {}", violation.cause, violation.detail)
    };
    Some(Failure::new(
        cause,
        text::lines(violations.iter().map(line), LINES),
    ))
}

fn deliverables(job: &Job<'_>, paths: &[String], candidate: &Candidate) -> Result<(), Stop> {
    let missing = missing_deliverables(&job.spec.scope.deliverables, paths);
    if missing.is_empty() {
        return Ok(());
    }
    let is_ignored = |path: &String| {
        let path = path.trim_end_matches('/');
        candidate.ignored.iter().any(|ignored| ignored == path)
    };
    let cause = if missing.iter().all(is_ignored) {
        Cause::DeliverableIgnored
    } else {
        Cause::DeliverableMissing
    };
    let line = |path: &String| {
        if is_ignored(path) {
            format!("{path}: exists in the builder's folder and is ignored by .gitignore")
        } else {
            format!("{path}: does not exist in the result")
        }
    };
    Err(Stop::failed(
        cause,
        text::lines(missing.iter().map(line), LINES),
    ))
}

/// The change set and what has to be known about the candidate's tree.
async fn look(repo: &Repo, base: &Oid, candidate: &Candidate) -> Result<Look, GitError> {
    let own = &repo.own;
    let diff = own.compare_trees(base, &candidate.tree).await?;
    let (changes, binary): (Vec<Change>, Vec<bool>) = diff.changes.into_iter().unzip();
    let oids: Vec<Oid> = changes
        .iter()
        .filter(|change| !change.new_mode.is_gitlink())
        .filter_map(|change| change.new_oid.clone())
        .collect();
    let (sizes, files) = tokio::try_join!(
        own.blob_sizes(&oids),
        repo.listing(base, &candidate.tree, &changes)
    )?;
    let sizes: HashMap<Oid, u64> = sizes
        .into_iter()
        .filter_map(|found| Some((found.oid, found.size?)))
        .collect();
    let entries = futures::stream::iter(changes.into_iter().zip(binary))
        .map(|(change, is_binary)| {
            let size = change.new_oid.as_ref().and_then(|oid| sizes.get(oid));
            describe(own, change, size.copied().unwrap_or(0), is_binary)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut facts = TreeFacts {
        nested_repositories: candidate.nested.iter().cloned().collect(),
        ..TreeFacts::default()
    };
    for (path, mode) in files.iter() {
        let path = String::from_utf8_lossy(path).into_owned();
        if mode.is_symlink() {
            facts.links.insert(path.clone());
        }
        facts.paths.push(path);
    }
    Ok(Look {
        changes: ChangeSet { entries },
        facts,
        objects: diff.objects,
    })
}

async fn describe(
    own: &OwnClone,
    change: Change,
    size: u64,
    is_binary: bool,
) -> Result<govern::Change, GitError> {
    let link_target = match &change.new_oid {
        Some(oid) if change.new_mode.is_symlink() => Some(own.read_blob(oid, LINK).await?.bytes),
        _ => None,
    };
    Ok(govern::Change {
        kind: match change.kind {
            ChangeKind::Added => govern::ChangeKind::Added,
            ChangeKind::Modified => govern::ChangeKind::Modified,
            ChangeKind::Deleted => govern::ChangeKind::Deleted,
            ChangeKind::TypeChanged => govern::ChangeKind::TypeChanged,
        },
        path: change.path,
        old_mode: change.old_mode.0,
        new_mode: change.new_mode.0,
        size,
        is_binary,
        link_target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_is_told_and_the_list_is_bounded() {
        let violations: Vec<Violation> = (0..LINES + 7)
            .map(|n| Violation {
                cause: if n == 0 {
                    Cause::ProtectedPath
                } else {
                    Cause::OutOfScope
                },
                path: format!("p{n}"),
                detail: "x".into(),
            })
            .collect();
        let failure = refused(&violations).unwrap();
        assert_eq!(failure.cause, Cause::ProtectedPath);
        assert!(failure.detail.contains("p0") && failure.detail.ends_with("and 7 more"));
        assert!(refused(&[]).is_none());
    }
}
