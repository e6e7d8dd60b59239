//! Landing: wait for the turn, merge with what landed meanwhile, store the intent, move the branch.
//!
//! Invariant: the branch moves only to a tree whose gate passed, only after the intent to do so is stored, and only from
//! the tip that the intent names.

use autopack_domain::Cause;
use autopack_domain::Reason;
use autopack_domain::attempt::Intent;
use autopack_domain::phase::PhaseOutcome;
use autopack_domain::states::AttemptState;
use autopack_git::{CommitSpec, GitError, Identity, MergeResult, Oid, message};
use tokio::time::{Duration, Instant, sleep};

use super::govern::Judged;
use super::{Candidate, Job, Proof, Success, gate, parse_tip, push};
use crate::error::Stop;
use crate::failpoints;
use crate::leases::Why;
use crate::ports::Turn;
use crate::repo::Opened;
use crate::text;

/// Pause before a landing that was refused is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What is to land, on what.
struct Landing {
    tip: Option<Oid>,
    tree: Oid,
    proof: Proof,
}

/// Lands the candidate.
pub(crate) async fn land(
    job: &mut Job<'_>,
    opened: &Opened,
    candidate: &Candidate,
    judged: &Judged,
    proof: Proof,
) -> Result<Success, Stop> {
    let end = Instant::now() + job.cx.config.landing_patience;
    // The queue for the turn and the report of the stage do not wait for each other.
    let (reported, first) = futures::join!(job.report(AttemptState::Landing), turn(job));
    reported?;
    let mut granted = Some(first?);
    loop {
        let turn = match granted.take() {
            Some(turn) => turn,
            None => turn(job).await?,
        };
        let tip = parse_tip(&turn.tip)?;
        let Some(landing) = on_tip(job, opened, candidate, &proof, tip).await? else {
            return Ok(Success {
                outcome: PhaseOutcome::AlreadyPresent,
                commit: None,
                tree: None,
            });
        };
        let expected = push::expected(opened, job.run, landing.tip.as_ref()).await?;
        // What was found out about the candidate on its base holds as long as nothing else landed.
        let base_tip = job.evidence.base.as_ref().map(|(tip, _)| tip);
        let judged = (base_tip == Some(&landing.tip)).then_some(judged);
        let draft = judged.and_then(|judged| judged.draft.clone());
        let is_held = draft.is_some();
        let commit = match draft {
            Some(commit) => commit,
            None => commit(job, opened, &landing).await?,
        };
        job.cx.failpoint(failpoints::BEFORE_PREPARE);
        job.lease.begin_landing()?;
        // The commit is held by a reference of our own before the branch moves (DESIGN rule 7).
        let own = &opened.repo.own;
        let hold = async {
            if is_held {
                Ok(())
            } else {
                hold(job, opened, &commit).await
            }
        };
        let objects = judged.map(|judged| judged.objects.as_slice());
        let (held, prepared, offered) = futures::join!(
            hold,
            prepare(job, &turn.tip, &landing.tree, &commit),
            own.offer(&opened.target, &commit, expected.as_ref(), objects)
        );
        match prepared {
            Ok(()) => {
                held?;
                job.cx.failpoint(failpoints::AFTER_PREPARE);
                let pushing = push::push(job, opened, &commit, expected.as_ref(), offered.ok());
                job.lease.trace.within("push", pushing).await?;
                opened.repo.note_tree(&commit, &landing.tree);
                job.cx.failpoint(failpoints::AFTER_PUSH);
                return Ok(Success {
                    outcome: PhaseOutcome::Committed,
                    commit: Some(commit),
                    tree: Some(landing.tree),
                });
            }
            Err(Stop::Registry(error))
                if error.is(Reason::TipMoved) || error.is(Reason::LandingBusy) =>
            {
                job.lease.end_landing();
                if job.cx.draining.is_cancelled() {
                    job.lease.stop(Why::Drained);
                }
                if Instant::now() > end {
                    return Err(Stop::GiveBack(format!("the landing is held up: {error}")));
                }
                let pause = async {
                    sleep(PAUSE).await;
                    Ok::<_, Stop>(())
                };
                job.lease.guard(pause).await?;
            }
            Err(other) => return Err(other),
        }
    }
}

/// The candidate's commit on its base, held by the attempt's private reference, where its text is known before the
/// verdict: without a gate. It lands only if the candidate is found good and nothing else landed meanwhile.
pub(super) async fn draft(job: &Job<'_>, opened: &Opened, candidate: &Candidate) -> Option<Oid> {
    let (tip, base_tree) = job.evidence.base.clone()?;
    if !job.steps().is_empty() || candidate.tree == base_tree {
        return None;
    }
    let landing = Landing {
        tip,
        tree: candidate.tree.clone(),
        proof: Proof::not_required(),
    };
    let made = async {
        let commit = commit(job, opened, &landing).await?;
        hold(job, opened, &commit).await?;
        Ok::<_, Stop>(commit)
    };
    match made.await {
        Ok(commit) => Some(commit),
        Err(stop) => {
            tracing::debug!(attempt = %job.attempt.uid, ?stop, "the commit is made at the landing");
            None
        }
    }
}

