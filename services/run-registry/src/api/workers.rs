//! Workers as messages.
//!
//! Invariant: nothing is decided here.

use autopack_domain::worker::WorkerProfile;
use autopack_wire::{convert::time_to_proto, registry as pb, types};

use crate::app::workers::{ListedLease, ListedWorker};

/// What a worker can do.
pub(super) fn abilities(worker: &WorkerProfile) -> pb::WorkerAbilities {
    pb::WorkerAbilities {
        capabilities: worker.capabilities.iter().cloned().collect(),
        labels: worker.labels.clone().into_iter().collect(),
    }
}

/// A worker with its leases.
pub(super) fn listed(worker: ListedWorker) -> pb::Worker {
    let profile = worker.profile.as_ref().clone();
    pb::Worker {
        uid: worker.uid.to_string(),
        name: profile.name,
        state: pb::worker::State::from(worker.state).into(),
        slots: profile.slots,
        leases: worker.leases.into_iter().map(lease).collect(),
        capabilities: profile.capabilities.into_iter().collect(),
        labels: profile.labels.into_iter().collect(),
        version: profile.version,
        host: profile.host,
        lanes: profile.lanes,
        address: profile.address,
        tool_versions: profile.tool_versions.into_iter().collect(),
        registered_time: Some(time_to_proto(worker.registered)),
        seen_time: Some(time_to_proto(worker.seen)),
    }
}

fn lease(lease: ListedLease) -> pb::WorkerLease {
    let stage = lease
        .stage
        .map_or(types::attempt::State::Unspecified, Into::into);
    pb::WorkerLease {
        uid: lease.uid.to_string(),
        run_uid: lease.run.to_string(),
        run_id: lease.run_id,
        kind: lease.kind.as_str().to_owned(),
        phase_id: lease.phase,
        stage: stage.into(),
        since_time: Some(time_to_proto(lease.since)),
    }
}
