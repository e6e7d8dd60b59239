//! `autopack import sqlite:FILE [--dry-run] [--project NAME]`.
//!
//! Invariant: each row of the file is told: imported, there already, or set aside with a reason; the three add up to the
//! rows of its table. Reading the file ends in time, whatever is in it.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use autopack_domain::import::{MAX_DOCUMENT, MAX_DOCUMENTS, legacy};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_store::legacy as reader;
use autopack_wire::{
    client::Clients,
    registry::{ImportRunsRequest, ImportedRun},
};

use super::Context;
use crate::{
    cli::{ImportArgs, ImportSource},
    error::{CliError, Exit, Outcome},
    output::import::Tally,
};

/// Bytes of the documents of one request: below what the registry takes.
const BATCH: usize = 2 << 20;
/// How long reading the file may take.
const LIMIT: Duration = Duration::from_mins(5);

pub(super) async fn run(context: &Context, args: ImportArgs) -> Outcome {
    let ImportSource::Sqlite(file) = &args.source;
    let found = read(file).await?;
    let connection = context.connect().await?;
    let result = send(&connection.clients, &args, found).await;
    connection.close().await;
    let tally = result?;
    let dry = args.dry_run;
    context.ui.data(|| tally.json(dry), || tally.text(dry));
    Ok(if tally.is_whole() {
        Exit::Success
    } else {
        Exit::Error
    })
}

/// The runs of an older database.
async fn read(file: &Path) -> Result<legacy::Collected, CliError> {
    let name = file.file_name().unwrap_or(file.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let scratch = Scratch::new()?;
    let (from, to) = (file.to_owned(), scratch.0.clone());
    let copied = tokio::task::spawn_blocking(move || reader::copy(&from, &to)).await;
    let copied = copied.map_err(|error| CliError::new(error.to_string()))?;
    let copied = copied.map_err(|error| refused(&error))?;
    let (bounds, shown) = (reader::Bounds::default(), file.display().to_string());
    let reading = reader::read(&copied, &shown, &bounds);
    let tables = in_time(LIMIT, &bounds.late, reading).await;
    let tables = tables.map_err(|error| refused(&error))?;
    Ok(legacy::collect(&tables, &name))
}

/// Tells the work when its time is over, and waits for its end.
async fn in_time<T>(limit: Duration, late: &AtomicBool, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(limit) => late.store(true, Ordering::Relaxed),
    }
    work.await
}

fn refused(error: &reader::LegacyError) -> CliError {
    let hint = match error {
        reader::LegacyError::File { .. } => "name the file, such as sqlite:old/autopack.db",
        reader::LegacyError::TooLarge { .. } => {
            "delete what is not needed in a copy of it, and import the copy"
        }
        reader::LegacyError::TooMuch { .. } => {
            "a column with a long default makes every row as long; drop it in a copy of the file, and import the copy"
        }
        reader::LegacyError::TooSlow { .. } => {
            "the disk is slow, or the file means harm; try a copy of it on another disk"
        }
        reader::LegacyError::NotSqlite { .. } => {
            "the older system keeps its SQLite database in a file such as autopack.db"
        }
        reader::LegacyError::Damaged { .. } => {
            "stop the older system and try again; if it stays damaged, `sqlite3 FILE .recover` saves what is left of it"
        }
        reader::LegacyError::Foreign { .. } => {
            "an older Autopack's database has at least the tables `runs` and `phases`"
        }
    };
    CliError::new(error.to_string()).hint(hint)
}

/// A private folder that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("autopack-import-{}", V7Ids.uuid()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| CliError::io("cannot make", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn send(
    clients: &Clients,
    args: &ImportArgs,
    found: legacy::Collected,
) -> Result<Tally, CliError> {
    let mut tally = Tally::new(found.tables, found.aside);
    let mut batch: Vec<(legacy::Assembled, String)> = Vec::new();
    let mut bytes = 0;
    for assembled in found.runs {
        if let Some(reason) = &assembled.broken {
            tally.set_aside(&assembled, reason);
            continue;
        }
        let document = serde_json::to_string(&assembled.run).unwrap_or_default();
        if document.len() > MAX_DOCUMENT {
            let reason = format!("the run has more than {MAX_DOCUMENT} bytes");
            tally.set_aside(&assembled, &reason);
            continue;
        }
        if !batch.is_empty() && (bytes + document.len() > BATCH || batch.len() == MAX_DOCUMENTS) {
            flush(clients, args, std::mem::take(&mut batch), &mut tally).await?;
            bytes = 0;
        }
        bytes += document.len();
        batch.push((assembled, document));
    }
    if !batch.is_empty() {
        flush(clients, args, batch, &mut tally).await?;
    }
    Ok(tally)
}

async fn flush(
    clients: &Clients,
    args: &ImportArgs,
    batch: Vec<(legacy::Assembled, String)>,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let (runs, documents): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let request = ImportRunsRequest {
        documents,
        project: args.project.clone(),
        validate_only: args.dry_run,
    };
    let answer = clients.imports().import_runs(request).await?.into_inner();
    let answers: Vec<ImportedRun> = answer.runs;
    if answers.len() != runs.len() {
        let text = "the registry answered for another number of runs than it was sent";
        return Err(CliError::new(text));
    }
    for (assembled, answer) in runs.iter().zip(answers) {
        tally.take(assembled, answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reading_is_told_when_its_time_is_over() {
        let late = AtomicBool::new(false);
        let endless = async {
            while !late.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            "told"
        };
        assert_eq!(in_time(LIMIT, &late, endless).await, "told");
        let late = AtomicBool::new(false);
        assert_eq!(in_time(LIMIT, &late, async { 7 }).await, 7);
        assert!(!late.load(Ordering::Relaxed));
    }
}
