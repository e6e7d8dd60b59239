//! Takes a run that only its folder knows into the database.
//!
//! Invariant: the registry decides, by the same check as for every import; asking again changes nothing more.

use autopack_domain::{Fault, ids::is_user_id};
use autopack_wire::{
    client::Clients,
    registry::{ImportRunsRequest, imported_run::Outcome},
};

use crate::{error::CliError, runfiles::found::Found};

/// What became of a run, or would.
#[derive(Clone, Debug)]
pub(crate) enum Imported {
    /// It is in the database.
    Stored,
    /// It would be.
    Possible,
    /// It cannot be, for these reasons.
    SetAside(Vec<Fault>),
}

/// Imports it, or says what would become of it.
pub(crate) async fn run(
    clients: &Clients,
    found: &Found,
    validate_only: bool,
) -> Result<Imported, CliError> {
    let document = serde_json::to_string(&found.run);
    let document = document.map_err(|error| CliError::new(error.to_string()))?;
    let request = ImportRunsRequest {
        documents: vec![document],
        // What is no name of a project goes where all imports go.
        project: Some(&found.project)
            .filter(|name| is_user_id(name))
            .cloned()
            .unwrap_or_default(),
        validate_only,
    };
    let answer = match clients.imports().import_runs(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let error = CliError::from(status);
            if error.unreachable {
                return Err(error);
            }
            let fault = Fault::new("import", format!("{} {}", error.code, error.message));
            return Ok(Imported::SetAside(vec![fault]));
        }
    };
    let Some(run) = answer.runs.into_iter().next() else {
        return Err(CliError::new(
            "the registry did not say what became of the run",
        ));
    };
    Ok(match run.outcome() {
        Outcome::Imported | Outcome::Present if validate_only => Imported::Possible,
        Outcome::Imported | Outcome::Present => Imported::Stored,
        Outcome::SetAside | Outcome::Unspecified => {
            let reasons = run.reasons.into_iter().map(Into::into);
            Imported::SetAside(reasons.collect())
        }
    })
}
