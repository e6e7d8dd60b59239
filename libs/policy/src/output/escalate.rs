//! The budget after an answer that was cut.
//!
//! Invariant: one answer's budget grows by a quarter, once per phase, and never beyond [`MOST`].

use super::MOST;

/// Whether an answer counts as cut: the provider says so, or it used 95 % of what it could have.
pub fn is_cut(said_so: bool, used: u64, budget: u64) -> bool {
    said_so || (budget > 0 && u128::from(used) * 100 >= u128::from(budget) * 95)
}

/// The next budget: a quarter more than the largest figure known. `None`: there is no room above it.
pub fn escalate(selected: u64, given: u64, used: u64) -> Option<u64> {
    let base = selected.max(given).max(used);
    let next = base.saturating_mul(5) / 4;
    Some(next.min(MOST)).filter(|next| *next > base.min(MOST))
}
