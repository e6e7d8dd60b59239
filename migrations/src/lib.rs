//! Forward-only schema history, on SQLite and PostgreSQL. Owns no entity.
//!
//! - `history`: the list of migrations
//! - `runner`: brings a database to the newest, or tells what is missing
//! - `states`: a closed set of states changes over stored rows
//! - `telemetry`: the role that sees the views and nothing else
//!
//! Invariant: a migration that was released never changes (its checksum is stored), each runs in its own
//! transaction under a lock, and a database with a newer schema is refused unless it declares this reader
//! compatible.

mod history;
mod runner;
mod states;
mod telemetry;

pub use history::{ALL, Migration, current};
pub use runner::{MigrationError, Pending, migrate, migrate_to, migrate_with, pending};
pub use states::StateChange;
pub use telemetry::{RoleError, grant_telemetry};
