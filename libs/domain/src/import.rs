//! A run of the past as a value: what an older database or a run folder says about it, with the original texts and
//! times, and where it came from.
//!
//! Invariant: nothing of it is believed before [`HistoricalRun::check`]: a run with a fault is set aside as a whole,
//! because figures over half of it would be wrong. What has one reviewed meaning is mended and told ([`Mended`]).
//!
//! - [`check`]: faults, bounds, and what is mended
//! - [`plan`]: the plan that it was, for the record; nobody builds it
//! - [`legacy`]: from the tables of an older database to these values
//! - [`moment`]: times as older databases write them

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::time::Timestamp;

pub mod check;
pub mod legacy;
pub mod moment;
pub mod plan;

pub use check::{Mended, Sound};

/// The schema name of [`HistoricalRun`].
pub const SCHEMA: &str = "autopack/history/v1";
/// The run's fact that says where it was imported from; no other run has it.
pub const ORIGIN_FACT: &str = "imported_from";
/// The run's fact with its key at the origin.
pub const KEY_FACT: &str = "imported_key";
/// Bytes of a document at most.
pub const MAX_DOCUMENT: usize = 4 << 20;
/// Documents of one request at most.
pub const MAX_DOCUMENTS: usize = 200;

/// Where a run was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// `sqlite` or `folder`.
    pub kind: String,
    /// Name of the file or folder, without its path.
    pub name: String,
    /// Its key there, such as the row's id.
    pub key: String,
}

/// A run of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalRun {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Where it was found.
    pub origin: Origin,
    /// Its id.
    pub id: String,
    /// Its state, as it was spelt.
    pub state: String,
    /// What it was for; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub goal: String,
    /// As it was spelt; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub safety_profile: String,
    /// As it was spelt; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_scope: String,
    /// Caps.
    #[serde(default)]
    pub budgets: HistoricalBudgets,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Why it failed, in its own words; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
    /// Whatever else was said of it, as it stood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
    /// Its tiers, in any order.
    #[serde(default)]
    pub tiers: Vec<HistoricalTier>,
    /// Its phases, in any order; at least one.
    pub phases: Vec<HistoricalPhase>,
    /// Its issues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<HistoricalIssue>,
    /// Tokens that were used, in the order of their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<HistoricalUsage>,
    /// Decisions, approvals, samples and whatever else belongs to the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<HistoricalNote>,
}

/// Caps of a run of the past; absent: not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalBudgets {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<i64>,
    /// Minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<i64>,
}

/// A tier of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalTier {
    /// Its id.
    pub id: String,
    /// Its place among the tiers.
    pub index: i64,
    /// For people; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its state, as it was spelt. It is checked and kept; the state that is stored follows from its phases.
    pub state: String,
    /// Cap on tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Gate runs that it used.
    #[serde(default)]
    pub ci_runs: i64,
    /// Whatever else was said of it, as it stood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
}

/// A phase of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalPhase {
    /// Its id.
    pub id: String,
    /// Id of its tier; absent, or that of no tier of the run: a tier is made for such phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Its place in the tier.
    pub index: i64,
    /// For people; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its state, as it was spelt.
    pub state: String,
    /// Category; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task_category: String,
    /// Complexity, as it was spelt; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub complexity: String,
    /// Builder mode; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub builder_mode: String,
    /// Its scope, as it was stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Times that a builder was at it.
    #[serde(default)]
    pub attempts: i64,
    /// Tokens by its own account; usage events say more where there are any.
    #[serde(default)]
    pub tokens: i64,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Why it failed, in its own words; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
    /// Whatever else was said of it, as it stood.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, String>,
}

/// An issue of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalIssue {
    /// Id of its phase; absent: the run's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Its key.
    pub key: String,
    /// `minor` or `major`, in any case.
    pub severity: String,
    /// With ageing, if that was told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effective_severity: String,
    /// Who found it.
    pub source: String,
    /// Such as a task category.
    pub category: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where to look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Affected paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Reports.
    #[serde(default)]
    pub occurrences: i64,
    /// The first report; absent: the run's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen_at: Option<Timestamp>,
    /// The last report; absent: as the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// When it was cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
}

/// Tokens that were used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalUsage {
    /// Id of the phase.
    pub phase: String,
    /// Such as `anthropic`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// The model's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// builder, auditor, doctor, or whatever it was.
    pub role: String,
    /// Free text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// Prompt tokens, if split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<i64>,
    /// Completion tokens, if split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<i64>,
    /// All of them, where the split does not add up to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// When.
    pub at: Timestamp,
}

impl HistoricalUsage {
    /// All tokens; `None`: nobody told, or they are too many to be true.
    pub fn tokens(&self) -> Option<i64> {
        match (self.total, self.prompt, self.completion) {
            (Some(total), ..) => Some(total),
            (None, None, None) => None,
            (None, prompt, completion) => prompt.unwrap_or(0).checked_add(completion.unwrap_or(0)),
        }
    }
}

/// A row that belongs to the run and for which this system has no table: kept whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoricalNote {
    /// The table, or the file.
    pub table: String,
    /// The row's key there.
    pub key: String,
    /// Id of the phase; absent: the run's own, or of a phase that the run does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The columns, as they stood.
    pub columns: BTreeMap<String, String>,
}

impl HistoricalRun {
    /// Digest of what was said, SHA-256 in hex: two imports of the same run have the same one, whatever the file is called.
    pub fn digest(&self) -> String {
        let bare = Self {
            origin: Origin::default(),
            ..self.clone()
        };
        // Only strings, integers, lists and maps with string keys: serialising cannot fail.
        let text = serde_json::to_string(&bare).unwrap_or_default();
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text) {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// When it ended, as far as that is known.
    pub fn ended_at(&self) -> Timestamp {
        let last = self.completed_at.or(self.updated_at);
        last.unwrap_or(self.created_at).max(self.created_at)
    }
}
