//! The normalised plan. Every accepted form becomes this; it is stored with the run as canonical JSON.
//!
//! Invariant: a value of [`Plan`] that the normaliser returned is complete: every default is filled in,
//! ids are valid and unique, `depends_on` is acyclic and reaches only the same or an earlier tier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    agent::AgentSpec,
    endpoint::ModelSpec,
    test_rules::{ReportSpec, TestRules},
};
use crate::ids::{PhaseId, RunId, TierId};

/// The schema name of the current form.
pub const SCHEMA_V1: &str = "autopack/plan/v1";

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`SCHEMA_V1`].
    pub schema: String,
    /// The run's own settings.
    pub run: RunSpec,
    /// The tiers, in order.
    pub tiers: Vec<TierSpec>,
}

/// Settings of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The id, if the user chose one; else derived by the id convention.
    pub id: Option<RunId>,
    /// The project; empty until the repository's remote or directory name is known.
    pub project: String,
    /// One sentence: the goal anchor.
    pub goal: String,
    /// Branch, tag or commit; `HEAD` when left out.
    pub base: String,
    /// Tolerance for minor issues.
    pub safety_profile: SafetyProfile,
    /// All tiers in one run, or one.
    pub run_scope: RunScope,
    /// Caps of the run.
    pub budgets: RunBudgets,
    /// 0 (last) to 9 (first).
    pub priority: u8,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Caps of the run (SEMANTICS 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBudgets {
    /// Tokens of all builders together.
    pub tokens: u64,
    /// Phases that may be dispatched.
    pub phases: u32,
    /// Minutes of wall time since the first lease, pauses left out.
    pub minutes: u32,
}

/// An ordered group of phases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierSpec {
    /// Unique in the run.
    pub id: TierId,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Cap on tokens; `None`: from the strategy.
    pub tokens: Option<u64>,
    /// Cap on gate runs; `None`: from the strategy.
    pub ci_runs: Option<u32>,
    /// The phases, in order.
    pub phases: Vec<PhaseSpec>,
}

/// The smallest planned unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseSpec {
    /// Unique in the run.
    pub id: PhaseId,
    /// For people; the commit's subject.
    pub name: String,
    /// What the phase must achieve.
    pub goal: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Category, which chooses defaults (SEMANTICS 4.2); free text.
    pub task_category: String,
    /// Complexity.
    pub complexity: Complexity,
    /// Label for prompts and budgets; free text.
    pub builder_mode: String,
    /// Phases that must be complete first.
    pub depends_on: Vec<PhaseId>,
    /// What may be written and what must come out.
    pub scope: ScopeSpec,
    /// Who builds; `None` is accepted by the normaliser and refused by a run.
    pub builder: Option<BuilderSpec>,
    /// Whether no change is a success.
    pub allow_noop: bool,
    /// How the result is proved.
    pub gate: GateSpec,
    /// Attempts; `None`: from the strategy.
    pub max_attempts: Option<u32>,
    /// Cap on tokens of the phase; `None`: from the strategy.
    pub tokens: Option<u64>,
    /// Limits of the builder and of each gate step.
    pub limits: LimitSpec,
    /// 0 (last) to 9 (first); `None`: the run's.
    pub priority: Option<u8>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a phase may write, and must.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeSpec {
    /// `None`: everything but protected paths; empty: nothing.
    pub paths: Option<Vec<String>>,
    /// Never written, whatever `paths` says.
    #[serde(default)]
    pub protected_paths: Vec<String>,
    /// Written only with a person's word. Left out where there is none, so that plans keep their digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approval_paths: Vec<String>,
    /// For the builder to read.
    #[serde(default)]
    pub read_only_context: Vec<ContextSpec>,
    /// Files that must exist in the result; a trailing `/` asks for at least one file below.
    #[serde(default)]
    pub deliverables: Vec<String>,
    /// Free text for the builder.
    #[serde(default)]
    pub acceptance_criteria: Vec<String>,
}

/// A path to read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextSpec {
    /// Relative to the repository.
    pub path: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Who builds a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BuilderSpec {
    /// A patch series, applied in order.
    Patch {
        /// The files.
        patches: Vec<PatchSpec>,
    },
    /// Any program, run in the workspace.
    Command {
        /// Handed to `/bin/sh -c`.
        run: String,
        /// Additional environment.
        #[serde(default)]
        env: BTreeMap<String, String>,
        /// Seconds until it is ended.
        timeout_seconds: u32,
    },
    /// A coding agent's command line, driven by an adapter.
    Agent(AgentSpec),
    /// An HTTP model endpoint.
    Model(ModelSpec),
    /// Somebody submits the result.
    External {
        /// Seconds that a submission, and an audit of it, may take.
        #[serde(default = "external_seconds")]
        timeout_seconds: u32,
        /// Whether somebody else must approve each result before it is gated.
        #[serde(default)]
        audit: bool,
    },
    /// What an earlier run recorded.
    Replay {
        /// That run.
        run: RunId,
    },
    /// Nothing to build.
    Noop,
}

