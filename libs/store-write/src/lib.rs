//! The write transaction. The registry's alone.
//!
//! - [`connect`]: the one writing connection and the readers
//! - `handle`: what callers hold; [`writer`]: the task that commits
//! - [`session`]: the working set of a batch
//! - [`flush`]: the working set as multi-row statements
//!
//! Invariant: state, events and idempotency record of a command commit together or not at all; commands
//! that arrive together share a commit; a failed batch is replayed one by one.

mod batch;
pub mod connect;
mod flush;
mod handle;
mod session;
mod watch;
pub mod writer;

pub use connect::{Database, OpenError, measure_commit};
pub use handle::{Committed, Setting, WriteError, WriterHandle, WriterStats};
pub use session::{Encoder, RequestKey};
pub use watch::Watch;
pub use writer::Writer;
