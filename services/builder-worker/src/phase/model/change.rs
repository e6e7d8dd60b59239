//! Answers as one change of the tip's tree.
//!
//! Invariant: each answer applies to the text that it was shown; what it touches beyond that is read from the tip's
//! own tree. The change is one patch, so links, modes and escapes are judged where everybody's are.

use std::collections::BTreeMap;

use autopack_domain::Cause;
use autopack_git::{ApplyError, Oid};
use autopack_policy::answer::{self, Answer, Limits, Problem, Work};
use autopack_policy::edits::{Edited, Patch};

use super::super::Job;
use super::super::build::{Built, Candidate};
use super::super::patch::{MAX_PATCH, apply_cause, apply_series};
use super::material::Sight;
use crate::error::Stop;
use crate::repo::Opened;

/// The largest file that is changed.
const MAX_FILE: usize = 8 * 1024 * 1024;

/// What the answers have made of the files so far.
pub(super) struct Draft {
    limits: Limits,
    /// Texts after the answers; `None`: the file is gone.
    pub(super) files: BTreeMap<String, Option<String>>,
    /// Changes of files that were not shown, to be applied to the tree's own text.
    unseen: Vec<(String, Work)>,
    odd: Vec<String>,
}

impl Draft {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            files: BTreeMap::new(),
            unseen: Vec::new(),
            odd: Vec::new(),
        }
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, sight: &Sight, answer: Answer) -> Result<(), Stop> {
        self.odd.extend(answer.warnings);
        for (path, work) in answer.files {
            let known = self.files.get(&path);
            let there = sight.paths.binary_search(&path).is_ok();
            let text = match known {
                Some(text) => text.clone(),
                None => match sight.texts.get(&path) {
                    Some(text) => Some(text.clone()),
                    None if there => {
                        self.unseen.push((path, work));
                        continue;
                    }
                    None => None,
                },
            };
            let made = answer::apply(&path, text.as_deref(), &work, self.limits, &mut self.odd);
            self.files.insert(path, made.map_err(unusable)?);
        }
        Ok(())
    }
}

/// The cause of a refused answer.
pub(super) fn unusable(problem: Problem) -> Stop {
    let cause = match &problem {
        Problem::Escape(_) => Cause::PathEscape,
        Problem::Form(_) | Problem::Misfit(_) => Cause::AnswerUnusable,
    };
    Stop::failed(cause, format!("the model's answer: {problem}"))
}

/// Applies the draft to the tip's tree.
pub(super) async fn apply(
    job: &mut Job<'_>,
    opened: &Opened,
    base: &Oid,
    mut draft: Draft,
) -> Result<Built, Stop> {
    let own = &opened.repo.own;
    let touched: Vec<String> = draft
        .files
        .keys()
        .cloned()
        .chain(draft.unseen.iter().map(|(path, _)| path.clone()))
        .collect();
    let names: Vec<&[u8]> = touched.iter().map(String::as_bytes).collect();
    let listed = async { Ok::<_, Stop>(own.list_tree(base, Some(&names)).await?) };
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    for entry in job.lease.guard(listed).await? {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        if !touched.contains(&path) {
            continue;
        }
        if !entry.mode.is_file() {
            let problem = format!("{path}: is a link or a submodule, not a file");
            return Err(unusable(Problem::Misfit(problem)));
        }
        let read = async { Ok::<_, Stop>(own.read_blob(&entry.oid, MAX_FILE).await?) };
        let blob = job.lease.guard(read).await?;
        let text = String::from_utf8(blob.bytes)
            .ok()
            .filter(|_| !blob.truncated);
        let Some(text) = text else {
            let problem = format!("{path}: is no text, or too large to be changed by a model");
            return Err(unusable(Problem::Misfit(problem)));
        };
        before.insert(path, text);
    }
    for (path, work) in std::mem::take(&mut draft.unseen) {
        let text = match draft.files.get(&path) {
            Some(text) => text.clone(),
            None => before.get(&path).cloned(),
        };
        let limits = draft.limits;
        let made = answer::apply(&path, text.as_deref(), &work, limits, &mut draft.odd);
        draft.files.insert(path, made.map_err(unusable)?);
    }
    for odd in draft.odd.drain(..).take(10) {
        job.warn(odd);
    }
    let mut patch = Patch::within(MAX_PATCH);
    for (path, text) in draft.files {
        let old = before.get(&path).map(String::as_str);
        let edited = match text {
            Some(text) => Edited::Text(text),
            None if old.is_some() => Edited::Removed,
            None => continue,
        };
        patch
            .add(&path, old, &edited)
            .map_err(|problem| unusable(Problem::Misfit(problem)))?;
    }
    if patch.is_empty() {
        return Ok(Built::Candidate(Candidate::of(base.clone())));
    }
    match apply_series(job, opened, base, &[patch.into_bytes()]).await? {
        Ok(tree) => Ok(Built::Candidate(Candidate::of(tree))),
        Err(ApplyError::Git(error)) => Err(error.into()),
        Err(error) => {
            let cause = match apply_cause(&error) {
                Cause::PatchUnreadable | Cause::PatchDoesNotApply => Cause::AnswerUnusable,
                cause => cause,
            };
            Err(Stop::failed(cause, error.to_string()))
        }
    }
}
