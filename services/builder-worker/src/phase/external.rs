//! The external builder: what somebody submitted, applied to the tip's tree on a private index, without a work folder.
//!
//! Invariant: what is applied has the digests that the registry names, and goes on to the same judgement as any other
//! change; what the submitter claims about it is compared with it and told, and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::Cause;
use autopack_domain::attempt::ArtifactRef;
use autopack_domain::issue::{NewIssue, Severity};
use autopack_domain::submission::{AuditResult, BuilderResult, Content, Edit};
use autopack_git::{ApplyError, Oid, OwnClone, TreeEntry, utf8_path};
use autopack_policy::edits::{self, Patch};
use serde::de::DeserializeOwned;

use super::Job;
use super::build::{Built, Candidate};
use super::patch::{MAX_PATCH, apply_cause, apply_series, fetch};
use crate::error::Stop;
use crate::repo::Opened;

/// The largest document: what a request may hold, with room for how it is written.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// The largest file that is edited.
const MAX_FILE: usize = 8 * 1024 * 1024;
/// Paths that are named in a warning.
const NAMED: usize = 20;

/// Applies the submission, and what its auditor added.
pub(crate) async fn build(job: &mut Job<'_>, opened: &Opened, base: &Oid) -> Result<Built, Stop> {
    let Some(submission) = job.leased.submission.clone() else {
        let detail = "the phase's builder is `external` and no result was submitted";
        return Err(Stop::failed(Cause::BuilderNotFound, detail));
    };
    job.fact("submitted_by", submission.builder.clone());
    let result: BuilderResult = read(job, "submission", &submission.digest).await?;
    let mut series = match result.content {
        Some(Content::Patch(patch)) => vec![patch.into_bytes()],
        Some(Content::Edits(edits)) => edited(job, opened, base, edits).await?,
        None => Vec::new(),
    };
    if !submission.audit_digest.is_empty() {
        job.fact("audited_by", submission.auditor.clone());
        let audit: AuditResult = read(job, "audit", &submission.audit_digest).await?;
        let added = audit.patches.into_iter().map(|p| p.patch.into_bytes());
        series.extend(added);
    }
    if series.is_empty() {
        return Ok(Built::Candidate(Candidate::of(base.clone())));
    }
    let tree = match apply_series(job, opened, base, &series).await? {
        Ok(tree) => tree,
        Err(ApplyError::DoesNotApply {
            reverse_applies: true,
            ..
        }) => return Ok(Built::AlreadyPresent),
        Err(ApplyError::Git(error)) => return Err(error.into()),
        Err(error) => {
            // A patch of a plan that cannot be read never can; of a submission, the next one may.
            let cause = match apply_cause(&error) {
                Cause::PatchUnreadable => Cause::SubmissionUnusable,
                cause => cause,
            };
            return Err(Stop::failed(cause, error.to_string()));
        }
    };
    compare(job, opened, (base, &tree), &result.changed_files).await?;
    Ok(Built::Candidate(Candidate::of(tree)))
}

/// A stored document, which is kept with the attempt under this name.
async fn read<T: DeserializeOwned>(job: &mut Job<'_>, name: &str, digest: &str) -> Result<T, Stop> {
    let bytes = fetch(job, &format!("the {name}"), digest, MAX_DOCUMENT).await?;
    job.evidence.submitted.push(ArtifactRef {
        name: name.to_owned(),
        digest: digest.to_owned(),
        size: bytes.len() as u64,
    });
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("the stored {name} {digest} cannot be read: {error}");
        Stop::failed(Cause::SubmissionUnusable, detail)
    })
}

