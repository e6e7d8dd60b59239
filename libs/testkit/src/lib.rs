//! What end-to-end tests stand on: repositories of every awkward kind, plans, and the real binary.
//!
//! Invariant: nothing here knows the product's code; what a test sees is what a user sees. Everything is made below
//! temporary folders, and every wait has an upper bound.
//!
//! - [`repo`]: a git repository made by code; [`shape`]: its awkward kinds; [`traps`]: programs that must never run
//! - [`fingerprint`]: what of a user's checkout must stay as it is
//! - [`plan`]: plans and their patch files; [`series`]: patches from edits, and the tree that plain git makes of them
//! - [`program`]: a child process with a bound; [`autopack`]: the command line; [`up`]: a serving process;
//!   [`cluster`]: the services apart
//! - [`proxy`]: cuts, delays and swallows what passes between two processes
//! - [`postgres`]: a PostgreSQL server beside the test; [`postgres_database`]: one database of it
//! - [`many`]: SQL that makes very many runs of one
//! - [`nats`]: a nats-server, and how to hurt it; [`nats_version`]: which one; [`nats_line`]: a plain client of one
//! - [`processes`]: what of a test still runs; [`collector`]: takes spans and metrics
//! - [`ssh`], [`https`]: git servers on the loopback interface
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "for tests only: a broken fixture fails the test, and fixtures start processes"
)]

pub mod autopack;
pub mod cluster;
pub mod collector;
pub mod fingerprint;
pub mod git;
pub mod git_host;
pub mod https;
pub mod many;
pub mod model_server;
pub mod nats;
pub mod nats_line;
pub mod nats_version;
pub mod plan;
pub mod postgres;
pub mod postgres_database;
pub mod processes;
pub mod program;
pub mod proxy;
pub mod repo;
pub mod series;
pub mod shape;
pub mod ssh;
pub mod traps;
pub mod up;

pub use autopack::{Answer, Autopack};
pub use cluster::Cluster;
pub use collector::Collector;
pub use many::{Dialect, Many};
pub use model_server::ModelServer;
pub use nats::Nats;
pub use nats_version::NatsVersion;
pub use plan::{Phase, Plan};
pub use postgres::Postgres;
pub use postgres_database::TestDatabase;
pub use program::{Done, within};
pub use proxy::Proxy;
pub use repo::TempRepo;
pub use series::Series;
