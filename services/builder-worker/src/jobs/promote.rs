//! A promotion: the tested tree is brought to another branch.
//!
//! Invariant: the branch moves by compare-and-swap only, after the move was stored, and to the tested tree. The commit
//! of a move follows from what is asked and from the branch's tip alone, so whoever repeats a move that a crash cut off
//! makes the same commit, and finds it if it is there. Nothing that is checked out is moved.

use std::path::Path;

use autopack_domain::Cause;
use autopack_domain::promotion::{Promotion, PromotionIntent, PromotionState, PromotionStrategy};
use autopack_domain::run::Run;
use autopack_git::{
    FetchRefs, GitError, Identity, Landed, Oid, Prepared, PushOutcome, Strategy, message,
};

use super::{Ended, conclude, refused};
use crate::context::Context;
use crate::error::{Stop, git_cause};
use crate::failpoints;
use crate::leases::Lease;
use crate::ports::Leased;
use crate::repo::Opened;
use crate::text;

/// Paths of a conflict that are written out.
const PATHS: usize = 50;

/// Executes a leased promotion.
pub(crate) async fn execute(cx: &Context, lease: &Lease, leased: &Leased) -> Ended {
    let (state, commit) = match lease.guard(work(cx, lease, leased)).await {
        Ok(Done::Well(state, commit)) => (state, commit),
        Ok(Done::Over) => return Ended::Committed,
        Err(stop) => return conclude(cx, lease, stop).await,
    };
    cx.failpoint(failpoints::BEFORE_SETTLE);
    let (registry, held) = (&cx.ports.registry, lease.held);
    let call = || registry.finish_promotion(held, state, commit.as_str());
    match cx.insist(cx.config.settle_patience, call).await {
        Ok(()) => {
            cx.failpoint(failpoints::AFTER_SETTLE);
            Ended::Committed
        }
        Err(error) => refused(&error),
    }
}

/// How the work on a promotion ended.
enum Done {
    /// The branch holds the result.
    Well(PromotionState, Oid),
    /// The registry has ended the promotion, and the job with it.
    Over,
}

/// What is promoted, and where.
struct Move<'a> {
    cx: &'a Context,
    lease: &'a Lease,
    opened: &'a Opened,
    run: &'a Run,
    promotion: &'a Promotion,
    tested: Oid,
}

async fn work(cx: &Context, lease: &Lease, leased: &Leased) -> Result<Done, Stop> {
    let run = &leased.run;
    let Some(promotion) = &leased.promotion else {
        let detail = "the promotion was leased without what it promotes";
        return Err(Stop::failed(Cause::WorkerError, detail));
    };
    let opened = cx.host.repos.open(&run.repository).await?;
    let Some(tested) = crate::phase::parse_tip(&promotion.tested)? else {
        let detail = format!("run {} has no commit", run.id);
        return Err(Stop::failed(Cause::PromotionTipMoved, detail));
    };
    let step = Move {
        cx,
        lease,
        opened: &opened,
        run,
        promotion,
        tested,
    };
    if let Some(intent) = &promotion.intent {
        if let Some(commit) = step.moved_before(intent).await? {
            return Ok(Done::Well(PromotionState::Landed, commit));
        }
        let registry = &cx.ports.registry;
        let withdraw = || registry.withdraw_promotion(lease.held);
        if cx.repeat(lease, withdraw).await? {
            return Ok(Done::Over);
        }
    }
    step.check_symbolic().await?;
    step.check_tip(leased).await?;
    let (state, commit) = step.go().await?;
    Ok(Done::Well(state, commit))
}

