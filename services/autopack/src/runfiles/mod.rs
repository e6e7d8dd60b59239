//! Files about runs, made from what the registry knows: one projector, two layouts.
//!
//! Invariant: nothing reads them for a decision; a file appears whole or not at all; writing again changes nothing but
//! what changed.
//!
//! - [`bounds`]: how much of it is kept
//! - [`names`], [`layout`]: ids as names, and where each file stands
//! - [`gather`]: what the registry knows of a run
//! - [`render`]: from that to files, with [`summary`], [`details`], [`issues`], [`incident`],
//!   [`journal`]
//! - [`folder`], [`write`]: files that appear whole, in folders that nobody swaps
//! - [`projector`], [`cursor`], [`waiting`]: follows the log of events, from where it stopped
//! - [`compare`]: whether a folder is what it should be
//! - [`found`]: reads a folder back, in either layout

mod bounds;
pub(crate) mod compare;
mod cursor;
mod details;
pub(crate) mod folder;
pub(crate) mod found;
mod gather;
mod incident;
mod issues;
mod journal;
pub(crate) mod layout;
pub(crate) mod names;
mod projector;
mod render;
mod summary;
#[cfg(test)]
mod tests;
mod waiting;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use autopack_runtime::failpoint;
use autopack_wire::{client::Clients, serve::Probes};
use tokio::sync::Mutex;

use crate::{error::CliError, failpoints::BEFORE_FILES};

pub(crate) use bounds::Bounds;
pub(crate) use cursor::Cursor;
pub(crate) use layout::Layout;
pub(crate) use projector::LOOK_BACK;
pub(crate) use render::Rendered;
pub(crate) use waiting::Parked;
pub(crate) use write::Pack;

/// The health name that says whether every run has its files.
pub(crate) const HEALTH: &str = "run_files";

/// Reads a run and makes its files and those of its project, without writing any.
pub(crate) async fn render_run(
    clients: &Clients,
    run: &str,
    layout: Layout,
) -> Result<Rendered, CliError> {
    let mut facts = gather::gather(clients, run).await?;
    facts.journal = journal::gather(clients, &facts.view, &facts.attempts).await?;
    Ok(render::render(&facts, layout))
}

/// The same without its project's journal, for which other runs are read.
pub(crate) async fn render_alone(
    clients: &Clients,
    run: &str,
    layout: Layout,
) -> Result<Rendered, CliError> {
    let facts = gather::gather(clients, run).await?;
    Ok(render::render(&facts, layout))
}

/// Writes what was made below a base folder.
pub(crate) async fn write_run(base: &Path, files: Rendered) -> Result<(), CliError> {
    write_holding(base, files, ()).await
}

/// The same; `hold` is kept until it is written, also if nobody waits for it any more.
async fn write_holding<H: Send + 'static>(
    base: &Path,
    files: Rendered,
    hold: H,
) -> Result<(), CliError> {
    let (at, folder) = (base.to_owned(), base.join(&files.folder));
    let writing = move || {
        let _hold = hold;
        write::write(&at, &files)
    };
    let failed = |error: std::io::Error| {
        CliError::io("cannot write in", &folder, &error)
            .hint("symbolic links below the base folder are not followed; `--to DIR` of `autopack export` names another one")
    };
    tokio::task::spawn_blocking(writing)
        .await
        .map_err(|error| CliError::new(format!("the files were not written: {error}")))?
        .map_err(failed)
}

/// Writes the files of runs into one base folder; cheap to clone.
#[derive(Clone)]
pub(crate) struct RunFiles {
    base: PathBuf,
    clients: Clients,
    bounds: Bounds,
    /// What is told whether something could not be written.
    probes: Option<Probes>,
    /// One run at a time.
    turn: Arc<Mutex<()>>,
}

impl RunFiles {
    /// Files below a base folder, within bounds.
    pub(crate) fn new(base: PathBuf, clients: Clients, bounds: Bounds) -> Self {
        Self {
            base,
            clients,
            bounds,
            probes: None,
            turn: Arc::default(),
        }
    }

    /// Health checks hear of runs whose files could not be written.
    pub(crate) fn with_probes(self, probes: Probes) -> Self {
        Self {
            probes: Some(probes),
            ..self
        }
    }

    /// Writes the files of a run as it is, and returns their folder.
    pub(crate) async fn write(&self, run: &str) -> Result<PathBuf, CliError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let files = render_run(&self.clients, run, Layout::Guide).await?;
        let folder = self.base.join(&files.folder);
        failpoint::hit(BEFORE_FILES);
        write_holding(&self.base, files, turn).await?;
        Ok(folder)
    }
}
