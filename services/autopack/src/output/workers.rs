//! Workers, for people and as JSON.
//!
//! Invariant: what a worker says about itself is cut to one line and stripped of control characters.

use std::collections::BTreeMap;

use autopack_wire::{
    registry::{Worker, WorkerLease, worker::State},
    types,
};
use serde_json::{Value, json};

use super::{
    json::{some, time},
    one_line,
    table::Table,
    text::moment,
};
use crate::view::stage_name;

fn state(worker: &Worker) -> &'static str {
    match worker.state() {
        State::Active => "ACTIVE",
        State::Draining => "DRAINING",
        State::Lost => "LOST",
        State::Unspecified => "?",
    }
}

/// The stage of an attempt; empty for jobs of other kinds.
fn stage(lease: &WorkerLease) -> &'static str {
    match lease.stage() {
        types::attempt::State::Unspecified => "",
        stage => stage_name(stage),
    }
}

/// Two tables: workers, and what they hold.
pub(crate) fn table(workers: &[Worker]) -> String {
    let mut all = Table::new(&[
        "WORKER", "STATE", "SLOTS", "VERSION", "HOST", "LANES", "SEEN", "LABELS", "TOOLS",
    ]);
    let mut held = Table::new(&["WORKER", "RUN", "KIND", "PHASE", "STAGE", "SINCE"]);
    for worker in workers {
        let labels: BTreeMap<_, _> = worker.labels.iter().collect();
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let tools = worker.capabilities.iter();
        let tools: Vec<&str> = tools
            .map(|tool| tool.strip_prefix("tool:").unwrap_or(tool))
            .collect();
        let name = one_line(&worker.name, 40);
        all.row([
            name.clone(),
            state(worker).to_owned(),
            format!("{}/{}", worker.leases.len(), worker.slots),
            one_line(&worker.version, 20),
            one_line(&worker.host, 30),
            one_line(&worker.lanes.join(","), 30),
            moment(worker.seen_time.as_ref()),
            one_line(&labels.join(","), 60),
            one_line(&tools.join(","), 80),
        ]);
        for lease in &worker.leases {
            held.row([
                name.clone(),
                lease.run_id.clone(),
                lease.kind.clone(),
                lease.phase_id.clone(),
                stage(lease).to_owned(),
                moment(lease.since_time.as_ref()),
            ]);
        }
    }
    match (all.is_empty(), held.is_empty()) {
        (true, _) => String::new(),
        (false, true) => all.render(),
        (false, false) => format!("{}\n{}", all.render(), held.render()),
    }
}

/// A worker with what it holds.
pub(crate) fn json(worker: &Worker) -> Value {
    let sorted = |map: &std::collections::HashMap<String, String>| -> Value {
        map.iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "worker": worker.name,
        "uid": worker.uid,
        "state": state(worker),
        "slots": worker.slots,
        "slots_used": worker.leases.len(),
        "leases": worker.leases.iter().map(lease).collect::<Value>(),
        "capabilities": worker.capabilities,
        "tool_versions": sorted(&worker.tool_versions),
        "labels": sorted(&worker.labels),
        "version": worker.version,
        "host": worker.host,
        "lanes": worker.lanes,
        "address": some(&worker.address),
        "register_time": time(worker.registered_time.as_ref()),
        "seen_time": time(worker.seen_time.as_ref()),
    })
}

fn lease(lease: &WorkerLease) -> Value {
    json!({
        "uid": lease.uid,
        "run": lease.run_id,
        "run_uid": lease.run_uid,
        "kind": lease.kind,
        "phase": some(&lease.phase_id),
        "stage": some(stage(lease)),
        "since_time": time(lease.since_time.as_ref()),
    })
}
