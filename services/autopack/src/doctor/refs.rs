//! A run against its branch in the target repository.
//!
//! Invariant: the target is only read; what is needed of it is fetched into a scratch clone that goes with this value.

use std::{collections::BTreeMap, path::PathBuf};

use autopack_git::{CommitInfo, FetchRefs, Git, Oid, OwnClone, Target, trailers};
use autopack_runtime::{IdSource as _, V7Ids};

use super::{Found, Subject, records::has_open_intent};
use crate::{error::CliError, target, view::phase_state};

/// Repositories that were looked at.
pub(super) struct Repositories {
    git: Git,
    scratch: PathBuf,
    opened: BTreeMap<String, (Target, OwnClone)>,
}

impl Drop for Repositories {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

impl Repositories {
    pub(super) fn new() -> Self {
        Self {
            git: target::git(),
            scratch: std::env::temp_dir().join(format!("autopack-doctor-{}", V7Ids.uuid())),
            opened: BTreeMap::new(),
        }
    }

    /// Compares; a repository that cannot be read is a difference.
    pub(super) async fn compare(&mut self, subject: &Subject, found: &mut Found<'_>) {
        let run = &subject.view.run;
        let before = found.list.len();
        if let Err(error) = self.branch(subject, found).await {
            found.list.truncate(before);
            found.add(
                "repository",
                format!("{} can be read", run.repository),
                error.message,
            );
        }
    }

    async fn open(&mut self, repository: &str) -> Result<(Target, OwnClone), CliError> {
        if !self.opened.contains_key(repository) {
            let target = Target::discover(&self.git, repository).await?;
            let dir = self.scratch.join(self.opened.len().to_string());
            let own = OwnClone::open_or_create_as(&self.git, &dir, target.object_format()).await?;
            self.opened.insert(repository.to_owned(), (target, own));
        }
        let found = self.opened.get(repository).cloned();
        found.ok_or_else(|| CliError::new(format!("{repository} could not be opened")))
    }

    async fn branch(&mut self, subject: &Subject, found: &mut Found<'_>) -> Result<(), CliError> {
        let run = &subject.view.run;
        let (target, own) = self.open(&run.repository).await?;
        let branch = own.read_branch(&target, &run.branch).await?;
        let Some(tip) = branch else {
            let landed: Vec<&str> = subject
                .view
                .phases
                .iter()
                .filter(|p| !p.commit.is_empty())
                .map(|p| p.id.as_str())
                .collect();
            if !landed.is_empty() {
                found.add(
                    "branch",
                    format!("{} at {}", run.branch, run.tip),
                    "no such branch",
                );
            }
            return Ok(());
        };
        if !run.frozen {
            // Before the bootstrap nothing is known of a branch of that name.
            return Ok(());
        }
        let intended = |commit: &str| {
            subject
                .attempts
                .iter()
                .filter(|a| has_open_intent(a))
                .any(|a| a.intent.as_ref().is_some_and(|i| i.commit == commit))
        };
        if tip.as_str() != run.tip && !intended(tip.as_str()) {
            found.add("tip of the branch", &run.tip, tip.as_str());
        }
        own.fetch(&target, &FetchRefs::Branches(vec![run.branch.clone()]))
            .await?;
        let base = Some(run.base_sha.as_str())
            .filter(|sha| !sha.is_empty())
            .map(Oid::parse)
            .transpose()?;
        let commits = own.find_commits(base.as_ref(), &tip, &run.uid).await?;
        phases(subject, &commits, intended, found);
        Ok(())
    }
}

/// One commit for each phase that landed, and no other.
fn phases(
    subject: &Subject,
    commits: &[CommitInfo],
    intended: impl Fn(&str) -> bool,
    found: &mut Found<'_>,
) {
    let of = |commit: &CommitInfo| {
        trailers::get(&commit.trailers, "Autopack-Phase")
            .unwrap_or_default()
            .to_owned()
    };
    let mut by_phase: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for commit in commits {
        by_phase
            .entry(of(commit))
            .or_default()
            .push(commit.oid.as_str());
    }
    for phase in &subject.view.phases {
        let there = by_phase.remove(&phase.id).unwrap_or_default();
        let landed = phase_state(phase) == "COMPLETE" && !phase.commit.is_empty();
        let there: Vec<&str> = there
            .into_iter()
            .filter(|oid| *oid == phase.commit || !intended(oid))
            .collect();
        let expected = if landed {
            vec![phase.commit.as_str()]
        } else {
            Vec::new()
        };
        if there != expected {
            let list = |oids: &[&str]| {
                if oids.is_empty() {
                    "no commit".to_owned()
                } else {
                    oids.join(", ")
                }
            };
            found.add(
                "commits of a phase",
                format!("{}: {}", phase.id, list(&expected)),
                format!("{}: {}", phase.id, list(&there)),
            );
        }
    }
    for (phase, oids) in by_phase {
        found.add(
            "commits of the run",
            "commits of its phases only",
            format!("{} of `{phase}`", oids.join(", ")),
        );
    }
}
