//! Runs whose files could not be written.
//!
//! Invariant: each is named with the reason of its last try, whatever its age; one whose files were mended in the meantime
//! is no finding.

use autopack_domain::{Finding, FindingCode, Reason, finding::Place};
use autopack_wire::{client::Clients, registry::GetRunRequest, types};

use crate::{
    error::CliError,
    runfiles::{Layout, Parked, compare::Standing, render_run, write_run},
};

use super::files::{Ask, Files, SHOWN, standing};

/// Looks at what the stored cursor says is parked; with `fix` its files are tried once more.
pub(super) async fn examine(
    clients: &Clients,
    ask: &Ask,
    parked: &[Parked],
    files: &mut Files,
) -> Result<(), CliError> {
    let mut shown = 0;
    for one in parked {
        let Some(run) = run(clients, &one.uid).await? else {
            continue;
        };
        let wanted = |id: &String| *id == run.uid || id.eq_ignore_ascii_case(&run.id);
        if !ask.run.as_ref().is_none_or(wanted) {
            continue;
        }
        let Ok(made) = render_run(clients, &run.uid, Layout::Guide).await else {
            continue;
        };
        files.compared += 1;
        if matches!(standing(&ask.base, &made).await, Ok(Standing::Same)) {
            continue;
        }
        let folder = ask.base.join(&made.folder).display().to_string();
        let mut why = one.why.clone();
        if ask.fix {
            match write_run(&ask.base, made).await {
                Ok(()) => {
                    files.mended.push(format!("{folder}: written again"));
                    continue;
                }
                Err(error) => why = error.message,
            }
        }
        if shown < SHOWN {
            files.findings.push(finding(&run.id, folder, one, &why));
        }
        shown += 1;
    }
    Ok(())
}

/// A run by its uid; `None`: it is gone, or cannot be read, which is a finding of its own.
async fn run(clients: &Clients, uid: &str) -> Result<Option<types::Run>, CliError> {
    let asked = GetRunRequest {
        run_id: uid.to_owned(),
        brief: true,
    };
    match clients.registry.clone().get_run(asked).await {
        Ok(found) => Ok(found.into_inner().run),
        Err(status) => {
            let error = CliError::from(status);
            let known = [Reason::RunNotFound, Reason::DataCorrupt];
            if known.iter().any(|reason| error.code == reason.code()) {
                return Ok(None);
            }
            Err(error)
        }
    }
}

fn finding(run: &str, folder: String, parked: &Parked, why: &str) -> Finding {
    let tries = parked.failures;
    let problem =
        format!("the files of run {run} could not be written, {tries} times so far: {why}");
    let place = Place::new("folder", folder, "");
    let mut finding = Finding::new(FindingCode::RunFilesParked, place, problem)
        .valid(["a folder that can be written, or none"])
        .run(run);
    finding.safe = Some("the folder again".to_owned());
    finding
}
