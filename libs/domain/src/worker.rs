//! Workers: what they say about themselves, and how they stand.
//!
//! Invariant: what a worker says is a claim about a machine; nothing here decides who owns a lease.

use std::collections::{BTreeMap, BTreeSet};

/// A worker as it announces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerProfile {
    /// Its name, for people.
    pub name: String,
    /// Phases at a time.
    pub slots: u32,
    /// Such as `tool:cargo`.
    pub capabilities: BTreeSet<String>,
    /// First line that each tool prints about its version.
    pub tool_versions: BTreeMap<String, String>,
    /// What phases may ask for.
    pub labels: BTreeMap<String, String>,
    /// Version of the program.
    pub version: String,
    /// Name of the machine.
    pub host: String,
    /// Lanes of the bus that it serves.
    pub lanes: Vec<String>,
    /// Where its own service is reached; empty: nowhere.
    pub address: String,
}

/// Whether a worker takes jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkerState {
    /// It takes jobs.
    #[default]
    Active,
    /// It finishes or hands back what it has.
    Draining,
    /// It has given no sign of life for too long.
    Lost,
}

impl WorkerState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Active, Self::Draining, Self::Lost];

    /// The spelling for people and machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Lost => "LOST",
        }
    }
}

impl std::fmt::Display for WorkerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
