//! `WorkerService`: decode, look at the board, encode.
//!
//! Invariant: nothing is decided here; a call that is answered has changed at most the wish to drain.

use autopack_domain::{Reason, Refusal};
use autopack_wire::convert::{duration_to_proto, read, time_to_proto};
use autopack_wire::status::to_status;
use autopack_wire::types::attempt::State as Stage;
use autopack_wire::worker::{self as pb, worker_service_server::WorkerService};
use tonic::{Request, Response, Status};

use crate::board::{Doing, Slot, Stand};
use crate::control::Control;

type Reply<T> = Result<Response<T>, Status>;

/// The service over a worker's board.
#[derive(Debug, Clone)]
pub struct Api {
    control: Control,
}

impl Api {
    pub(crate) fn new(control: Control) -> Self {
        Self { control }
    }
}

#[tonic::async_trait]
impl WorkerService for Api {
    async fn get_status(&self, _: Request<pb::GetStatusRequest>) -> Reply<pb::GetStatusResponse> {
        let board = self.control.board();
        let profile = board
            .profile()
            .map(|profile| profile.as_ref().clone())
            .unwrap_or_default();
        let (worker, heard) = board.registry();
        let state = match board.stand() {
            Stand::Starting => pb::get_status_response::State::Starting,
            Stand::Active => pb::get_status_response::State::Active,
            Stand::Draining => pb::get_status_response::State::Draining,
            Stand::Drained => pb::get_status_response::State::Drained,
        };
        Ok(Response::new(pb::GetStatusResponse {
            name: profile.name,
            worker_uid: worker.map_or_else(String::new, |uid| uid.to_string()),
            state: state.into(),
            slots: profile.slots,
            slots_used: board.used(),
            version: profile.version,
            host: profile.host,
            lanes: profile.lanes,
            capabilities: profile.capabilities.into_iter().collect(),
            labels: profile.labels.into_iter().collect(),
            tool_versions: profile.tool_versions.into_iter().collect(),
            heartbeat_age: heard.map(duration_to_proto),
            grace_left: self.control.grace_left().map(duration_to_proto),
        }))
    }

    async fn list_slots(&self, _: Request<pb::ListSlotsRequest>) -> Reply<pb::ListSlotsResponse> {
        let slots = self.control.board().slots();
        Ok(Response::new(pb::ListSlotsResponse {
            slots: slots.into_iter().enumerate().map(shown).collect(),
        }))
    }

    async fn drain(&self, request: Request<pb::DrainRequest>) -> Reply<pb::DrainResponse> {
        let asked = request.into_inner().grace;
        let grace = asked
            .map(|grace| read(|at| at.field("grace").duration(Some(grace))))
            .transpose()
            .map_err(|faults| to_status(&Refusal::invalid(Reason::ArgumentInvalid, faults)))?;
        tracing::info!(?grace, "a drain was asked for");
        self.control.drain(grace);
        Ok(Response::new(pb::DrainResponse {
            slots_used: self.control.board().used(),
        }))
    }
}

fn shown((index, slot): (usize, Slot)) -> pb::Slot {
    let empty = pb::Slot {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        since_time: Some(time_to_proto(slot.since)),
        ..pb::Slot::default()
    };
    match slot.doing {
        Doing::Nothing => pb::Slot {
            state: pb::slot::State::Idle.into(),
            ..empty
        },
        Doing::Leasing => pb::Slot {
            state: pb::slot::State::Leasing.into(),
            ..empty
        },
        Doing::Working(work) => pb::Slot {
            state: pb::slot::State::Working.into(),
            kind: work.kind.as_str().to_owned(),
            run_uid: work.lease.held.run.to_string(),
            run_id: work.run_id,
            uid: work.lease.held.uid.to_string(),
            phase_id: work.phase_id,
            attempt: work.attempt,
            stage: work
                .lease
                .stage()
                .map_or(Stage::Unspecified, Into::into)
                .into(),
            ..empty
        },
    }
}
