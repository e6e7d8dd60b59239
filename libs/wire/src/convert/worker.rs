//! What a worker says about itself.
//!
//! Invariant: what comes in is bounded, so that no worker fills the registry's memory or a reader's screen.

use std::collections::{BTreeMap, HashMap};

use autopack_domain::Fault;
use autopack_domain::worker::{WorkerProfile, WorkerState};

use super::{
    at::{At, Decode, read},
    try_from_proto,
};
use crate::registry as pb;

/// Entries of a list or map at most.
const ENTRIES: usize = 256;
/// Characters of a text at most.
const TEXT: usize = 256;

try_from_proto!(pb::RegisterWorkerRequest => WorkerProfile);

impl From<&WorkerProfile> for pb::RegisterWorkerRequest {
    fn from(worker: &WorkerProfile) -> Self {
        let map = |map: &BTreeMap<String, String>| map.clone().into_iter().collect();
        Self {
            name: worker.name.clone(),
            slots: worker.slots,
            capabilities: worker.capabilities.iter().cloned().collect(),
            labels: map(&worker.labels),
            version: worker.version.clone(),
            host: worker.host.clone(),
            lanes: worker.lanes.clone(),
            address: worker.address.clone(),
            tool_versions: map(&worker.tool_versions),
        }
    }
}

impl Decode<pb::RegisterWorkerRequest> for WorkerProfile {
    fn decode(message: pb::RegisterWorkerRequest, at: &At<'_>) -> Option<Self> {
        let name = text(message.name, &at.field("name"));
        let capabilities = texts(message.capabilities, &at.field("capabilities"));
        let labels = map(message.labels, &at.field("labels"));
        let version = text(message.version, &at.field("version"));
        let host = text(message.host, &at.field("host"));
        let lanes = texts(message.lanes, &at.field("lanes"));
        let address = text(message.address, &at.field("address"));
        let tool_versions = map(message.tool_versions, &at.field("tool_versions"));
        Some(Self {
            name: name?,
            slots: message.slots,
            capabilities: capabilities?.into_iter().collect(),
            tool_versions: tool_versions?,
            labels: labels?,
            version: version?,
            host: host?,
            lanes: lanes?,
            address: address?,
        })
    }
}

impl From<WorkerState> for pb::worker::State {
    fn from(state: WorkerState) -> Self {
        match state {
            WorkerState::Active => Self::Active,
            WorkerState::Draining => Self::Draining,
            WorkerState::Lost => Self::Lost,
        }
    }
}

/// Versions of tools, as a heartbeat tells them.
pub fn tool_versions(
    versions: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, Vec<Fault>> {
    let versions = versions.into_iter().collect();
    read(|at| map(versions, &at.field("tool_versions")))
}

fn text(text: String, at: &At<'_>) -> Option<String> {
    if text.chars().count() > TEXT {
        return at.fault(format!("is longer than {TEXT} characters"));
    }
    if text.chars().any(char::is_control) {
        return at.fault("has control characters");
    }
    Some(text)
}

fn texts(list: Vec<String>, at: &At<'_>) -> Option<Vec<String>> {
    if list.len() > ENTRIES {
        return at.fault(format!("has {} entries; at most {ENTRIES}", list.len()));
    }
    let read: Vec<Option<String>> = list
        .into_iter()
        .enumerate()
        .map(|(n, entry)| text(entry, &at.index(n)))
        .collect();
    read.into_iter().collect()
}

fn map(map: HashMap<String, String>, at: &At<'_>) -> Option<BTreeMap<String, String>> {
    if map.len() > ENTRIES {
        return at.fault(format!("has {} entries; at most {ENTRIES}", map.len()));
    }
    let read: Vec<Option<(String, String)>> = map
        .into_iter()
        .map(|(key, value)| {
            let value = text(value, &at.key(&key));
            Some((text(key, at)?, value?))
        })
        .collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_back_and_what_is_too_large_is_refused_with_its_place() {
        let pair = |key: &str| (key.to_owned(), format!("{key}-value"));
        let profile = WorkerProfile {
            name: "w".into(),
            slots: 3,
            capabilities: ["tool:cargo".to_owned()].into(),
            tool_versions: [pair("cargo")].into(),
            labels: [pair("zone")].into(),
            version: "1".into(),
            host: "h".into(),
            lanes: vec!["default".into()],
            address: "http://h:1".into(),
        };
        let message = pb::RegisterWorkerRequest::from(&profile);
        assert_eq!(WorkerProfile::try_from(message.clone()), Ok(profile));
        let broken = pb::RegisterWorkerRequest {
            name: "x".repeat(257),
            labels: [("zone".to_owned(), "a\nb".to_owned())].into(),
            lanes: vec![String::new(); 257],
            ..message
        };
        let faults = WorkerProfile::try_from(broken).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["name", "labels[zone]", "lanes"]);
    }
}
