//! The plan: what users write (`autopack/plan/v1` and the older forms), normalised into one model.
//!
//! Invariant: a [`Plan`] that [`read_plan`] returns keeps the promises of [`model`]; everything that is
//! wrong with a text is reported at once, and no text whatsoever makes the reader panic.
//!
//! - [`model`]: the normalised plan, as stored with the run
//! - [`options`]: what the caller adds, and what comes back
//! - [`test_rules`]: how results of tests are read, and what may happen to tests
//! - [`mod@category`]: the defaults that a task category chooses
//! - [`document`]: text to a tree, within limits
//! - [`digest`]: canonical JSON, digests, run ids, patches
//! - [`mod@explain`]: the plan with the source of each value, for people
//! - [`mod@fields`]: what a plan may say, with defaults and examples
//! - `read`: forms; `run`, `tiers`, `phase`, `scope`, `deliverables`, `builder`, `agent`, `gate`, `gate_tests`, `depends`: one section each
//! - `node`, `value`, `lists`, `keys`, `paths`: typed access to the tree

pub mod category;
pub mod digest;
pub mod document;
mod endpoint;
pub mod explain;
pub mod fields;
pub mod model;
pub mod options;
pub mod test_rules;

mod agent;
mod builder;
mod deliverables;
mod depends;
mod gate;
mod gate_tests;
mod keys;
mod lists;
mod node;
mod paths;
mod phase;
mod read;
mod run;
mod scope;
mod tiers;
mod value;

pub use agent::{AGENT_SECONDS, Adapter, AgentSpec, UnknownUsage};
pub use category::{CategoryDefaults, category};
pub use digest::{canonical_json, derive_run_id, patch_paths, plan_digest, set_patch_digest, slug};
pub use document::{MAX_BYTES, MAX_DEPTH, parse_document};
pub use endpoint::{AnswerForm, CONTEXT_TOKENS, MODEL_SECONDS, ModelSpec};
pub use explain::explain;
pub use fields::{PlanField, fields};
pub use model::*;
pub use options::{Normalised, PlanForm, ReadOptions, Warning, WarningCode};
pub use read::{read_builder, read_plan};
pub use test_rules::{KnownFailures, Quarantined, RERUNS, ReportKind, ReportSpec, TestRules};
