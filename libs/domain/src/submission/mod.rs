//! What comes from outside for a phase whose builder is `external`: results, audits, and what the phase waits for.
//!
//! Invariant: what somebody says about a result is a claim; it is stored and shown, and only a worker's governed apply
//! and the gate decide. A phase waits for one thing at a time, and always until a deadline.

mod audit;
mod edit;
mod fields;
mod result;

use serde::{Deserialize, Serialize};

pub use self::{
    audit::{AuditPatch, AuditResult, Confidence, Recommendation, read_audit},
    edit::{Edit, EditOp, MAX_EDITS, read_edits},
    result::{BuilderResult, Content, Probe, ResultStatus, read_result},
};
use crate::{approval::Approval, plan::closed, time::Timestamp, usage::Usage};

/// Schema of a builder's document.
pub const RESULT_V1: &str = "autopack/builder-result/v1";
/// Schema of an auditor's document.
pub const AUDIT_V1: &str = "autopack/auditor-result/v1";
/// Seconds that a submission or an audit may take, if the plan does not say.
pub const DEFAULT_SECONDS: u32 = 86_400;

closed!(
    /// What a phase waits for.
    Awaited {
        /// A result.
        Submission = "submission",
        /// An auditor's word on the result that was submitted.
        Audit = "audit",
        /// A person's word on the change.
        Approval = "approval",
    }
);

/// What is waited for, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What.
    #[serde(rename = "for")]
    pub what: Awaited,
    /// Past it, the phase fails.
    pub until: Timestamp,
}

/// A result that was submitted and is not used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Who built it, in its own words.
    pub builder: String,
    /// SHA-256 in hex of the artifact that holds the document.
    pub digest: String,
    /// Bytes of that artifact.
    pub size: u64,
    /// When it came.
    pub at: Timestamp,
    /// Who approved it; empty: nobody.
    #[serde(default)]
    pub auditor: String,
    /// The artifact that holds the auditor's document; empty: none.
    #[serde(default)]
    pub audit_digest: String,
}

/// Where a phase stands between what comes from outside: submissions, audits, approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// What is waited for; none while the phase is not ready, in work, or ended.
    #[serde(default)]
    pub wait: Option<Wait>,
    /// The result at hand.
    #[serde(default)]
    pub submission: Option<Submission>,
    /// Somebody asked for an audit of this phase's results.
    #[serde(default)]
    pub audit: bool,
    /// Tokens that were used outside and are not booked yet; the next lease books them.
    #[serde(default)]
    pub usage: Vec<Usage>,
    /// The approval that the phase has or awaits, whatever its builder.
    #[serde(default)]
    pub approval: Option<Approval>,
}

impl Handoff {
    /// What is missing before a worker can take the phase; `audit`: the plan asks for one.
    pub fn lacks(&self, audit: bool) -> Option<Awaited> {
        match &self.submission {
            None => Some(Awaited::Submission),
            Some(s) if (audit || self.audit) && s.auditor.is_empty() => Some(Awaited::Audit),
            Some(_) => None,
        }
    }

    /// Tokens that are not booked yet.
    pub fn tokens(&self) -> u64 {
        self.usage
            .iter()
            .fold(0, |sum, usage| sum.saturating_add(usage.total))
    }
}

/// Whether two names are the same identity: case and outer spaces do not tell people apart.
pub fn is_same_identity(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