impl Move<'_> {
    fn target(&self) -> &str {
        &self.promotion.wanted.target
    }

    /// The integration branch must hold the commit whose tree the gates have seen.
    async fn check_tip(&self, leased: &Leased) -> Result<(), Stop> {
        let (own, target) = (&self.opened.repo.own, &self.opened.target);
        let branches = vec![self.run.branch.clone(), self.target().to_owned()];
        own.fetch(target, &FetchRefs::Branches(branches)).await?;
        let fail = |detail: String| Err(Stop::failed(Cause::PromotionTipMoved, detail));
        // A run that changed nothing has no branch of its own.
        if self.tested.as_str() != self.run.base_sha {
            let actual = own.read_branch(target, &self.run.branch).await?;
            if actual.as_ref() != Some(&self.tested) {
                return fail(format!(
                    "{} is {}, and the gates have seen {}",
                    self.run.branch,
                    shown(actual.as_ref()),
                    self.tested
                ));
            }
        }
        let tree = self
            .opened
            .tree(Some(&self.tested), &self.run.branch)
            .await?;
        let gated = leased.intents.iter().filter_map(|a| a.intent.as_ref());
        let mut gated = gated.filter(|intent| intent.commit == self.tested.as_str());
        if let Some(intent) = gated.find(|intent| intent.tree != tree.as_str()) {
            return fail(format!(
                "commit {} has the tree {tree}, and the gates have seen {}",
                self.tested, intent.tree
            ));
        }
        Ok(())
    }

    async fn go(&self) -> Result<(PromotionState, Oid), Stop> {
        let (own, target) = (&self.opened.repo.own, &self.opened.target);
        let Some(tip) = own.read_branch(target, self.target()).await? else {
            let detail = format!("{} has no branch {}", target.location, self.target());
            return Err(Stop::failed(Cause::PromotionTargetMissing, detail));
        };
        // It may have moved since the fetch.
        self.opened.tree(Some(&tip), self.target()).await?;
        let wanted = &self.promotion.wanted.expected;
        if !wanted.is_empty() && *wanted != tip.as_str() {
            return Err(self.moved(Some(&tip), wanted));
        }
        let commit = match self.prepare(&tip).await? {
            Prepared::Ready { commit } => commit,
            Prepared::AlreadyThere => return Ok((PromotionState::AlreadyThere, tip)),
            other => return Err(self.in_the_way(&other, &tip)),
        };
        if let Some(folder) = own.is_checked_out(target, self.target()).await? {
            return Err(self.checked_out(&folder));
        }
        // The commit is held by a reference of our own before the branch moves (DESIGN rule 7).
        let name = format!("promotion/{}", self.promotion.uid);
        own.set_private_ref(self.run.id.as_str(), &name, &commit)
            .await?;
        self.lease.begin_landing()?;
        let intent = PromotionIntent {
            from: tip.to_string(),
            commit: commit.to_string(),
        };
        let registry = &self.cx.ports.registry;
        let store = || registry.prepare_promotion(self.lease.held, &intent);
        self.cx.repeat(self.lease, store).await?;
        self.cx.failpoint(failpoints::PROMOTE_PREPARED);
        self.lease.check()?;
        let pushed = own.push(target, &commit, self.target(), Some(&tip)).await;
        match pushed {
            Ok(PushOutcome::Moved) => {}
            Ok(PushOutcome::CheckedOut { path }) => return Err(self.checked_out(&path)),
            Ok(PushOutcome::Rejected { actual }) if actual.as_ref() == Some(&commit) => {}
            Ok(PushOutcome::Rejected { actual }) => {
                return Err(self.moved(actual.as_ref(), tip.as_str()));
            }
            // Only reading it tells whether it moved.
            Err(error) => match own.read_branch(target, self.target()).await {
                Ok(Some(actual)) if actual == commit => {}
                Ok(_) => return Err(not_pushed(&error)),
                Err(unread) => {
                    return Err(Stop::GiveBack(format!(
                        "the branch may have moved and cannot be read: {error}; {unread}"
                    )));
                }
            },
        }
        self.cx.failpoint(failpoints::PROMOTE_MOVED);
        self.landed(commit).await
    }

    /// A name for another branch does not move by itself.
    async fn check_symbolic(&self) -> Result<(), Stop> {
        let (own, target, branch) = (&self.opened.repo.own, &self.opened.target, self.target());
        let Some(other) = own.symbolic_branch(target, branch).await? else {
            return Ok(());
        };
        let branch = branch.to_owned();
        let error = GitError::SymbolicBranch {
            branch,
            target: other,
        };
        Err(not_pushed(&error))
    }

    /// The move that an earlier worker stored, if the branch holds it: that worker could not say so, and whatever was
    /// committed since came on top of it.
    async fn moved_before(&self, intent: &PromotionIntent) -> Result<Option<Oid>, Stop> {
        let commit = Oid::parse(&intent.commit)?;
        let (own, target) = (&self.opened.repo.own, &self.opened.target);
        let branches = FetchRefs::Branches(vec![self.target().to_owned()]);
        own.fetch(target, &branches).await?;
        let Some(tip) = own.read_branch(target, self.target()).await? else {
            return Ok(None);
        };
        // It may have moved since the fetch.
        self.opened.tree(Some(&tip), self.target()).await?;
        match own.tree_of(&commit).await {
            Ok(_) => {}
            // Whoever made it kept it elsewhere, and the branch's history does not have it.
            Err(GitError::ObjectMissing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let landed = own.is_ancestor(&commit, &tip).await?;
        Ok(landed.then_some(commit))
    }

    /// Reads the branch back: it must hold the tested tree.
    async fn landed(&self, commit: Oid) -> Result<(PromotionState, Oid), Stop> {
        let (own, target) = (&self.opened.repo.own, &self.opened.target);
        let name = self.target();
        let branches = FetchRefs::Branches(vec![name.to_owned()]);
        own.fetch(target, &branches).await?;
        let found = own.landed(target, name, &commit, &self.tested).await?;
        match found {
            Landed::Tested => Ok((PromotionState::Landed, commit)),
            // Somebody went on from there at once.
            Landed::Other {
                actual: Some(actual),
            } if actual != commit => {
                // It may have moved since the fetch.
                self.opened.tree(Some(&actual), name).await?;
                if own.is_ancestor(&commit, &actual).await? {
                    return Ok((PromotionState::Landed, commit));
                }
                Err(self.taken_back(Some(&actual), &commit))
            }
            Landed::Other { actual } => Err(self.taken_back(actual.as_ref(), &commit)),
        }
    }

    async fn prepare(&self, tip: &Oid) -> Result<Prepared, Stop> {
        let uid = self.promotion.uid.to_string();
        let run_uid = self.run.uid.to_string();
        let subject = format!("Promote {} to {}", self.run.id, self.target());
        let message = message::build(
            &subject,
            &self.run.goal,
            &[
                ("Autopack-Run", self.run.id.as_str()),
                ("Autopack-Run-Uid", &run_uid),
                ("Autopack-Promotion", &uid),
                ("Autopack-Tested", self.tested.as_str()),
            ],
        )?;
        let who = Identity::default();
        let promotion = autopack_git::Promotion {
            tested: &self.tested,
            tip,
            strategy: match self.promotion.wanted.strategy {
                PromotionStrategy::FastForward => Strategy::FastForward,
                PromotionStrategy::Merge => Strategy::Merge,
                PromotionStrategy::Squash => Strategy::Squash,
            },
            message: &message,
            committer: &who,
            time: self.promotion.asked_at.0 / 1_000_000,
        };
        Ok(self.opened.repo.own.prepare_promotion(&promotion).await?)
    }

    fn in_the_way(&self, found: &Prepared, tip: &Oid) -> Stop {
        let (name, run) = (self.target(), &self.run.branch);
        let (cause, detail) = match found {
            Prepared::Conflict { paths } => {
                let paths = text::lines(paths.iter().map(|path| text::shown(path)), PATHS);
                let detail = format!("{run} and {name} ({tip}) conflict in:\n{paths}");
                (Cause::PromotionConflict, detail)
            }
            Prepared::Untested { tree } => {
                let detail = format!(
                    "{name} ({tip}) has changes that {run} has not: merged they are the tree {tree}, which no gate has seen"
                );
                (Cause::PromotionUntested, detail)
            }
            Prepared::Diverged | Prepared::Ready { .. } | Prepared::AlreadyThere => {
                let detail = format!("{name} ({tip}) has commits that {run} has not");
                (Cause::PromotionDiverged, detail)
            }
        };
        Stop::failed(cause, detail)
    }

    fn checked_out(&self, folder: &Path) -> Stop {
        Stop::failed(
            Cause::PromotionTargetCheckedOut,
            format!(
                "{name} is checked out in {folder}; there, `git merge {branch}` brings the result in, or \
                 `git switch --detach` frees the branch for another promotion",
                name = self.target(),
                folder = folder.display(),
                branch = self.run.branch
            ),
        )
    }

    fn taken_back(&self, actual: Option<&Oid>, commit: &Oid) -> Stop {
        Stop::failed(
            Cause::PromotionTargetMoved,
            format!(
                "{} was moved to {commit}, and somebody has moved it since: it is {}",
                self.target(),
                shown(actual)
            ),
        )
    }

    fn moved(&self, actual: Option<&Oid>, expected: &str) -> Stop {
        Stop::failed(
            Cause::PromotionTargetMoved,
            format!(
                "{} is {}, and was expected to be {expected}",
                self.target(),
                shown(actual)
            ),
        )
    }
}

/// The branch was read after the push, and is where it was.
fn not_pushed(error: &GitError) -> Stop {
    let cause = match error {
        GitError::SymbolicBranch { .. } => Cause::PromotionTargetSymbolic,
        error if error.is_declined() => Cause::PromotionTargetProtected,
        // The host may still be at it: the next try reads the branch once more.
        error => git_cause(error),
    };
    Stop::failed(cause, error.to_string())
}

fn shown(oid: Option<&Oid>) -> String {
    oid.map_or_else(|| "absent".to_owned(), ToString::to_string)
}
