//! `autopack wip list` and `autopack wip restore`: work of attempts that did not land.
//!
//! Invariant: a branch that exists is never moved, and no checkout is touched; what is restored is the attempt's very
//! tree, or nothing.

use std::path::PathBuf;

use autopack_domain::Reason;
use autopack_git::{
    CommitSpec, FetchRefs, Identity, Oid, OwnClone, PooledIndex, PushOutcome, Target,
};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::Clients,
    registry::{GetArtifactRequest, ListAttemptsRequest},
    types::{ArtifactRef, Attempt},
};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::{RestoreArgs, WipCommand},
    error::{CliError, Exit, Outcome},
    follow,
    output::{table::Table, text::short},
    target,
    view::{View, attempt_state},
};

/// The artifact that holds an attempt's work.
const WORK: &str = "work";

pub(super) async fn run(context: &Context, command: WipCommand) -> Outcome {
    let connection = context.connect().await?;
    let result = match command {
        WipCommand::List { run } => list(context, &connection.clients, &run).await,
        WipCommand::Restore(args) => restore(context, &connection.clients, args).await,
    };
    connection.close().await;
    result
}

/// Work that an attempt left.
struct Kept {
    phase: String,
    attempt: Attempt,
    work: ArtifactRef,
}

/// What a run's attempts left, in the order of phases and attempts.
async fn kept(clients: &Clients, run: &str, phase: &str) -> Result<(View, Vec<Kept>), CliError> {
    let view = follow::get(clients, run, true).await?;
    let request = ListAttemptsRequest {
        run_id: run.to_owned(),
        phase_id: phase.to_owned(),
    };
    let answer = clients.registry.clone().list_attempts(request).await?;
    let name = |index: u32| {
        let found = view.phases.iter().find(|phase| phase.index == index);
        found.map_or_else(|| "?".to_owned(), |phase| phase.id.clone())
    };
    let kept = answer
        .into_inner()
        .attempts
        .into_iter()
        .filter_map(|attempt| {
            let work = attempt.artifacts.iter().find(|a| a.name == WORK)?.clone();
            Some(Kept {
                phase: name(attempt.phase),
                attempt,
                work,
            })
        });
    let kept = kept.collect();
    Ok((view, kept))
}

async fn list(context: &Context, clients: &Clients, run: &str) -> Outcome {
    let (_, kept) = kept(clients, run, "").await?;
    let data = || {
        let one = |k: &Kept| {
            json!({
                "phase": k.phase,
                "attempt": k.attempt.number,
                "state": attempt_state(&k.attempt),
                "cause": k.attempt.cause,
                "tip": k.attempt.tip,
                "tree": k.attempt.tree,
                "artifact": k.work.digest,
                "bytes": k.work.size,
            })
        };
        kept.iter().map(one).collect::<Value>()
    };
    let text = || {
        let mut table = Table::new(&["PHASE", "NO", "CAUSE", "ON", "TREE", "BYTES"]);
        for k in &kept {
            table.row([
                k.phase.clone(),
                k.attempt.number.to_string(),
                k.attempt.cause.clone(),
                short(&k.attempt.tip).to_owned(),
                short(&k.attempt.tree).to_owned(),
                k.work.size.to_string(),
            ]);
        }
        table.render()
    };
    context.ui.data(data, text);
    if let Some(last) = kept.last() {
        context.ui.say(&format!(
            "next: autopack wip restore {run} {} --attempt {}",
            last.phase, last.attempt.number
        ));
    }
    Ok(Exit::Success)
}

