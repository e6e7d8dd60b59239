//! Who keeps figures over all runs: told of each change as the writer makes it.
//!
//! Invariant: what was told since the last end is either committed as a whole or undone as a whole, and the next
//! command begins after that.

use autopack_domain::run::RunAggregate;

/// Follows the writer. Its calls are part of the write path: they must be short and must not wait.
pub trait Watch: Send + Sync {
    /// A command changed attempts of the run; it is not committed yet.
    fn changed(&self, run: &RunAggregate);

    /// Everything told so far is committed.
    fn committed(&self);

    /// Nothing told since the last commit happened.
    fn undone(&self);
}

/// Keeps no figures.
pub(crate) struct Nobody;

impl Watch for Nobody {
    fn changed(&self, _: &RunAggregate) {}

    fn committed(&self) {}

    fn undone(&self) {}
}
