//! What a caller adds to a plan, and what reading it gives back.
//!
//! Invariant: every value of a [`Normalised`] plan that a user may ask about has a row in `provenance`.

use std::collections::BTreeMap;

use super::model::{BuilderSpec, GateProfile, Plan, closed};
use crate::{
    catalogue::Source,
    ids::{PhaseId, RunId},
};

/// What the caller knows besides the plan.
///
/// Flags win over the plan; the environment only fills what the plan leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Name of the file; one that ends in `.json` is never read as YAML.
    pub name: Option<String>,
    /// `--builder`: for phases without one; wins over `run.default_builder`.
    pub default_builder: Option<BuilderSpec>,
    /// `--project`: wins over `run.project`.
    pub project: Option<String>,
    /// `--run-id`: wins over `run.id`.
    pub run_id: Option<RunId>,
    /// `--base`: wins over `run.base`.
    pub base: Option<String>,
    /// `CI_PROFILE` of the environment: for phases without `gate.profile`.
    pub ci_profile: Option<GateProfile>,
    /// `MAX_ATTEMPTS` of the environment: for phases without `max_attempts`.
    pub max_attempts: Option<u32>,
}

/// A plan that was read without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// The plan.
    pub plan: Plan,
    /// Which form the text had.
    pub form: PlanForm,
    /// Where each value came from, by its path in the normalised plan (`tiers[0].phases[1].goal`).
    pub provenance: BTreeMap<String, Source>,
    /// What was changed or left out while mapping an older form.
    pub warnings: Vec<Warning>,
    /// Phases without a builder, in order; a run refuses them (`BUILDER_MISSING`).
    pub unbuilt: Vec<PhaseId>,
}

/// Something a reader of the plan should know; it does not stop the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// The stable name.
    pub code: WarningCode,
    /// Path of the field in the text that was read.
    pub path: String,
    /// What happened to it.
    pub text: String,
    /// What was written there (bounded).
    pub original: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.text, self.code)
    }
}

closed!(
    /// The form a text had.
    PlanForm {
        /// `schema: autopack/plan/v1`; read strictly.
        V1 = "plan_v1",
        /// Only `phases`.
        PhasesOnly = "phases_only",
        /// `{"run_id", "goal", "phases": [{"phase_id"}]}`.
        OlderRun = "older_run",
        /// `{"run", "tiers", "phases"}`.
        CreationPayload = "creation_payload",
    }
);

closed!(
    /// The stable name of a warning.
    WarningCode {
        /// A key that means nothing; its value is ignored.
        UnknownKey = "UNKNOWN_KEY",
        /// A value outside the closed list; the default is used.
        UnknownValue = "UNKNOWN_VALUE",
        /// A value outside the usual list; it is kept as it is.
        UnusualValue = "UNUSUAL_VALUE",
        /// No builder is named; results are submitted from outside.
        BuilderExternal = "BUILDER_EXTERNAL",
        /// An id that broke the rule was changed.
        IdChanged = "ID_CHANGED",
        /// A path was rewritten.
        PathChanged = "PATH_CHANGED",
        /// A text or number was rewritten to fit.
        ValueChanged = "VALUE_CHANGED",
        /// Prose behind a deliverable's path was cut off.
        AnnotationDropped = "ANNOTATION_DROPPED",
        /// An entry of a list was dropped or moved elsewhere.
        EntryMoved = "ENTRY_MOVED",
        /// `scope` was text instead of a mapping.
        ScopeText = "SCOPE_TEXT",
        /// The same setting was written under two names; one is ignored.
        KeyShadowed = "KEY_SHADOWED",
        /// `budgets.phases` is smaller than the number of phases: the run will end by its budget.
        PhaseCapLow = "PHASE_CAP_LOW",
        /// A phase has the id of its run, against the convention of the other runs.
        IdConvention = "ID_CONVENTION",
    }
);
