//! Older databases as tests read them, and what a registry says of the runs that it took over.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use autopack_domain::{
    Finding,
    import::{HistoricalRun, legacy},
    run::finalise::derived_state,
};
use autopack_store::legacy as reader;
use autopack_wire::{
    convert::{RecordedEvent, snapshot_from_proto},
    registry as pb,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tokio_stream::StreamExt as _;

use crate::harness::Harness;

pub(crate) const RICH: &str = "upstream-2025-12-28.db";
pub(crate) const LOWER: &str = "upstream-lowercase-states.db";

/// A real database of the older system.
pub(crate) fn corpus(name: &str) -> PathBuf {
    let folder = std::env::var_os("AUTOPACK_CORPUS_DIR").map(PathBuf::from);
    let file = folder.unwrap_or_default().join(name);
    assert!(
        file.is_file(),
        "set AUTOPACK_CORPUS_DIR to the folder with the real data of the older system (`.ci/run` does); {} is no file",
        file.display()
    );
    file
}

/// A copy of a file in a folder that goes with the value, and its rows.
pub(crate) struct Original {
    folder: tempfile::TempDir,
    pub(crate) found: legacy::Collected,
}

impl Original {
    pub(crate) async fn read(file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = reader::copy(file, folder.path()).unwrap();
        let tables = reader::read(&copied, "the file", &reader::Bounds::default())
            .await
            .unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        let found = legacy::collect(&tables, &name);
        Self { folder, found }
    }

    /// Plain SQL on the original: a key and a number per row.
    pub(crate) async fn sql(&self, sql: &str) -> BTreeMap<String, i64> {
        let url = format!(
            "sqlite://{}?mode=ro",
            self.folder.path().join("older.db").display()
        );
        let db = sea_orm::Database::connect(url).await.unwrap();
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let rows = db.query_all_raw(statement).await.unwrap();
        let read = |row: &sea_orm::QueryResult| {
            let key: String = row.try_get_by_index(0).unwrap();
            let number: i64 = row.try_get_by_index(1).unwrap();
            (key, number)
        };
        let found = rows.iter().map(read).collect();
        db.close().await.unwrap();
        found
    }

    pub(crate) fn runs(&self) -> Vec<HistoricalRun> {
        let runs = self.found.runs.iter();
        runs.map(|assembled| {
            assert_eq!(assembled.broken, None);
            assembled.run.clone()
        })
        .collect()
    }
}

pub(crate) async fn import(
    h: &Harness,
    runs: &[HistoricalRun],
    validate_only: bool,
) -> Vec<pb::ImportedRun> {
    let mut answers = Vec::new();
    for some in runs.chunks(40) {
        let request = pb::ImportRunsRequest {
            documents: some
                .iter()
                .map(|run| serde_json::to_string(run).unwrap())
                .collect(),
            project: String::new(),
            validate_only,
        };
        let answer = h.clients.imports().import_runs(request).await.unwrap();
        answers.extend(answer.into_inner().runs);
    }
    assert_eq!(answers.len(), runs.len());
    answers
}

pub(crate) fn outcomes(answers: &[pb::ImportedRun]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.outcome().as_str_name()).or_default() += 1;
    }
    counts
}

pub(crate) async fn metrics(h: &Harness) -> BTreeMap<String, pb::RunMetrics> {
    let mut request = pb::ListRunMetricsRequest {
        page_size: 50,
        ..Default::default()
    };
    let mut all = BTreeMap::new();
    loop {
        let page = h.clients.reports().list_run_metrics(request.clone()).await;
        let page = page.unwrap().into_inner();
        for run in page.runs {
            all.insert(run.run.as_ref().unwrap().id.clone(), run);
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

pub(crate) async fn findings(h: &Harness) -> Vec<Finding> {
    let request = pb::DiagnoseRequest::default();
    let answer = h.clients.doctor().diagnose(request).await.unwrap();
    let found = answer.into_inner().findings.into_iter();
    found.map(|f| Finding::try_from(f).unwrap()).collect()
}

pub(crate) async fn repairs(h: &Harness) -> Vec<(String, String, String)> {
    let request = pb::ListRepairsRequest { limit: 1000 };
    let kept = h.clients.doctor().list_repairs(request).await.unwrap();
    let kept = kept.into_inner().repairs.into_iter();
    let mut kept: Vec<_> = kept.map(|r| (r.table, r.before, r.after)).collect();
    kept.sort();
    kept
}

/// Every event of a run leads a copy, as it was created, to the run as it is stored.
pub(crate) async fn replays(h: &Harness, id: &str) {
    let whole = pb::GetRunRequest {
        run_id: id.into(),
        brief: false,
    };
    let mut registry = h.clients.registry.clone();
    let stored = registry.get_run(whole).await.unwrap().into_inner();
    let snapshot = pb::GetSnapshotResponse {
        run: stored.run,
        tiers: stored.tiers,
        phases: stored.phases,
        plan: stored.plan,
        strategy: stored.strategy,
        ..Default::default()
    };
    let want = snapshot_from_proto(snapshot).unwrap();
    assert_eq!(derived_state(&want), want.run.state, "{id}");
    let watch = pb::WatchRunRequest {
        run_id: id.into(),
        after_sequence: 1,
    };
    let mut copy = want.clone();
    // Nothing of the end is left: the events alone bring it.
    for tier in &mut copy.tiers {
        *tier = autopack_domain::tier::Tier::new(tier.id.clone(), None, None);
    }
    for phase in &mut copy.phases {
        *phase =
            autopack_domain::phase::Phase::new(phase.id.clone(), phase.tier, phase.place, None);
    }
    let mut events = registry.watch_run(watch).await.unwrap().into_inner();
    let mut count = 1;
    while let Some(message) = events.next().await {
        let Some(pb::watch_run_response::Message::Event(event)) = message.unwrap().message else {
            continue;
        };
        count += 1;
        assert_eq!(event.run_sequence, count, "{id}: no gap");
        let recorded = RecordedEvent::try_from(event).unwrap();
        assert!(copy.absorb(&recorded.event));
    }
    assert_eq!(
        count, want.run.last_event,
        "{id}: the stream ends after the end"
    );
    assert_eq!(copy.run, want.run, "{id}");
    assert_eq!(copy.tiers, want.tiers, "{id}");
    assert_eq!(copy.phases, want.phases, "{id}");
}
