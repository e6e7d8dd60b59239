//! The bootstrap of a run: base, branch, gates and preflight.
//!
//! Invariant: nothing of the target is written; a run starts only on a branch that is absent or its own.

use async_trait::async_trait;
use autopack_domain::plan::PatchSpec;
use autopack_domain::run::Run;
use autopack_domain::{Cause, Reason};
use autopack_git::Oid;

use super::{Ended, conclude, refused};
use crate::context::Context;
use crate::error::Stop;
use crate::failpoints;
use crate::leases::Lease;
use crate::phase::MAX_PATCH;
use crate::ports::Leased;
use crate::preflight::{self, Findings, PatchSource};
use crate::repo::Opened;
use crate::text;

/// Faults that are written out.
const FAULTS: usize = 200;

/// Executes a leased bootstrap.
pub(crate) async fn execute(cx: &Context, lease: &Lease, leased: &Leased) -> Ended {
    let findings = match lease.guard(work(cx, lease, leased)).await {
        Ok(findings) => findings,
        Err(stop) => return conclude(cx, lease, stop).await,
    };
    cx.failpoint(failpoints::BEFORE_SETTLE);
    let (registry, held) = (&cx.ports.registry, lease.held);
    let call = || registry.finish_bootstrap(held, &findings);
    match cx.insist(cx.config.settle_patience, call).await {
        Ok(()) => {
            cx.failpoint(failpoints::AFTER_SETTLE);
            Ended::Committed
        }
        Err(error) => refused(&error),
    }
}

async fn work(cx: &Context, lease: &Lease, leased: &Leased) -> Result<Findings, Stop> {
    let run = &leased.run;
    let Some(plan) = &leased.plan else {
        return Err(Stop::failed(
            Cause::WorkerError,
            "the bootstrap was leased without its plan",
        ));
    };
    let opened = cx.host.repos.open(&run.repository).await?;
    let patches = Artifacts { cx, lease };
    let base = if run.base_ref.is_empty() {
        &plan.run.base
    } else {
        &run.base_ref
    };
    let report = preflight::check_opened(&cx.host, &opened, plan, base, &patches, &leased.fleet)
        .await
        .map_err(|error| Stop::failed(error.cause, error.detail))?;
    let mut findings = report.findings;
    let base = crate::phase::parse_tip(&findings.base_sha)?;
    if let Some(tip) = branch(&opened, run, base.as_ref()).await? {
        findings.tip = tip.to_string();
    }
    if !report.faults.is_empty() {
        let lines = report.faults.iter().map(ToString::to_string);
        return Err(Stop::failed(
            Cause::PreflightFailed,
            text::lines(lines, FAULTS),
        ));
    }
    if !report.warnings.is_empty() {
        let lines = report.warnings.iter().map(ToString::to_string);
        let warnings = text::head(&text::lines(lines, 50), 8 * 1024);
        findings
            .facts
            .insert("preflight_warnings".to_owned(), warnings);
    }
    Ok(findings)
}

/// The tip of the run's own branch; `None` if the branch is absent.
async fn branch(opened: &Opened, run: &Run, base: Option<&Oid>) -> Result<Option<Oid>, Stop> {
    let (own, target) = (&opened.repo.own, &opened.target);
    if let Some(folder) = own.is_checked_out(target, &run.branch).await? {
        return Err(Stop::failed(
            Cause::BranchCheckedOut,
            format!("{} is checked out in {}", run.branch, folder.display()),
        ));
    }
    let Some(tip) = own.read_branch(target, &run.branch).await? else {
        if let Some((folder, _)) = run.branch.split_once('/')
            && own.read_branch(target, folder).await?.is_some()
        {
            let detail = format!(
                "the branch `{folder}` is in the way of {}; rename or delete it",
                run.branch
            );
            return Err(Stop::failed(Cause::BranchExists, detail));
        }
        return Ok(None);
    };
    // The branch may be newer than the fetch.
    opened.tree(Some(&tip), &run.branch).await?;
    let ours = own.find_commits(base, &tip, &run.uid.to_string()).await?;
    if ours.first().is_some_and(|newest| newest.oid == tip) {
        return Ok(Some(tip));
    }
    let subjects = own.log_oneline(base, &tip, 5).await?;
    let subjects = subjects
        .iter()
        .map(|line| format!("  {} {}", line.oid, line.subject));
    Err(Stop::failed(
        Cause::BranchExists,
        format!(
            "{} exists at {tip} and does not belong to this run; its newest commits:\n{}",
            run.branch,
            text::lines(subjects, 5)
        ),
    ))
}

/// Patches from the registry's store.
struct Artifacts<'a> {
    cx: &'a Context,
    lease: &'a Lease,
}

#[async_trait]
impl PatchSource for Artifacts<'_> {
    async fn read(&self, patch: &PatchSpec) -> Result<Vec<u8>, String> {
        if patch.digest.is_empty() {
            return Err("the plan names no digest for it".to_owned());
        }
        let registry = &self.cx.ports.registry;
        let call = || registry.get_artifact(&patch.digest, MAX_PATCH);
        match self.cx.repeat(self.lease, call).await {
            Ok(bytes) => Ok(bytes),
            Err(Stop::Registry(error)) if error.is(Reason::ArtifactNotFound) => {
                Err("it was never stored; submit the plan again".to_owned())
            }
            Err(Stop::Registry(error)) => Err(error.to_string()),
            Err(_) => Err("the lease is over".to_owned()),
        }
    }
}
