//! Real processes, one of which breaks: the run ends as if nothing had happened.
//!
//! Each scenario starts nats-server, PostgreSQL, a registry, a scheduler and four workers, breaks something while a run
//! goes through them, and is judged by the one [`verdict`]. `AUTOPACK_CHAOS_SEED=N` replays the moments,
//! `AUTOPACK_CHAOS_MOMENTS=N` kills each process at so many, `AUTOPACK_CHAOS_PHASES=N` makes the run longer,
//! `AUTOPACK_CHAOS_KEEP=1` keeps the logs of a scene that failed.
//!
//! - [`plan`]: the phases and what must come of them; [`scene`]: a run in progress; [`seed`]: chance
//! - [`verdict`]: what must hold, with [`stored`]: by the database, and [`ledger`]: by what builders did
//! - [`kills`], [`frozen`], [`partitions`], [`streams`], [`workers`], [`registries`], [`upgrades`],
//!   [`database`], [`disks`]: the tests
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests start and kill processes, and print the seed"
)]

mod database;
mod disks;
mod frozen;
mod kills;
mod ledger;
mod partitions;
mod plan;
mod registries;
mod scene;
mod seed;
mod stored;
mod streams;
mod upgrades;
mod verdict;
mod workers;
