//! What of a change needs a second look: secrets that it adds, and whatever a person has to approve.
//!
//! Invariant: it is the difference of the two trees that is read, never what a builder says; a yes holds for the tree and
//! the tip that it was given for, and no other.

use autopack_domain::Cause;
use autopack_domain::approval::{Approval, ApprovalRequest, Ask};
use autopack_domain::plan::BuilderSpec;
use autopack_git::Oid;
use autopack_policy::govern::diff::{self, FileDiff};
use autopack_policy::govern::review::{Review, Wishes, review};
use autopack_policy::govern::secrets::{self, Scan};
use autopack_policy::govern::symbols::{self, Loss};
use autopack_runtime::switches::Switch;
use serde_json::json;

use super::Job;
use super::build::Candidate;
use crate::error::{Failure, Stop};
use crate::repo::{Opened, Repo};
use crate::text;

/// Bytes of the difference that are read; more than a change may have in text.
const DIFF: usize = 64 << 20;
/// Files whose declarations are counted.
const COUNTED: usize = 100;
/// Bytes of such a file.
const COUNTED_BYTES: usize = 1 << 20;
/// Lines of a detail.
const LINES: usize = 50;

/// What was read of the two trees.
pub(super) struct Second {
    files: Vec<FileDiff>,
    losses: Vec<Loss>,
    scan: Scan,
    truncated: bool,
}

/// Reads what differs.
pub(super) async fn read(
    job: &Job<'_>,
    repo: &Repo,
    base: &Oid,
    tree: &Oid,
) -> Result<Second, Stop> {
    let text = repo.own.diff_text(base, tree, DIFF).await?;
    let truncated = text.truncated;
    let scans = !job.switched_on(Switch::NoSecretScan);
    let work = move || {
        let files = diff::read(&String::from_utf8_lossy(&text.bytes));
        let scan = if scans {
            secrets::scan(&files)
        } else {
            Scan::default()
        };
        (files, scan)
    };
    let read = tokio::task::spawn_blocking(work).await;
    let (files, scan) = read.map_err(|error| {
        Stop::failed(
            Cause::WorkerError,
            format!("reading the difference: {error}"),
        )
    })?;
    let losses = losses(repo, base, &files).await?;
    Ok(Second {
        files,
        losses,
        scan,
        truncated,
    })
}

/// Refuses secrets and what nobody has approved.
pub(super) fn judge(
    job: &mut Job<'_>,
    second: &Second,
    paths: &[String],
    candidate: &Candidate,
) -> Result<(), Stop> {
    if second.truncated || second.scan.skipped > 0 {
        job.warn("the change is too large to be read whole: what is beyond was not looked at for secrets");
    }
    if !second.scan.found.is_empty() {
        let lines = second
            .scan
            .found
            .iter()
            .map(|found| format!("{}:{}: {}", found.path, found.line, found.rule));
        return Err(Stop::failed(Cause::SecretAdded, text::lines(lines, LINES)));
    }
    let wishes = Wishes {
        approval_paths: &job.spec.scope.approval_paths,
        by_risk: job.switched_on(Switch::RiskApprovals),
        reviewed_category: job
            .leased
            .strategy
            .as_ref()
            .is_some_and(|strategy| !strategy.auto_apply),
    };
    let found = review(paths, &second.files, &second.losses, &wishes);
    note(job, &found, &second.losses);
    if found.asks.is_empty() {
        return Ok(());
    }
    if found.auto {
        job.fact("approval", "by policy");
        return Ok(());
    }
    if let Some(word) = granted(job, candidate) {
        job.fact("approval", format!("by {word}"));
        return Ok(());
    }
    Err(ask(job, found, candidate).into())
}

/// The tree that a person approved, if it was built on this very tip and is still here: nothing has to be built again.
pub(super) async fn approved(
    job: &mut Job<'_>,
    opened: &Opened,
) -> Result<Option<Candidate>, Stop> {
    let Some(request) = job
        .leased
        .approval
        .as_ref()
        .map(|approval| &approval.request)
    else {
        return Ok(None);
    };
    let tree = Oid::parse(&request.tree)?;
    if request.tip != job.attempt.tip || opened.repo.own.tree_of(&tree).await.is_err() {
        return Ok(None);
    }
    job.fact("builder", job.builder.kind());
    job.fact(
        "taken_from_attempt",
        job.leased.approval.as_ref().map(|a| a.attempt),
    );
    Ok(Some(Candidate::of(tree)))
}

/// Who approved this tree on this tip.
fn granted(job: &Job<'_>, candidate: &Candidate) -> Option<String> {
    let Approval {
        request, decision, ..
    } = job.leased.approval.as_ref()?;
    let same = request.tree == candidate.tree.as_str() && request.tip == job.attempt.tip;
    decision
        .as_ref()
        .filter(|word| same && word.approved)
        .map(|word| word.by.clone())
}

fn ask(job: &mut Job<'_>, found: Review, candidate: &Candidate) -> Failure {
    let line = |ask: &Ask| {
        let at = if ask.path.is_empty() {
            "the change"
        } else {
            &ask.path
        };
        format!("{}: {at}: {}", ask.guard, ask.detail)
    };
    let detail = format!(
        "tree {}, {} risk\n{}",
        candidate.tree,
        found.risk,
        text::lines(found.asks.iter().map(line), LINES)
    );
    job.evidence.approval = Some(ApprovalRequest {
        tree: candidate.tree.to_string(),
        tip: job.attempt.tip.clone(),
        risk: found.risk,
        asks: found.asks,
        asked_by: builder(job),
    });
    Failure::new(Cause::ApprovalRequired, detail)
}

/// Who built it, as far as there is a name.
fn builder(job: &Job<'_>) -> String {
    if let Some(submission) = &job.leased.submission {
        return submission.builder.clone();
    }
    match job.builder {
        BuilderSpec::Agent(agent) => agent.adapter.as_str().to_owned(),
        other => format!("builder:{}", other.kind()),
    }
}

fn note(job: &mut Job<'_>, found: &Review, losses: &[Loss]) {
    let mut told = json!({
        "risk": found.risk.as_str(),
        "score": found.score,
        "lines_added": found.added,
        "lines_removed": found.removed,
    });
    if !found.touches.is_empty() {
        told["touches"] = json!(found.touches);
    }
    let large: Vec<&str> = losses
        .iter()
        .filter(|loss| loss.is_large())
        .map(|loss| loss.path.as_str())
        .collect();
    if !large.is_empty() {
        told["declarations_lost"] = json!(large);
    }
    job.fact("review", told);
}

/// Files that lose declarations, with how many they had.
async fn losses(repo: &Repo, base: &Oid, files: &[FileDiff]) -> Result<Vec<Loss>, Stop> {
    let candidates = symbols::lost(files)
        .into_iter()
        .filter(|(file, lost)| !file.is_new && !file.is_deleted && lost.len() >= symbols::FEW)
        .take(COUNTED);
    let mut losses = Vec::new();
    for (file, lost) in candidates {
        let wanted = [file.path.as_bytes()];
        let entries = repo.own.list_tree(base, Some(&wanted)).await?;
        let Some(entry) = entries.first() else {
            continue;
        };
        let blob = repo.own.read_blob(&entry.oid, COUNTED_BYTES).await?;
        let had = symbols::declared(&file.path, &String::from_utf8_lossy(&blob.bytes)).len();
        losses.push(Loss {
            path: file.path.clone(),
            had: had.max(lost.len()),
            lost,
        });
    }
    Ok(losses)
}
