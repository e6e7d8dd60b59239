//! From a plan file to a stored run.
//!
//! Invariant: what the registry gets is the plan as written, digests of files that it has stored before, and an
//! absolute repository; nothing is sent while anything is wrong with the plan or its files.

use std::collections::HashMap;

use autopack_domain::plan::{BuilderSpec, ReadOptions, read_builder};
use autopack_domain::{Reason, RunId};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{
    client::Clients,
    registry::{CreateRunRequest, CreateRunResponse, PutArtifactRequest},
};

use crate::{
    aliases::Settings, cli::NewRun, error::CliError, error::Exit, facts::facts,
    plan_files::Document, project::default_project,
};

/// Bytes of one piece of an artifact.
const PIECE: usize = 256 * 1024;

/// A run that is ready to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    request: CreateRunRequest,
    files: Vec<(String, Vec<u8>)>,
    /// Warnings of the normaliser.
    pub(crate) warnings: Vec<String>,
}

/// Reads `--builder`.
pub(crate) fn builder(spec: Option<&str>) -> Result<Option<BuilderSpec>, CliError> {
    let Some(spec) = spec else { return Ok(None) };
    read_builder(spec).map(Some).map_err(|faults| CliError {
        exit: Exit::Usage,
        ..CliError::faults(
            Reason::ArgumentInvalid,
            format!("--builder `{spec}` is not a builder: noop, external, command:CMD, agent:ADAPTER, or JSON as in a plan"),
            faults,
        )
    })
}

/// A builder of the command line, which reads well, in the plan's form.
pub(crate) fn builder_json(spec: &str) -> String {
    let (kind, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let (kind, rest) = (kind.trim(), rest.trim());
    match kind {
        "command" | "replay" => serde_json::json!({ "kind": kind, "run": rest }).to_string(),
        "agent" => serde_json::json!({ "kind": kind, "adapter": rest }).to_string(),
        "model" => serde_json::json!({ "kind": kind, "model": rest }).to_string(),
        "patch" => serde_json::json!({ "kind": kind, "patch": rest }).to_string(),
        "noop" | "external" => serde_json::json!({ "kind": kind }).to_string(),
        _ => spec.to_owned(),
    }
}

/// What the reader of plans is told.
pub(crate) fn read_options(
    settings: &Settings,
    builder: Option<BuilderSpec>,
    run_id: Option<&str>,
) -> Result<ReadOptions, CliError> {
    let run_id = run_id
        .map(|id| {
            id.parse::<RunId>()
                .map_err(|error| CliError::usage(format!("--run-id: {error}")))
        })
        .transpose()?;
    Ok(ReadOptions {
        default_builder: builder,
        run_id,
        ci_profile: settings.gate_profile,
        max_attempts: settings.max_attempts,
        ..ReadOptions::default()
    })
}

/// Reads the plan and its files, and looks at the repository.
pub(crate) async fn prepare(
    settings: &Settings,
    document: &Document,
    new: &NewRun,
    target: &autopack_git::Target,
) -> Result<Prepared, CliError> {
    let switches = settings.switches.overridden(&new.switch);
    let switches = switches.map_err(|faults| CliError {
        exit: Exit::Usage,
        ..CliError::faults(
            Reason::ArgumentInvalid,
            "--switch takes VARIABLE=FLAG".to_owned(),
            faults,
        )
    })?;
    let builder = builder(new.builder.as_deref())?;
    let options = read_options(settings, builder, new.run_id.as_deref())?;
    let normalised = document.plan(options)?;
    let files = document.files(&normalised.plan)?;
    let request = CreateRunRequest {
        request_id: V7Ids.uuid().to_string(),
        document: document.text.clone(),
        files: HashMap::new(),
        repository: target.location.clone(),
        run_id: new.run_id.clone().unwrap_or_default(),
        hold: false,
        validate_only: false,
        fresh: new.new,
        default_builder_json: new
            .builder
            .as_deref()
            .map_or_else(String::new, builder_json),
        default_project: new
            .project
            .clone()
            .unwrap_or_else(|| default_project(target)),
        default_gate_profile: settings
            .gate_profile
            .map_or_else(String::new, |profile| profile.as_str().to_owned()),
        default_max_attempts: settings.max_attempts.unwrap_or_default(),
        facts: facts(switches, &normalised.plan, &document.path)
            .into_iter()
            .collect(),
        backoff_seconds: settings.backoff_seconds,
    };
    Ok(Prepared {
        request,
        files: files.into_iter().collect(),
        warnings: normalised
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect(),
    })
}

impl Prepared {
    /// Waits for `autopack start` after the bootstrap.
    pub(crate) fn hold(mut self, hold: bool) -> Self {
        self.request.hold = hold;
        self
    }

    /// Stores nothing.
    pub(crate) fn validate_only(mut self, only: bool) -> Self {
        self.request.validate_only = only;
        self
    }

    /// Puts the files and creates the run; the same call again changes nothing.
    pub(crate) async fn create(&self, clients: &Clients) -> Result<CreateRunResponse, CliError> {
        let mut request = self.request.clone();
        for (name, content) in &self.files {
            let digest = put_artifact(clients, content).await?;
            request.files.insert(name.clone(), digest);
        }
        Ok(clients
            .registry
            .clone()
            .create_run(request)
            .await?
            .into_inner())
    }
}

/// Stores a file and returns its digest.
pub(crate) async fn put_artifact(clients: &Clients, content: &[u8]) -> Result<String, CliError> {
    let pieces: Vec<PutArtifactRequest> = content
        .chunks(PIECE)
        .map(|piece| PutArtifactRequest {
            data: piece.to_vec().into(),
        })
        .collect();
    let stored = clients
        .artifacts
        .clone()
        .put_artifact(futures::stream::iter(pieces))
        .await?;
    Ok(stored.into_inner().digest)
}

/// Reads an artifact, at most `max` bytes of it.
pub(crate) async fn get_artifact(
    clients: &Clients,
    digest: &str,
    max: usize,
) -> Result<Vec<u8>, CliError> {
    let request = autopack_wire::registry::GetArtifactRequest {
        digest: digest.to_owned(),
    };
    let mut pieces = clients
        .artifacts
        .clone()
        .get_artifact(request)
        .await?
        .into_inner();
    let mut content = Vec::new();
    while let Some(piece) = pieces.message().await? {
        let room = max.saturating_sub(content.len());
        content.extend_from_slice(&piece.data[..piece.data.len().min(room)]);
        if room == 0 {
            break;
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_of_the_command_line_mean_the_same_in_the_plans_form() {
        for spec in [
            "noop",
            "external",
            "command:make build: all",
            "model:m-1",
            "{kind: command, run: 'a: b'}",
        ] {
            let here = builder(Some(spec)).unwrap().unwrap();
            assert_eq!(read_builder(&builder_json(spec)).unwrap(), here, "{spec}");
        }
        assert_eq!(builder(Some("nonsense")).unwrap_err().exit, Exit::Usage);
    }
}
