//! How long a model's answer will be, how much it may be given, and what follows if that was too little
//! (SEMANTICS 9.1 to 9.3).
//!
//! Invariant: a figure depends on what it is told and on nothing else; every budget lies between the base of its
//! phase and [`MOST`].
//!
//! - [`kind`]: what sort of file a deliverable is, and its weight
//! - [`predict`]: the tokens of a phase's answer
//! - [`budget`]: the tokens that an answer may have
//! - [`escalate`]: the budget after an answer that was cut
//! - [`batches`]: a phase too large for one answer, in an order that its files' dependencies allow

pub mod batches;
pub mod budget;
pub mod escalate;
pub mod kind;
pub mod predict;

pub use batches::batches;
pub use budget::budget;
pub use escalate::{escalate, is_cut};
pub use predict::{Estimate, Task, predict};

/// The most tokens that one answer is given.
pub const MOST: u64 = 64_000;

/// How far a prediction is off, in percent: 200 x |p - a| / (|p| + |a|). Two zeros agree.
pub fn smape(predicted: u64, actual: u64) -> f64 {
    let sum = predicted + actual;
    if sum == 0 {
        return 0.0;
    }
    200.0 * predicted.abs_diff(actual) as f64 / sum as f64
}
