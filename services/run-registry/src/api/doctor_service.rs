//! `DoctorService`.

use autopack_domain::Timestamp;
use autopack_store::entity::repair;
use autopack_wire::{
    convert::time_to_proto,
    registry::{self as pb, doctor_service_server::DoctorService},
};
use tonic::{Request, Response, Status};

use super::{Api, decode::refuse, schema};
use crate::app::walk::Page;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl DoctorService for Api {
    async fn diagnose(&self, request: Request<pb::DiagnoseRequest>) -> Reply<pb::DiagnoseResponse> {
        let r = request.into_inner();
        let found = self.core.diagnose(&r.run_id, r.limit, &r.page_token).await;
        let Page { audit, next, .. } = found.map_err(refuse)?;
        Ok(Response::new(pb::DiagnoseResponse {
            findings: audit.findings.iter().map(Into::into).collect(),
            rows: audit.rows,
            more: audit.more,
            self_repair: self.core.config.self_repair.as_str().to_owned(),
            time: Some(time_to_proto(self.core.now())),
            bus_connected: self.core.ports.bus.is_connected(),
            next_page_token: next,
        }))
    }

    async fn repair(&self, request: Request<pb::RepairRequest>) -> Reply<pb::RepairResponse> {
        let r = request.into_inner();
        let page = self.core.repair(r.validate_only, &r.page_token).await;
        let page = page.map_err(refuse)?;
        Ok(Response::new(pb::RepairResponse {
            repairs: page.repairs.into_iter().map(record).collect(),
            left: page.audit.findings.iter().map(Into::into).collect(),
            next_page_token: page.next,
        }))
    }

    async fn list_repairs(
        &self,
        request: Request<pb::ListRepairsRequest>,
    ) -> Reply<pb::ListRepairsResponse> {
        let found = self.core.list_repairs(request.into_inner().limit).await;
        let repairs = found.map_err(refuse)?.into_iter().map(record).collect();
        Ok(Response::new(pb::ListRepairsResponse { repairs }))
    }

    async fn infer_ids(
        &self,
        request: Request<pb::InferIdsRequest>,
    ) -> Reply<pb::InferIdsResponse> {
        let project = request.into_inner().project;
        let found = self.core.id_convention(&project).await.map_err(refuse)?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Response::new(pb::InferIdsResponse {
            single_phase_same_id: count(found.patterns.single_phase_same_id),
            single_phase_parent_child: count(found.patterns.single_phase_parent_child),
            multi_phase_parent_child: count(found.patterns.multi_phase_parent_child),
            convention: found.convention.as_str().to_owned(),
            rule: found.convention.rule().to_owned(),
            assumed: found.assumed,
            offenders: found
                .offenders
                .into_iter()
                .map(|o| pb::IdOffender {
                    run_id: o.run,
                    phase_id: o.phase,
                })
                .collect(),
        }))
    }

    async fn describe_schema(
        &self,
        request: Request<pb::DescribeSchemaRequest>,
    ) -> Reply<pb::DescribeSchemaResponse> {
        let subject = request.into_inner().subject;
        let answer = schema::describe(&subject).map_err(refuse)?;
        Ok(Response::new(answer))
    }
}

fn record(row: repair::Model) -> pb::RepairRecord {
    pb::RepairRecord {
        uid: row.uid,
        table: row.table_name,
        row: row.row_key,
        column: row.column_name,
        run_uid: row.run_uid,
        before: row.before_value,
        after: row.after_value,
        rule: row.rule,
        epoch: u64::try_from(row.epoch).unwrap_or(0),
        time: Some(time_to_proto(Timestamp(row.at))),
    }
}
