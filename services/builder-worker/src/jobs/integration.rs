//! A look at a run's integration branch: where it is, and how it stands beside its base and another branch.
//!
//! Invariant: nothing of the target is written; a branch that does not exist is an answer, not a failure. All that is
//! compared was fetched together: a branch that moves meanwhile is seen where it was.

use autopack_domain::integration::{Compared, Seen};
use autopack_git::Oid;
use tokio::time::Instant;

use super::{Ended, conclude, refused};
use crate::context::Context;
use crate::error::Stop;
use crate::failpoints;
use crate::leases::Lease;
use crate::ports::Leased;
use crate::repo::Opened;

/// Executes a leased look.
pub(crate) async fn execute(cx: &Context, lease: &Lease, leased: &Leased) -> Ended {
    let seen = match lease.guard(work(cx, leased)).await {
        Ok(seen) => seen,
        Err(stop) => return conclude(cx, lease, stop).await,
    };
    cx.failpoint(failpoints::BEFORE_SETTLE);
    let (registry, held) = (&cx.ports.registry, lease.held);
    let call = || registry.finish_look(held, &seen);
    match cx.insist(cx.config.settle_patience, call).await {
        Ok(()) => {
            cx.failpoint(failpoints::AFTER_SETTLE);
            Ended::Committed
        }
        Err(error) => refused(&error),
    }
}

async fn work(cx: &Context, leased: &Leased) -> Result<Seen, Stop> {
    let run = &leased.run;
    let opened = cx.host.repos.open(&run.repository).await?;
    opened.fetch(Instant::now()).await?;
    let own = &opened.repo.own;
    let tip = own.fetched_branch(&run.branch).await?;
    let Some(tip) = tip else {
        return Ok(Seen {
            base: beside(&opened, None, &run.base_ref).await?,
            target: beside(&opened, None, &leased.compare_with).await?,
            ..Seen::default()
        });
    };
    let base = crate::phase::parse_tip(&run.base_sha)?;
    // A base that no branch holds any more is fetched by itself, or named.
    opened.tree(base.as_ref(), &run.branch).await?;
    let commits = match base {
        Some(base) => own.ahead_behind(&tip, &base).await?.0,
        // A repository that had no commit: all are the run's.
        None => own.commits_to(&tip).await?,
    };
    Ok(Seen {
        commits,
        base: beside(&opened, Some(&tip), &run.base_ref).await?,
        target: beside(&opened, Some(&tip), &leased.compare_with).await?,
        tip: tip.to_string(),
    })
}

/// The integration branch beside another branch; a base that is a tag or a commit has no branch to be beside.
async fn beside(opened: &Opened, tip: Option<&Oid>, name: &str) -> Result<Compared, Stop> {
    let mut compared = Compared {
        branch: name.to_owned(),
        ..Compared::default()
    };
    if name.is_empty() || autopack_git::check_branch_name(name).is_err() {
        return Ok(compared);
    }
    let own = &opened.repo.own;
    let Some(other) = own.fetched_branch(name).await? else {
        return Ok(compared);
    };
    compared.tip = other.to_string();
    if let Some(tip) = tip {
        (compared.ahead, compared.behind) = own.ahead_behind(tip, &other).await?;
    }
    Ok(compared)
}
