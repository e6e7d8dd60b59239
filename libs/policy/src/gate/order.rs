//! The order in which the steps of an inferred gate run: folders with a change first.
//!
//! Invariant: steps of one folder keep their order; all steps run, whatever the order.

use autopack_domain::plan::StepSpec;

/// Indexes of the steps in the order of their running.
pub fn affected_first(steps: &[StepSpec], changed: &[String]) -> Vec<usize> {
    let touched = |step: &StepSpec| {
        step.dir.is_empty()
            || changed.iter().any(|path| {
                path.strip_prefix(&step.dir)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
    };
    let (mut first, later): (Vec<usize>, Vec<usize>) =
        (0..steps.len()).partition(|at| touched(&steps[*at]));
    first.extend(later);
    first
}
