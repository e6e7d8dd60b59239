//! `ImportService`.

use autopack_domain::import::Mended;
use autopack_wire::registry::{
    self as pb, import_service_server::ImportService, imported_run::Outcome as Wire,
};
use tonic::{Request, Response, Status};

use super::{Api, decode::refuse};
use crate::app::import::{ImportedRun, Outcome};

#[tonic::async_trait]
impl ImportService for Api {
    async fn import_runs(
        &self,
        request: Request<pb::ImportRunsRequest>,
    ) -> Result<Response<pb::ImportRunsResponse>, Status> {
        let r = request.into_inner();
        let import = self
            .core
            .import_runs(&r.documents, &r.project, r.validate_only);
        // Boxed: a run of the past is large, and the futures of other calls need not be.
        let runs = Box::pin(import).await.map_err(refuse)?;
        let runs = runs.into_iter().map(answer).collect();
        Ok(Response::new(pb::ImportRunsResponse { runs }))
    }
}

fn answer(run: ImportedRun) -> pb::ImportedRun {
    let (outcome, faults) = match run.outcome {
        Outcome::Imported => (Wire::Imported, Vec::new()),
        Outcome::Present => (Wire::Present, Vec::new()),
        Outcome::SetAside(faults) => (Wire::SetAside, faults),
    };
    pb::ImportedRun {
        run_id: run.id,
        run_uid: run.uid.map(|uid| uid.to_string()).unwrap_or_default(),
        outcome: outcome.into(),
        state: run.state.map(|s| s.as_str().to_owned()).unwrap_or_default(),
        reasons: faults.iter().map(Into::into).collect(),
        repairs: run.mended.into_iter().map(repair).collect(),
    }
}

fn repair(mended: Mended) -> pb::ImportRepair {
    pb::ImportRepair {
        table: mended.table.to_owned(),
        id: mended.id,
        before: mended.before,
        after: mended.after.to_owned(),
    }
}
