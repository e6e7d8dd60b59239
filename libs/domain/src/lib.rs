//! The nouns of Autopack: ids, plan, states with their transitions, causes, reasons and events.
//!
//! Pure: no async, no IO, no clock, no protobuf, no SQL. Whatever depends on the time gets it as an
//! argument. A change of state is data in, data out: see [`run`], [`phase`] and [`attempt`].
//!
//! - [`catalogue`]: the closed lists (causes, reasons, event kinds, sources of defaults)
//! - [`ids`], [`time`]: typed ids, fences, timestamps
//! - [`plan`]: the plan as users write it, normalised
//! - [`strategy`]: what is compiled from plan, ruleset and backlog, frozen with the run
//! - [`states`]: the state sets and their transition tables
//! - [`run`], [`tier`], [`phase`], [`attempt`]: the aggregates
//! - [`project`], [`lane`]: shares, limits and lanes of the queue
//! - [`issue`], [`backlog`]: what is found on the way, in a run and over the runs of a project
//! - [`event`]: what is recorded
//! - [`import`]: runs of older systems, as they are taken over
//! - [`submission`]: results and audits that come from outside, and the wait for them
//! - [`worker`]: workers, as they announce themselves and as they stand
//! - [`trace`]: the ids of a run's trace
//! - [`fault`]: faults of input, all at once, each with its path
//! - [`finding`]: what the self-check reports; [`alias`]: spellings of states that it may mend
//! - [`json_schema`]: a value against a JSON schema; [`schemas`]: the schemas of stored JSON

pub mod alias;
pub mod approval;
pub mod attempt;
pub mod backlog;
pub mod budget;
pub mod catalogue;
pub mod event;
pub mod fault;
pub mod finding;
pub mod gate;
pub mod ids;
pub mod import;
pub mod integration;
pub mod issue;
pub mod json_schema;
pub mod lane;
pub mod phase;
pub mod plan;
pub mod project;
pub mod promotion;
pub mod quarantine;
pub mod refusal;
pub mod run;
pub mod schemas;
pub mod states;
pub mod strategy;
pub mod submission;
pub mod tier;
pub mod time;
pub mod trace;
pub mod usage;
pub mod worker;

pub use catalogue::{Cause, EventKind, FindingCode, Reason, Source};
pub use fault::{Fault, Faults};
pub use finding::Finding;
pub use ids::{AttemptUid, Fence, JobUid, PhaseId, PromotionUid, RunId, RunUid, TierId, WorkerUid};
pub use refusal::{ErrorKind, Refusal};
pub use time::Timestamp;
pub use trace::TraceContext;
