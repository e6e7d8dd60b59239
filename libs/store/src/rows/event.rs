//! `event`. The body is opaque bytes here: the registry encodes events as it publishes them, so that what
//! is stored, relayed and watched is the same.

use autopack_domain::RunUid;
use sea_orm::ActiveValue::Set;

use crate::entity::event;

/// An event with its numbers, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Number within the log, gapless.
    pub sequence: u64,
    /// UUIDv7: the message id on the bus.
    pub uid: uuid::Uuid,
    /// The run.
    pub run: RunUid,
    /// Number within the run, gapless.
    pub run_sequence: u64,
    /// The kind's code.
    pub kind: String,
    /// Microseconds.
    pub at: i64,
    /// The encoded event.
    pub body: Vec<u8>,
}

/// An event as a row.
pub fn write(event: &StoredEvent) -> event::ActiveModel {
    event::ActiveModel {
        sequence: Set(super::signed(event.sequence)),
        uid: Set(event.uid.to_string()),
        run_uid: Set(event.run.to_string()),
        run_sequence: Set(super::signed(event.run_sequence)),
        kind: Set(event.kind.clone()),
        at: Set(event.at),
        body: Set(event.body.clone()),
    }
}

/// A row as an event; rows whose uids do not parse are left out and reported by the doctor.
pub fn read(row: event::Model) -> Option<StoredEvent> {
    Some(StoredEvent {
        sequence: super::unsigned(row.sequence),
        uid: row.uid.parse().ok()?,
        run: row.run_uid.parse().ok()?,
        run_sequence: super::unsigned(row.run_sequence),
        kind: row.kind,
        at: row.at,
        body: row.body,
    })
}
