//! The gate: what its output says, and the verdict (DESIGN rule 5; SEMANTICS 5.9).
//!
//! Invariant: only exit codes and limits decide; output can turn a green step into "cannot tell", and
//! never a red one into green.
//!
//! - [`mod@counts`]: tests counted, by runner
//! - [`ids`]: names of failing tests
//! - [`order`]: which steps run first
//! - [`packet`]: what the next attempt is told of a red gate
//! - [`scripts`]: files of the tree that the steps run
//! - `unfinished`: reports that begin and never end
//! - [`mod@verdict`]: the four verdicts

pub mod counts;
pub mod ids;
pub mod order;
pub mod packet;
pub mod scripts;
mod unfinished;
pub mod verdict;

pub use counts::counts;
pub use ids::failing_ids;
pub use verdict::{StepEnd, StepResult, gate_word, timeout_verdict, verdict};
