//! Folders of runs against the database: what only a folder knows.
//!
//! Invariant: what is looked at is bounded in folders and bytes, and what was left out is named; without `fix` nothing is
//! changed.

use std::{
    io,
    path::{Path, PathBuf},
};

use autopack_domain::{Fault, Finding, FindingCode, Reason, finding::Place, ids::is_user_id};
use autopack_wire::{client::Clients, registry::GetRunRequest};

use crate::{
    error::CliError,
    runfiles::{
        found::{self, Found, room::Room, scan},
        names::run_folder,
    },
};

use super::{
    files::{Ask, Files, SHOWN},
    import::{self, Imported},
};

/// Folders that the database is asked about.
const MOST: usize = 20_000;

/// Looks at every folder below the base folder, as far as there is room.
pub(super) async fn examine(
    clients: &Clients,
    ask: &Ask,
    files: &mut Files,
) -> Result<(), CliError> {
    let base = ask.base.clone();
    let scanned = tokio::task::spawn_blocking(move || scan::scan(&base)).await;
    let failed = |error: io::Error| CliError::io("cannot read", &ask.base, &error);
    let scanned = scanned.map_err(|error| CliError::new(error.to_string()))?;
    let found = scanned.map_err(failed)?;
    let place = |path: &Path| Place::new("folder", ask.base.join(path).display().to_string(), "");
    let wanted = |path: &Path| {
        let of = |id: &String| run_folder(id).eq_ignore_ascii_case(&found::id_of(path));
        ask.run.as_ref().is_none_or(of)
    };
    for (path, problem) in found
        .odd
        .iter()
        .filter(|(path, _)| wanted(path))
        .take(SHOWN)
    {
        let code = FindingCode::RunFolderUnreadable;
        files
            .findings
            .push(Finding::new(code, place(path), problem).valid(["the folder of a run"]));
    }
    if found.more {
        let problem = format!(
            "more than {} entries: the rest is not looked at",
            scan::MAX_ENTRIES
        );
        let finding = Finding::new(
            FindingCode::RunFolderUnreadable,
            place(Path::new("")),
            problem,
        );
        files.findings.push(finding);
    }
    let mut room = Room::default();
    let all: Vec<&PathBuf> = found.runs.iter().filter(|path| wanted(path)).collect();
    for (n, path) in all.iter().enumerate() {
        if n == MOST {
            files.findings.push(left(&ask.base, all.len() - n));
            break;
        }
        let id = found::id_of(path);
        if is_known(clients, &id).await? {
            files.folders += 1;
            continue;
        }
        let (base, at, mut taken) = (ask.base.clone(), (*path).clone(), room);
        let reading = move || (found::read(&base, &at, &mut taken), taken);
        let read = tokio::task::spawn_blocking(reading).await;
        let (read, after) = read.map_err(|error| CliError::new(error.to_string()))?;
        room = after;
        if room.is_over() {
            files.findings.push(left(&ask.base, all.len() - n));
            break;
        }
        files.folders += 1;
        let read = match read {
            Ok(read) => read,
            Err(error) => Err(vec![Fault::new("folder", error.to_string())]),
        };
        take(clients, ask, files, (path.as_path(), &id), &read).await?;
    }
    Ok(())
}

/// Imports what was read, or says what would become of it.
async fn take(
    clients: &Clients,
    ask: &Ask,
    files: &mut Files,
    (path, id): (&Path, &str),
    read: &Result<Found, Vec<Fault>>,
) -> Result<(), CliError> {
    let imported = match read {
        Ok(run) => import::run(clients, run, !ask.fix).await?,
        Err(faults) => Imported::SetAside(faults.clone()),
    };
    let folder = ask.base.join(path).display().to_string();
    let faults = match &imported {
        Imported::Stored => {
            files.mended.push(format!("{folder}: imported as run {id}"));
            return Ok(());
        }
        Imported::Possible => None,
        Imported::SetAside(faults) => Some(faults.as_slice()),
    };
    let unknown = FindingCode::RunNotInDatabase;
    let shown = files.findings.iter().filter(|f| f.code == unknown).count();
    if shown < SHOWN {
        let place = Place::new("folder", folder, "");
        files.findings.push(only_on_disk(id, place, faults));
    }
    Ok(())
}

/// There was no room for so many folders.
fn left(base: &Path, count: usize) -> Finding {
    let place = Place::new("folder", base.display().to_string(), "");
    let problem =
        format!("{count} folders of runs were not looked at: there is no room for more at a time");
    Finding::new(FindingCode::RunFolderUnreadable, place, problem)
        .valid(["at most 1,000 unknown folders with 64 MiB together"])
        .fix("`autopack doctor --fix` imports what it reads, and goes on from there when it is called again; `--run RUN` looks at one folder; folders of no use can be moved away.")
}

/// Whether the database has a run of this id, readable or not.
async fn is_known(clients: &Clients, id: &str) -> Result<bool, CliError> {
    if !is_user_id(id) {
        // Escaped names are those of runs whose ids are no names; older systems' were never escaped.
        return Ok(id.contains('%'));
    }
    let asked = GetRunRequest {
        run_id: id.to_owned(),
        brief: true,
    };
    match clients.registry.clone().get_run(asked).await {
        Ok(_) => Ok(true),
        Err(status) => {
            let error = CliError::from(status);
            if error.code == Reason::RunNotFound.code() {
                return Ok(false);
            }
            if error.unreachable {
                return Err(error);
            }
            // It is there and cannot be read: another finding.
            Ok(true)
        }
    }
}

fn only_on_disk(id: &str, place: Place, faults: Option<&[Fault]>) -> Finding {
    let code = FindingCode::RunNotInDatabase;
    let problem = format!("run {id} has a folder, and the database does not know it");
    let mut finding = Finding::new(code, place, problem).run(id);
    match faults {
        None => finding.safe = Some("the run into the database".to_owned()),
        Some(faults) => {
            let list = faults
                .iter()
                .take(5)
                .map(|f| format!("{}: {}", f.path, f.problem));
            let list: Vec<String> = list.collect();
            let valid = faults.iter().flat_map(|fault| &fault.allowed);
            let valid: Vec<String> = valid.take(20).cloned().collect();
            finding = finding.valid(valid).fix(format!(
                "Correct in the folder, then run `autopack doctor --fix` again: {}",
                list.join("; ")
            ));
        }
    }
    finding
}