async fn restore(context: &Context, clients: &Clients, args: RestoreArgs) -> Outcome {
    let (view, kept) = kept(clients, &args.run, &args.phase).await?;
    let wanted = |k: &&Kept| args.attempt.is_none_or(|number| number == k.attempt.number);
    let Some(found) = kept.iter().rfind(wanted) else {
        let text = format!("no such attempt of {} left work", args.phase);
        return Err(CliError::reason(Reason::ArtifactNotFound, text)
            .hint(format!("autopack wip list {}", args.run)));
    };
    let number = found.attempt.number;
    let branch = args
        .branch
        .unwrap_or_else(|| format!("wip/{}/{}-{number}", view.run.id, found.phase));
    autopack_git::check_branch_name(&branch)?;
    let patch = bytes(clients, &found.work).await?;
    let target = target::discover(args.repo.as_deref().unwrap_or(&view.run.repository)).await?;
    let scratch = Scratch::new();
    let commit = make(&scratch, &target, &view, found, patch).await?;
    match commit.own.push(&target, &commit.oid, &branch, None).await? {
        PushOutcome::Moved => {}
        PushOutcome::Rejected { .. } => {
            return Err(CliError::new(format!("there is a branch {branch} already"))
                .hint("choose another with --branch"));
        }
        PushOutcome::CheckedOut { path } => {
            let text = format!("{branch} is checked out in {}", path.display());
            return Err(CliError::new(text).hint("choose another with --branch"));
        }
    }
    let oid = commit.oid.to_string();
    context.ui.data(
        || json!({ "branch": branch, "commit": oid, "tree": found.attempt.tree }),
        || format!("{branch} at {}\n", short(&oid)),
    );
    Ok(Exit::Success)
}

/// The bytes of an artifact, no more than it says.
async fn bytes(clients: &Clients, work: &ArtifactRef) -> Result<Vec<u8>, CliError> {
    let request = GetArtifactRequest {
        digest: work.digest.clone(),
    };
    let mut pieces = clients
        .artifacts
        .clone()
        .get_artifact(request)
        .await?
        .into_inner();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.message().await? {
        if (bytes.len() + piece.data.len()) as u64 > work.size {
            break;
        }
        bytes.extend_from_slice(&piece.data);
    }
    if bytes.len() as u64 == work.size {
        return Ok(bytes);
    }
    let text = format!("the artifact {} is not of its size", work.digest);
    Err(CliError::reason(Reason::ArtifactNotFound, text))
}

/// A folder that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("autopack-wip-{}", V7Ids.uuid())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A commit in a scratch clone.
struct Made {
    own: OwnClone,
    oid: Oid,
}

async fn make(
    scratch: &Scratch,
    target: &Target,
    view: &View,
    kept: &Kept,
    patch: Vec<u8>,
) -> Result<Made, CliError> {
    let git = target::git();
    let clone = scratch.0.join("clone");
    let own = OwnClone::open_or_create_as(&git, &clone, target.object_format()).await?;
    own.fetch(target, &FetchRefs::All).await?;
    let attempt = &kept.attempt;
    let (base, parents) = if attempt.tip.is_empty() {
        (own.empty_tree()?, Vec::new())
    } else {
        let tip = Oid::parse(&attempt.tip)?;
        let tree = own.tree_of(&tip).await.map_err(|_| {
            let text = format!(
                "{} does not hold {tip}, on which the attempt was built",
                target.location
            );
            CliError::new(text).hint(format!("fetch {} into it", view.run.branch))
        })?;
        (tree, vec![tip])
    };
    let mut index = PooledIndex::new(scratch.0.join("index"));
    let tree = own.apply_patch(&base, &[patch], &mut index).await;
    let tree = tree.map_err(|error| CliError::new(format!("the work does not apply: {error}")))?;
    if tree.as_str() != attempt.tree {
        let text = format!(
            "the work makes {tree}, not the attempt's tree {}",
            attempt.tree
        );
        return Err(CliError::new(text));
    }
    let message = format!(
        "{}: attempt {} of {}, not landed\n\n{}\n",
        kept.phase, attempt.number, view.run.id, attempt.cause
    );
    let who = Identity::default();
    let spec = CommitSpec {
        tree: &tree,
        parents: &parents,
        message: &message,
        author: &who,
        committer: &who,
        time: attempt.finish_time.as_ref().map_or(0, |time| time.seconds),
    };
    let oid = own.commit_tree(&spec).await?;
    Ok(Made { own, oid })
}
