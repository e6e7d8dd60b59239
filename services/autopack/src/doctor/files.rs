//! Runs against the files about them, both ways; here from the database to the disk.
//!
//! Invariant: without `fix` nothing is changed; with it, what the database knows is written again, and what only a
//! folder knows is imported ([`folders`]). A run that the files have not come to yet is counted, and is no finding; one
//! whose files could not be written is ([`parked`]).

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use autopack_domain::{Finding, FindingCode, Reason, finding::Place};
use autopack_wire::{
    client::Clients,
    registry::{GetInfoRequest, GetRunRequest, ListChangesRequest, ListRunsRequest},
    types,
};

use crate::{
    error::CliError,
    runfiles::{
        Bounds, Cursor, LOOK_BACK, Layout, Rendered,
        compare::{Standing, compare},
        render_alone, write_run,
    },
    view::{has_ended, micros},
};

use super::{folders, parked};

/// Runs that are compared file by file unless all are asked for.
const FEW: usize = 200;
/// Runs of one page.
const PAGE: i32 = 500;
/// Pages of the log after the cursor that are read.
const MAX_PAGES: usize = 100;
/// Folders and parked runs that are named.
pub(super) const SHOWN: usize = 100;

/// What is looked at, and how.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The base folder.
    pub(crate) base: PathBuf,
    /// How much of it is kept.
    pub(crate) bounds: Bounds,
    /// Only this run, by id or uid.
    pub(crate) run: Option<String>,
    /// Every run that has files, not only the newest.
    pub(crate) all: bool,
    /// Write and import what is missing.
    pub(crate) fix: bool,
    /// Another process writes files of runs that change.
    pub(crate) served: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// What is not as it should be, and was not mended.
    pub(crate) findings: Vec<Finding>,
    /// Runs that were compared with their folders.
    pub(crate) compared: usize,
    /// Folders that were looked at for a run in the database.
    pub(crate) folders: usize,
    /// Ended runs whose files are written when a process serves next, or by `fix`.
    pub(crate) late: usize,
    /// What was mended, one line each.
    pub(crate) mended: Vec<String>,
}

/// Looks both ways.
pub(crate) async fn examine(clients: &Clients, ask: &Ask) -> Result<Files, CliError> {
    let mut files = Files::default();
    // First: what is imported has a folder to be written, too.
    folders::examine(clients, ask, &mut files).await?;
    database_to_disk(clients, ask, &mut files).await?;
    Ok(files)
}

async fn database_to_disk(clients: &Clients, ask: &Ask, files: &mut Files) -> Result<(), CliError> {
    let mut registry = clients.registry.clone();
    let info = registry.get_info(GetInfoRequest {}).await?.into_inner();
    let cursor = Cursor::read(&ask.base, &info.database_identity);
    let late = match &cursor {
        Some(cursor) => Some(changed(clients, cursor.sequence).await?),
        None => None,
    };
    let (removed_until, parked) = match cursor {
        Some(cursor) => (cursor.removed_until_us, cursor.parked),
        None => (0, Vec::new()),
    };
    parked::examine(clients, ask, &parked, files).await?;
    for run in runs(clients, ask).await? {
        let ended = run.complete_time.as_ref().map_or(0, micros);
        let is_parked = parked.iter().any(|parked| parked.uid == run.uid);
        if !has_ended(&run) || is_parked {
            continue;
        }
        // A run that cannot be read is a finding of its own.
        let Ok(made) = render_alone(clients, &run.uid, Layout::Guide).await else {
            continue;
        };
        files.compared += 1;
        let standing = standing(&ask.base, &made).await;
        if matches!(standing, Ok(Standing::Missing)) && ended <= removed_until {
            continue;
        }
        let Some(finding) = of_run(&run, &ask.base, &made, standing) else {
            continue;
        };
        // What the files have not come to is no fault of theirs.
        let is_late = late.as_ref().is_none_or(|late| late.contains(&run.uid));
        if is_late && (ask.served || !ask.fix) {
            files.late += 1;
            continue;
        }
        if !ask.fix || finding.safe.is_none() {
            files.findings.push(finding);
            continue;
        }
        let folder = ask.base.join(&made.folder).display().to_string();
        match write_run(&ask.base, made).await {
            Ok(()) => files.mended.push(format!("{folder}: written again")),
            Err(error) => files.findings.push(finding.fix(error.message)),
        }
    }
    Ok(())
}

/// Uids of runs with events after a number; the first of very many.
async fn changed(clients: &Clients, after: u64) -> Result<HashSet<String>, CliError> {
    let mut registry = clients.registry.clone();
    let mut asked = ListChangesRequest {
        after_sequence: after,
        page_size: 5000,
    };
    let mut all = HashSet::new();
    for _ in 0..MAX_PAGES {
        let found = registry.list_changes(asked).await?.into_inner();
        all.extend(found.run_uids);
        asked.after_sequence = found.sequence;
        if !found.more {
            break;
        }
    }
    Ok(all)
}

/// The runs that should have a folder, newest first.
async fn runs(clients: &Clients, ask: &Ask) -> Result<Vec<types::Run>, CliError> {
    let mut registry = clients.registry.clone();
    if let Some(id) = &ask.run {
        let asked = GetRunRequest {
            run_id: id.clone(),
            brief: true,
        };
        let asked = registry.get_run(asked).await.map_err(CliError::from);
        return match asked {
            Ok(found) => Ok(found.into_inner().run.into_iter().collect()),
            // Its folder may be all there is.
            Err(error) if error.code == Reason::RunNotFound.code() => Ok(Vec::new()),
            Err(error) => Err(error),
        };
    }
    let most = if ask.all { LOOK_BACK } else { FEW }.min(ask.bounds.entries);
    let mut request = ListRunsRequest {
        page_size: PAGE.min(i32::try_from(most).unwrap_or(PAGE)),
        ..ListRunsRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let mut page = registry.list_runs(request.clone()).await?.into_inner();
        all.append(&mut page.runs);
        all.truncate(most);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || all.len() == most {
            return Ok(all);
        }
    }
}

pub(super) async fn standing(base: &Path, made: &Rendered) -> io::Result<Standing> {
    let (base, made) = (base.to_owned(), made.clone());
    let compared = tokio::task::spawn_blocking(move || compare(&base, &made)).await;
    compared.map_err(io::Error::other)?
}

fn of_run(
    run: &types::Run,
    base: &Path,
    made: &Rendered,
    standing: io::Result<Standing>,
) -> Option<Finding> {
    let folder = base.join(&made.folder).display().to_string();
    let place = Place::new("folder", &folder, "");
    let finding = match standing {
        Ok(Standing::Same) => return None,
        Ok(Standing::Missing) => {
            let problem = format!("run {} has no folder", run.id);
            Finding::new(FindingCode::RunFilesMissing, place, problem)
        }
        Ok(Standing::Foreign) => {
            let problem = format!("the folder of run {} was not written by Autopack", run.id);
            Finding::new(FindingCode::RunFilesDiffer, place, problem)
        }
        Ok(Standing::Differs(shown, count)) => {
            let problem = format!("{count} files of run {} are not as recorded", run.id);
            let finding = Finding::new(FindingCode::RunFilesDiffer, place, problem);
            finding.value(&shown.join(", "))
        }
        Err(error) => {
            let code = FindingCode::RunFolderUnreadable;
            return Some(Finding::new(code, place, error.to_string()).run(&run.id));
        }
    };
    let mut finding = finding
        .run(&run.id)
        .valid(["the files that `autopack export` writes"]);
    finding.safe = Some("the folder again".to_owned());
    Some(finding)
}
