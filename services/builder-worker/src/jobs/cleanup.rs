//! The cleanup of a run: what became of landing intents that nobody has resolved.
//!
//! Invariant: the branch decides. A commit of an open intent on it is adopted, a commit of ours that ended otherwise is
//! rewound by compare-and-swap, and anything else is somebody else's and left alone.

use autopack_domain::{AttemptUid, Cause};
use autopack_git::{Oid, PushOutcome};

use super::{Ended, conclude, refused};
use crate::context::Context;
use crate::error::Stop;
use crate::failpoints;
use crate::leases::Lease;
use crate::phase::{is_stray, parse_tip, rewind};
use crate::ports::Leased;

/// How often a branch that moves under our hands is read again.
const ROUNDS: usize = 3;

/// Executes a leased cleanup.
pub(crate) async fn execute(cx: &Context, lease: &Lease, leased: &Leased) -> Ended {
    let landed = match lease.guard(work(cx, leased)).await {
        Ok(landed) => landed,
        Err(stop) => return conclude(cx, lease, stop).await,
    };
    cx.failpoint(failpoints::BEFORE_SETTLE);
    let (registry, held) = (&cx.ports.registry, lease.held);
    let call = || registry.finish_cleanup(held, landed);
    match cx.insist(cx.config.settle_patience, call).await {
        Ok(()) => {
            cx.failpoint(failpoints::AFTER_SETTLE);
            Ended::Committed
        }
        Err(error) => refused(&error),
    }
}

/// The attempt whose commit the branch holds.
async fn work(cx: &Context, leased: &Leased) -> Result<Option<AttemptUid>, Stop> {
    let run = &leased.run;
    let opened = cx.host.repos.open(&run.repository).await?;
    let own = &opened.repo.own;
    let tip = parse_tip(&run.tip)?;
    // Before the first landing the branch does not exist.
    let is_first = run.tip == run.base_sha;
    for _ in 0..ROUNDS {
        let actual = own.read_branch(&opened.target, &run.branch).await?;
        let Some(actual) = actual else {
            if is_first {
                return Ok(None);
            }
            return Err(moved(&run.branch, None, tip.as_ref()));
        };
        let open = leased.intents.iter().find(|attempt| {
            attempt
                .intent
                .as_ref()
                .is_some_and(|intent| !intent.resolved && intent.commit == actual.as_str())
        });
        if let Some(attempt) = open {
            return Ok(Some(attempt.uid));
        }
        if tip.as_ref() == Some(&actual) {
            return Ok(None);
        }
        if !is_stray(&leased.intents, &actual) {
            return Err(moved(&run.branch, Some(&actual), tip.as_ref()));
        }
        let to = tip.as_ref().filter(|_| !is_first);
        if let Some(to) = to {
            opened.tree(Some(to), &run.branch).await?;
        }
        match rewind(&opened, &run.branch, &actual, to).await? {
            PushOutcome::Moved => return Ok(None),
            PushOutcome::Rejected { .. } => {}
            PushOutcome::CheckedOut { path } => {
                return Err(Stop::failed(
                    Cause::BranchCheckedOut,
                    format!("{} is checked out in {}", run.branch, path.display()),
                ));
            }
        }
    }
    Err(Stop::failed(
        Cause::BranchMoved,
        format!("{} keeps moving while it is cleaned up", run.branch),
    ))
}

fn moved(branch: &str, actual: Option<&Oid>, tip: Option<&Oid>) -> Stop {
    let shown = |oid: Option<&Oid>| oid.map_or_else(|| "absent".to_owned(), ToString::to_string);
    Stop::failed(
        Cause::BranchMoved,
        format!(
            "{branch} is {}, which is neither the run's tip ({}) nor a commit of an open landing",
            shown(actual),
            shown(tip)
        ),
    )
}
