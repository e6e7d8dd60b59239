//! The write transaction. The registry's alone.
//!
//! - [`connect`]: the one writing connection and the readers
//! - [`writer`]: commands in, group commit, replies out
//! - [`session`]: the working set of a batch
//! - [`flush`]: the working set as multi-row statements
//!
//! Invariant: state, events and idempotency record of a command commit together or not at all; commands
//! that arrive together share a commit; a failed batch is replayed one by one.

pub mod connect;
mod flush;
mod session;
pub mod writer;

pub use connect::{Database, OpenError, measure_commit};
pub use session::{Encoder, RequestKey};
pub use writer::{Committed, WriteError, Writer, WriterHandle, WriterStats};
