//! What can go wrong on the bus, and whether trying again can help.
//!
//! Invariant: text never carries a credential; sources are folded into the message where they help.

use std::time::Duration;

/// A failed call to the bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// No connection, a time-out, or a stream that is being made anew; the outbox keeps the row.
    #[error("the bus cannot be reached: {0}")]
    Unavailable(String),
    /// The bound of a queue or stream is reached; the outbox keeps the row.
    #[error("the bus is full: {0}")]
    Full(String),
    /// The server lacks something that is needed.
    #[error(
        "nats-server {found} is older than {floor}, the oldest supported; upgrade it, or set bus.allow_unsupported"
    )]
    Unsupported {
        /// Version of the server.
        found: String,
        /// Oldest supported version.
        floor: String,
    },
    /// The server does not accept who we say we are; trying again cannot help.
    #[error(
        "the bus refused the credentials: {0}; check the user, nkey or credentials file of the bus"
    )]
    Denied(String),
    /// The configuration cannot work; trying again cannot help.
    #[error("the bus is not configured rightly: {0}")]
    Config(String),
    /// A message that nobody can read, or that is too large to send.
    #[error("the message is not valid: {0}")]
    Message(String),
    /// A call did not end within its deadline; whether it took effect is not known.
    #[error("{what} did not end within {} ms", after.as_millis())]
    Deadline {
        /// The call.
        what: &'static str,
        /// Its deadline.
        after: Duration,
    },
    /// The bus was closed by this process.
    #[error("the bus is closed")]
    Closed,
}

impl BusError {
    /// Whether the same call may be repeated after a pause.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Full(_) | Self::Deadline { .. }
        )
    }
}
