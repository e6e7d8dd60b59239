//! Tasks, one a file: each a loop around one idempotent pass, woken by an event and by a timer.

pub mod check;
pub mod dead_letters;
pub mod expire;
pub mod relay;
pub mod reoffer;
pub mod traces;
pub mod unreadable;