impl BuilderSpec {
    /// The name of the kind, as in plans and trailers.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Patch { .. } => "patch",
            Self::Command { .. } => "command",
            Self::Agent(_) => "agent",
            Self::Model(_) => "model",
            Self::External { .. } => "external",
            Self::Replay { .. } => "replay",
            Self::Noop => "noop",
        }
    }

    /// Whether the same input always gives the same change, so that repeating it cannot help.
    pub fn is_fixed_input(&self) -> bool {
        match self {
            Self::Patch { .. } | Self::Noop | Self::Replay { .. } => true,
            Self::Command { .. } | Self::Agent(_) | Self::Model(_) | Self::External { .. } => false,
        }
    }

    /// The builder `external` with its defaults.
    pub const fn external() -> Self {
        Self::External {
            timeout_seconds: crate::submission::DEFAULT_SECONDS,
            audit: false,
        }
    }

    /// Every kind a plan may name.
    pub const KINDS: &'static [&'static str] = &[
        "patch", "command", "agent", "model", "external", "replay", "noop",
    ];
}

fn external_seconds() -> u32 {
    crate::submission::DEFAULT_SECONDS
}

/// One patch of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchSpec {
    /// Relative to the plan file, as written.
    pub path: String,
    /// SHA-256 of the content in hex; empty until the file was read.
    #[serde(default)]
    pub digest: String,
}

/// How a phase is proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSpec {
    /// Which steps count.
    pub profile: GateProfile,
    /// Steps that prepare; `None` (with `steps` `None`): inferred.
    #[serde(default)]
    pub setup: Vec<StepSpec>,
    /// `None`: inferred from the toolchain when the run is bootstrapped; empty: no gate.
    pub steps: Option<Vec<StepSpec>>,
    /// What may happen to tests.
    #[serde(default, skip_serializing_if = "TestRules::is_default")]
    pub tests: TestRules,
}

/// One command of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Handed to `/bin/sh -c`.
    pub run: String,
    /// Whether tests must have run.
    pub kind: StepKind,
    /// Folder inside the repository; empty: its root.
    #[serde(default)]
    pub dir: String,
    /// Seconds until it is ended.
    pub timeout_seconds: u32,
    /// Additional environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How its results are read; `None`: as its command line suggests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportSpec>,
}

/// Limits of the commands of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSpec {
    /// Resident memory of the whole process tree, MiB.
    pub memory_mb: u32,
    /// Bytes written below the work folders, MiB.
    pub disk_mb: u32,
    /// Processor time of the whole tree, seconds.
    pub cpu_seconds: u32,
    /// Processes at a time.
    pub processes: u32,
    /// Largest file of a change, KiB.
    pub file_kb: u32,
    /// Files of a change.
    pub files: u32,
}

impl Default for LimitSpec {
    /// File limits are those of SEMANTICS 5.10 (100 files, 50 MB); the rest is ours.
    fn default() -> Self {
        Self {
            memory_mb: 4096,
            disk_mb: 4096,
            cpu_seconds: 3600,
            processes: 512,
            file_kb: 10_240,
            files: 100,
        }
    }
}

macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }
        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The spelling.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            /// The value with this spelling.
            pub fn parse(text: &str) -> Option<Self> { match text { $($text => Some(Self::$variant),)+ _ => None } }
            /// Every spelling, for error texts.
            pub fn spellings() -> Vec<&'static str> { Self::ALL.iter().map(|v| v.as_str()).collect() }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use closed;

closed!(
    /// Tolerance for minor issues (SEMANTICS 4.1).
    SafetyProfile {
        /// The default.
        Normal = "normal",
        /// A tier with an unresolved major issue fails the run.
        SafetyCritical = "safety_critical",
    }
);
closed!(
    /// Breadth of a run (SEMANTICS 4.1).
    RunScope {
        /// All tiers in one run.
        MultiTier = "multi_tier",
        /// One tier per run.
        SingleTier = "single_tier",
    }
);
closed!(
    /// Complexity of a phase (SEMANTICS 4.1).
    Complexity {
        /// Small.
        Low = "low",
        /// The default.
        Medium = "medium",
        /// Large or risky.
        High = "high",
    }
);
closed!(
    /// Which tests must pass (SEMANTICS 4.1, ci_profile).
    GateProfile {
        /// Unit and integration.
        Normal = "normal",
        /// Everything.
        Strict = "strict",
    }
);
closed!(
    /// What a gate step proves.
    StepKind {
        /// Runs tests: none counted is inconclusive.
        Test = "test",
        /// Anything else: the exit code decides.
        Check = "check",
    }
);
