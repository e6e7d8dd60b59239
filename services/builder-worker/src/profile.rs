//! What the worker says about itself: tools with their versions, labels, place.
//!
//! Invariant: a tool is announced if and only if a builder or gate of this worker would find it.

use std::collections::{BTreeMap, BTreeSet};

use autopack_adapters::Manifest;
use autopack_domain::worker::WorkerProfile;
use autopack_policy::placement::TOOL;

use crate::config::WorkerConfig;
use crate::host::Host;
use crate::tools;

/// Tools that every worker announces where they are found.
const TOOLS: &[&str] = &[
    "bun", "cargo", "deno", "go", "gradle", "java", "make", "mvn", "node", "npm", "pnpm", "poetry",
    "python3", "uv", "yarn",
];

/// Names that a worker of this configuration announces where it finds them.
pub(crate) fn announced(config: &WorkerConfig) -> BTreeSet<String> {
    let fixed = TOOLS.iter().map(|tool| (*tool).to_owned());
    let agents = Manifest::all().iter().map(|agent| agent.program.clone());
    let agents = agents.filter(|program| !program.is_empty());
    fixed
        .chain(agents)
        .chain(config.announce.iter().cloned())
        .collect()
}

/// What is known without starting anything.
pub(crate) fn profile(config: &WorkerConfig) -> WorkerProfile {
    let capabilities = announced(config)
        .into_iter()
        .filter(|tool| tools::find(tool, &config.path).is_some())
        .map(|tool| format!("{TOOL}{tool}"));
    WorkerProfile {
        name: config.name.clone(),
        slots: u32::try_from(config.slots).unwrap_or(u32::MAX),
        capabilities: capabilities.collect(),
        tool_versions: BTreeMap::new(),
        labels: config.labels.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host_name(),
        lanes: config.lanes.clone(),
        address: config.address.clone(),
    }
}

/// The versions that the announced tools print, asked one after the other.
pub(crate) async fn versions(host: &Host, profile: &WorkerProfile) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for capability in &profile.capabilities {
        if let Some(tool) = capability.strip_prefix(TOOL)
            && let Some(version) = host.tool_version(tool).await
        {
            found.insert(tool.to_owned(), version);
        }
    }
    found
}

fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.chars().take(200).collect()
}