/// Points the attempt's private reference at its commit.
async fn hold(job: &Job<'_>, opened: &Opened, commit: &Oid) -> Result<(), GitError> {
    let (own, run) = (&opened.repo.own, job.run.id.as_str());
    own.set_private_ref(run, &job.private_ref(), commit).await
}

/// Waits for the turn for as long as the lease holds.
async fn turn(job: &Job<'_>) -> Result<Turn, Stop> {
    let (registry, held) = (&job.cx.ports.registry, job.lease.held);
    let wait = job.cx.config.turn_wait;
    loop {
        let call = job.cx.repeat(job.lease, || registry.await_turn(held, wait));
        let turn = job.lease.guard(call).await?;
        if turn.granted {
            return Ok(turn);
        }
        // An answer that comes at once must not become a loop without rest.
        tokio::task::yield_now().await;
        let rest = async {
            sleep(Duration::from_millis(20)).await;
            Ok::<_, Stop>(())
        };
        job.lease.guard(rest).await?;
    }
}

/// The candidate on this tip, gated again if that makes another tree; `None`: the tip has it already.
async fn on_tip(
    job: &mut Job<'_>,
    opened: &Opened,
    candidate: &Candidate,
    proof: &Proof,
    tip: Option<Oid>,
) -> Result<Option<Landing>, Stop> {
    let Some((base_tip, base_tree)) = job.evidence.base.clone() else {
        return Err(Stop::failed(Cause::WorkerError, "the attempt has no base"));
    };
    let mut landing = Landing {
        tip,
        tree: candidate.tree.clone(),
        proof: proof.clone(),
    };
    if landing.tip == base_tip {
        return Ok(Some(landing));
    }
    let lease = job.lease;
    let tip_tree = lease
        .guard(opened.tree(landing.tip.as_ref(), &job.run.branch))
        .await?;
    let ours = landing.tip.as_ref().unwrap_or(&tip_tree);
    let own = &opened.repo.own;
    let merged = lease
        .guard(own.merge(Some(&base_tree), ours, &candidate.tree))
        .await?;
    landing.tree = match merged {
        MergeResult::Clean { tree } => tree,
        MergeResult::Conflict { paths } => {
            let paths = text::lines(paths.iter().map(|path| text::shown(path)), 200);
            return Err(Stop::failed(
                Cause::MergeConflict,
                format!("the change conflicts with what landed meanwhile, in:\n{paths}"),
            ));
        }
    };
    job.fact("merged", true);
    if landing.tree == tip_tree {
        return Ok(None);
    }
    if landing.tree != candidate.tree && !job.steps().is_empty() {
        job.fact("gated_twice", true);
        landing.proof = second_gate(job, opened, &landing.tree, &tip_tree).await?;
    }
    Ok(Some(landing))
}

async fn second_gate(
    job: &mut Job<'_>,
    opened: &Opened,
    tree: &Oid,
    base: &Oid,
) -> Result<Proof, Stop> {
    job.report(AttemptState::Gating).await?;
    job.enter("second_gate");
    let trees = gate::Trees {
        tree,
        base,
        is_second: true,
    };
    let proof = match gate::prove(job, opened, trees).await {
        Err(Stop::Failed(mut failure)) => {
            if failure.cause == Cause::GateFailed {
                failure.cause = Cause::GateFailedAfterMerge;
            }
            return Err(failure.into());
        }
        other => other?,
    };
    job.report(AttemptState::Landing).await?;
    job.enter("land");
    Ok(proof)
}

/// The commit that is to land.
async fn commit(job: &Job<'_>, opened: &Opened, landing: &Landing) -> Result<Oid, Stop> {
    let number = job.attempt.number.to_string();
    let (uid, fence) = (job.run.uid.to_string(), job.lease.held.fence.to_string());
    let subject = format!("{}: {}", job.spec.id, job.spec.name);
    let message = message::build(
        &subject,
        "",
        &[
            ("Autopack-Run", job.run.id.as_str()),
            ("Autopack-Run-Uid", &uid),
            ("Autopack-Phase", job.spec.id.as_str()),
            ("Autopack-Attempt", &number),
            ("Autopack-Fence", &fence),
            ("Autopack-Builder", job.builder.kind()),
            ("Autopack-Gate", &landing.proof.word),
        ],
    )?;
    let who = Identity::default();
    let parents: Vec<Oid> = landing.tip.iter().cloned().collect();
    let spec = CommitSpec {
        tree: &landing.tree,
        parents: &parents,
        message: &message,
        author: &who,
        committer: &who,
        time: job.cx.seconds(),
    };
    let making = opened.repo.own.commit_tree(&spec);
    Ok(job.lease.trace.within("commit", making).await?)
}

async fn prepare(job: &Job<'_>, tip: &str, tree: &Oid, commit: &Oid) -> Result<(), Stop> {
    let intent = Intent {
        expected_tip: tip.to_owned(),
        tree: tree.to_string(),
        commit: commit.to_string(),
        resolved: false,
    };
    let (registry, held) = (&job.cx.ports.registry, job.lease.held);
    let call = || registry.prepare_landing(held, &intent);
    let storing = job.cx.repeat(job.lease, call);
    job.lease.trace.within("prepare", storing).await
}
