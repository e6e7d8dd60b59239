//! A real worker with real git and a real sandbox, against a scripted registry.
//!
//! Invariant: no test waits for a fixed time; each polls for what it expects, within a bound.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod agents;
mod bootstrap;
mod builders;
mod drain;
mod edits;
mod fake;
mod faults;
mod gates;
mod integrity;
mod landing;
mod life;
mod mirrors;
mod models;
mod models_answers;
mod models_faults;
mod placement;
mod promotions;
mod remotes;
mod samples;
mod toolchains;
mod world;
