//! The decisions of Autopack: what may be written, what proves a change, what a failure means.
//!
//! Pure: no async, no IO, no clock, no randomness but a seed argument. Callers collect facts, these
//! modules judge them; the same facts always give the same answer.
//!
//! - [`paths`]: what a path of a repository may look like
//! - [`scope`]: which paths a phase may write; deny wins
//! - [`govern`]: every violation of a change set, and the deliverables it owes
//! - [`toolchain`]: which tools a repository uses, and the gate they imply
//! - [`gate`]: counts, failing ids and the verdict of a gate's steps
//! - [`report`]: reports of test runners as ids and outcomes
//! - [`integrity`]: tests of a result against those of its base
//! - [`signature`]: normal form, signature and class of a failure text
//! - [`dispatch`]: what holds a phase back, and a run's next actions
//! - [`fair`]: the queue over all runs: shares, ageing, limits, lanes
//! - [`estimate`], [`strategy`], [`retry`]: budgets, attempts, back-off
//! - [`placement`]: which workers may take a phase
//! - [`edits`]: structured edits of a file, and the change as a patch
//! - [`output`]: how long a model's answer will be, and how much it may be given
//! - [`answer`]: a model's answer as edits of files
//! - [`prompt`]: what a model is asked, within its caps
//! - [`provider`]: when a provider of models is asked, and when it is left alone
//! - [`routing`]: which model builds a phase
//! - [`draft`]: from a goal and a list, or Markdown, to a plan
//! - [`backlog`]: which issues have aged, which are resolved, and the phases that would clean them
//! - [`promotion`]: whether a run's result may be promoted
//! - [`id_convention`]: how runs and phases are named
//! - [`preflight`]: faults of a plan that only the repository and the worker show

pub mod answer;
pub mod backlog;
pub mod dispatch;
pub mod draft;
pub mod edits;
pub mod estimate;
pub mod fair;
pub mod gate;
pub mod govern;
pub mod id_convention;
pub mod integrity;
pub mod output;
pub mod paths;
pub mod placement;
pub mod preflight;
pub mod promotion;
pub mod prompt;
pub mod provider;
pub mod report;
pub mod retry;
pub mod routing;
pub mod scope;
pub mod signature;
pub mod strategy;
mod text;
pub mod toolchain;
