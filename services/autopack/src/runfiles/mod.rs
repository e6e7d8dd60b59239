//! Files about runs that have ended: a summary, and an incident pack for those that failed.
//!
//! Invariant: a file appears whole or not at all, writing again changes nothing but what changed, and every folder's
//! name is an id that satisfies the rule for ids.
//!
//! - [`bounds`]: how much of it is kept
//! - [`gather`]: what the registry knows of a run
//! - [`summary`]: `run_summary.md` and `run_summary.json`
//! - [`incident`]: the incident pack
//! - [`write`]: files that appear whole

mod bounds;
mod gather;
mod incident;
mod summary;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use autopack_bus::{Bus, EventItem, EventOptions};
use autopack_domain::{EventKind, ids::is_user_id};
use autopack_runtime::Clock;
use autopack_wire::{client::Clients, registry::ListRunsRequest};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{error::CliError, view::has_ended};

pub(crate) use bounds::Bounds;

/// Ended runs that are looked at after a start or a gap.
const LOOK_BACK: i32 = 100;
/// Pause after a subscription was lost.
const RETRY: Duration = Duration::from_secs(1);

/// Writes the files of runs; cheap to clone.
#[derive(Clone)]
pub(crate) struct RunFiles {
    folder: PathBuf,
    clients: Clients,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    /// One run at a time.
    turn: Arc<Mutex<()>>,
}

impl RunFiles {
    /// Files below a folder, within bounds.
    pub(crate) fn new(
        folder: PathBuf,
        clients: Clients,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
    ) -> Self {
        Self {
            folder,
            clients,
            clock,
            bounds,
            turn: Arc::default(),
        }
    }

    /// Where the files of a run are.
    pub(crate) fn folder_of(&self, run: &str) -> PathBuf {
        self.folder.join(run)
    }

    /// Writes the files of a run that has ended, and returns their folder.
    pub(crate) async fn write(&self, run: &str) -> Result<PathBuf, CliError> {
        let _turn = self.turn.lock().await;
        let facts = gather::gather(&self.clients, run, self.clock.now().0).await?;
        let id = &facts.view.run.id;
        if !is_user_id(id) {
            return Err(CliError::new(format!("`{id}` is no name for a folder")));
        }
        let folder = self.folder_of(id);
        let failed = |error: std::io::Error| CliError::io("cannot write in", &folder, &error);
        write::folder(&folder).map_err(failed)?;
        write::file(
            &folder.join("run_summary.md"),
            summary::markdown(&facts).as_bytes(),
        )
        .map_err(failed)?;
        write::file(
            &folder.join(bounds::SUMMARY),
            format!("{:#}\n", summary::json(&facts)).as_bytes(),
        )
        .map_err(failed)?;
        let pack = incident::pack(&self.clients, &facts).await;
        write::replace_folder(&folder.join("incident"), pack.as_ref()).map_err(failed)?;
        self.make_room(&folder).await;
        Ok(folder)
    }

    /// Keeps the bounds; what cannot be removed now is so after the next run.
    async fn make_room(&self, last: &Path) {
        let (bounds, folder, last) = (self.bounds, self.folder.clone(), last.to_owned());
        let kept = tokio::task::spawn_blocking(move || bounds.keep(&folder, &last)).await;
        match kept {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "files of runs that ended long ago went"),
            Ok(Err(error)) => tracing::warn!(%error, "files of runs could not be removed"),
            Err(error) => tracing::warn!(%error, "files of runs were not looked at"),
        }
    }

    /// Writes the files of every run that ends, until the token is cancelled.
    pub(crate) async fn keep_up(self, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.follow_bus(&bus) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// Until the subscription is lost.
    async fn follow_bus(&self, bus: &Arc<dyn Bus>) {
        let Ok(mut source) = bus.events(EventOptions::default()).await else {
            return;
        };
        while let Ok(Some(item)) = source.next().await {
            match item {
                EventItem::Gap => self.catch_up().await,
                EventItem::Event(event) if event.kind == EventKind::RunFinished.code() => {
                    if let Some(run) = &event.run {
                        self.write_or_warn(&run.uid).await;
                    }
                }
                EventItem::Event(_) => {}
            }
        }
    }

    /// Runs that ended while nobody looked.
    async fn catch_up(&self) {
        let request = ListRunsRequest {
            page_size: LOOK_BACK,
            ..ListRunsRequest::default()
        };
        let Ok(page) = self.clients.registry.clone().list_runs(request).await else {
            return;
        };
        for run in page.into_inner().runs.iter().filter(|run| has_ended(run)) {
            let written = std::fs::read_to_string(self.folder_of(&run.id).join(bounds::SUMMARY));
            let version = written.ok().and_then(|text| summary::version(&text));
            if is_user_id(&run.id) && version != Some(run.version) {
                self.write_or_warn(&run.uid).await;
            }
        }
    }

    async fn write_or_warn(&self, run: &str) {
        if let Err(error) = self.write(run).await {
            tracing::warn!(run, error = %error.message, "the files of a run were not written");
        }
    }
}