/// Edits as one patch, on the files of the tip; none if they change nothing. One file is read at a time.
async fn edited(
    job: &Job<'_>,
    opened: &Opened,
    base: &Oid,
    edits: Vec<Edit>,
) -> Result<Vec<Vec<u8>>, Stop> {
    let mut files: BTreeMap<String, Vec<Edit>> = BTreeMap::new();
    for edit in edits {
        files.entry(edit.path.clone()).or_default().push(edit);
    }
    let own = &opened.repo.own;
    let names: Vec<&[u8]> = files.keys().map(String::as_bytes).collect();
    let listed = async { Ok::<_, Stop>(own.list_tree(base, Some(&names)).await?) };
    let entries = job.lease.guard(listed).await?;
    let mut entries: BTreeMap<Vec<u8>, TreeEntry> =
        entries.into_iter().map(|e| (e.path.clone(), e)).collect();
    let mut patch = Patch::within(MAX_PATCH);
    for (path, edits) in files {
        let entry = entries.remove(path.as_bytes());
        let step = async {
            let text = match entry {
                Some(entry) => Some(text(own, &path, &entry).await?),
                None => None,
            };
            add(patch, path, text, edits).await
        };
        patch = job.lease.guard(step).await?;
    }
    let bytes = Some(patch).filter(|patch| !patch.is_empty());
    Ok(bytes.map(Patch::into_bytes).into_iter().collect())
}

/// What edits may be applied to.
async fn text(own: &OwnClone, path: &str, entry: &TreeEntry) -> Result<String, Stop> {
    if !entry.mode.is_file() {
        return Err(unusable(path, "is a link or a submodule, not a file"));
    }
    let blob = own.read_blob(&entry.oid, MAX_FILE).await?;
    if blob.truncated {
        return Err(unusable(path, "is too large for edits; submit a patch"));
    }
    let text = String::from_utf8(blob.bytes);
    text.map_err(|_| unusable(path, "is not UTF-8 text; submit a git patch"))
}

/// Adds the edits of one file to the patch; off the asynchronous threads, for files and edits may be large.
async fn add(
    mut patch: Patch,
    path: String,
    text: Option<String>,
    edits: Vec<Edit>,
) -> Result<Patch, Stop> {
    let work = move || {
        let edits: Vec<&Edit> = edits.iter().collect();
        let edited = edits::apply(&path, text.as_deref(), &edits)?;
        patch.add(&path, text.as_deref(), &edited)?;
        Ok::<_, String>(patch)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Stop::failed(Cause::WorkerError, format!("applying edits: {error}")))?
        .map_err(|problem| Stop::failed(Cause::SubmissionUnusable, problem))
}

fn unusable(path: &str, problem: &str) -> Stop {
    Stop::failed(Cause::SubmissionUnusable, format!("{path}: {problem}"))
}

/// Tells where the claim about the changed files differs from the change: a warning with the attempt and a minor issue.
/// It is no failure: scope, limits and gate judge the change itself, so a wrong claim gains nothing.
async fn compare(
    job: &mut Job<'_>,
    opened: &Opened,
    (base, tree): (&Oid, &Oid),
    claimed: &[String],
) -> Result<(), Stop> {
    if claimed.is_empty() {
        return Ok(());
    }
    let changes = opened.repo.own.list_changes(base, tree).await?;
    let real: BTreeSet<String> = changes
        .iter()
        .map(|change| {
            utf8_path(&change.path)
                .map_or_else(|_| change.path.escape_ascii().to_string(), str::to_owned)
        })
        .collect();
    let claimed: BTreeSet<String> = claimed.iter().cloned().collect();
    if real == claimed {
        return Ok(());
    }
    let list = |paths: Vec<&String>| {
        let named: Vec<&str> = paths.iter().take(NAMED).map(|p| p.as_str()).collect();
        match (named.is_empty(), paths.len() > NAMED) {
            (true, _) => "none".to_owned(),
            (false, false) => named.join(", "),
            (false, true) => format!("{}, ...", named.join(", ")),
        }
    };
    let unclaimed = list(real.difference(&claimed).collect());
    let unchanged = list(claimed.difference(&real).collect());
    let text = format!(
        "the declared changed files differ from the change: changed and not declared: {unclaimed}; declared and not changed: {unchanged}"
    );
    job.warn(text.clone());
    job.evidence.issues.push(NewIssue {
        key: format!("submission__{}__changed_files_differ", job.spec.id),
        severity: Severity::Minor,
        source: "worker".to_owned(),
        category: "data_integrity".to_owned(),
        description: text.chars().take(1500).collect(),
        evidence: Vec::new(),
        paths: Vec::new(),
    });
    Ok(())
}
