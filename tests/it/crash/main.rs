//! The process dies at any moment; the same command again ends with the same result.
//!
//! `AUTOPACK_CRASH_SEED=N` replays the moments of a run, `AUTOPACK_CRASH_KEEP=1` keeps the folders of a trial that failed.
//!
//! - [`scene`]: the repository and its plan; [`trial`]: one run with its crashes; [`moments`]: when they happen
//! - [`verdict`]: what must hold once the run has ended, with [`stored`]
//! - [`random`], [`failpoints`], [`locks`], [`files`]: the tests
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests start and kill processes, and print the seed"
)]

mod failpoints;
mod files;
mod locks;
mod moments;
mod random;
mod scene;
mod stored;
mod trial;
mod verdict;
