//! The write transaction. The registry's alone.
//!
//! - [`connect`]: a database, embedded or not; `place`: where PostgreSQL is, how its sessions are set up
//! - `line`: the one connection that writes, and its lock; `loss`: when it is lost
//! - `handle`: what callers hold; [`writer`]: the task that commits; `carry`: one command in memory
//! - `regain`: the way back after a lost connection
//! - `session`: the working set of a batch; `flush`: the working set as multi-row statements
//! - `batch`: the statements of a batch; `parameters`: its rows for SQLite; `arrays`: its rows for PostgreSQL
//! - `mend`: a stored state that the alias table knows, and the record of its repair
//!
//! Invariant: state, events and idempotency record of a command commit together or not at all; commands
//! that arrive together share a commit; a failed batch is replayed one by one.

mod arrays;
mod backlog;
mod batch;
mod carry;
pub mod connect;
mod flush;
mod handle;
mod insert;
mod line;
mod literal;
mod loss;
mod mend;
mod parameters;
mod place;
mod regain;
mod resting;
mod session;
mod watch;
pub mod writer;

pub use backlog::no_entry;
pub use connect::{Database, OpenError, masked, measure_commit};
pub use handle::{
    Close, Committed, Cursor, Setting, Unreadable, WriteError, WriterHandle, WriterStats,
};
pub use line::{Line, Standing};
pub use loss::is_connection_lost;
pub use mend::Mend;
pub use place::OpenOptions;
pub use session::{Encoder, RequestKey};
pub use watch::Watch;
pub use writer::Writer;
