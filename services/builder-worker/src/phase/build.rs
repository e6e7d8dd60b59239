//! From the tip's tree to the builder's: by kind of builder.
//!
//! Invariant: what comes back is a tree of our own clone; a builder that did not succeed gives none to land.

use autopack_domain::Cause;
use autopack_domain::plan::BuilderSpec;
use autopack_git::Oid;

use super::{Job, adapted, agent, external, model, patch};
use crate::error::Stop;
use crate::repo::Opened;

/// What a builder made.
pub(crate) enum Built {
    /// Its change is in the tip already.
    AlreadyPresent,
    /// A tree to be judged; perhaps the tip's own.
    Candidate(Candidate),
}

/// A tree that is to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) tree: Oid,
    /// Declared deliverables that exist in the folder and are ignored by git.
    pub(crate) ignored: Vec<String>,
    /// Repositories that the builder made inside the folder.
    pub(crate) nested: Vec<String>,
}

impl Candidate {
    pub(crate) fn of(tree: Oid) -> Self {
        Self {
            tree,
            ignored: Vec::new(),
            nested: Vec::new(),
        }
    }
}

/// Runs the builder on the tip's tree.
pub(crate) async fn build(job: &mut Job<'_>, opened: &Opened, base: &Oid) -> Result<Built, Stop> {
    job.fact("builder", job.builder.kind());
    match job.builder {
        BuilderSpec::Patch { patches } => patch::build(job, opened, base, patches).await,
        BuilderSpec::Command {
            run,
            env,
            timeout_seconds,
        } => {
            let command = agent::Command {
                run,
                env,
                timeout_seconds: *timeout_seconds,
            };
            let candidate = agent::build(job, opened, base, command).await?;
            Ok(Built::Candidate(candidate))
        }
        BuilderSpec::Agent(spec) => {
            let candidate = adapted::build(job, opened, base, spec).await?;
            Ok(Built::Candidate(candidate))
        }
        BuilderSpec::Noop => Ok(Built::Candidate(Candidate::of(base.clone()))),
        BuilderSpec::External { .. } => external::build(job, opened, base).await,
        BuilderSpec::Model(spec) => model::build(job, opened, base, spec).await,
        BuilderSpec::Replay { .. } => Err(Stop::failed(
            Cause::BuilderNotFound,
            "builders of kind `replay` are not available on this worker; use `patch`, `command`, `agent`, `model`, `external` or `noop`",
        )),
    }
}
