//! Events with their place in the log.

use autopack_domain::{EventKind, Timestamp, event::Event};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

/// A committed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Number within the registry's log.
    pub sequence: u64,
    /// Number within the run, gapless from 1.
    pub run_sequence: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl From<&RecordedEvent> for types::Event {
    fn from(recorded: &RecordedEvent) -> Self {
        let event = &recorded.event;
        Self {
            sequence: recorded.sequence,
            run_sequence: recorded.run_sequence,
            kind: event.kind.code().to_owned(),
            time: Some(time_to_proto(recorded.at)),
            run: Some((&event.run).into()),
            tier: event.tier.as_ref().map(|(i, t)| (*i, t).into()),
            phase: event.phase.as_ref().map(|(i, p)| (*i, p).into()),
            attempt: event.attempt.as_ref().map(Into::into),
            job: event.job.as_ref().map(Into::into),
            text: event.text.clone(),
        }
    }
}

impl Decode<types::Event> for RecordedEvent {
    fn decode(message: types::Event, at: &At<'_>) -> Option<Self> {
        let kind = at.field("kind").word(&message.kind, EventKind::parse, || {
            EventKind::ALL.iter().map(|k| k.code()).collect()
        });
        let time = at.field("time").time(message.time);
        let run = at.field("run").message(message.run);
        let tier = at.field("tier").message_optional(message.tier);
        let phase = at.field("phase").message_optional(message.phase);
        let attempt = at.field("attempt").message_optional(message.attempt);
        let job = at.field("job").message_optional(message.job);
        Some(Self {
            sequence: message.sequence,
            run_sequence: message.run_sequence,
            at: time?,
            event: Event {
                kind: kind?,
                run: run?,
                tier: tier?,
                phase: phase?,
                attempt: attempt?,
                job: job?,
                text: message.text,
            },
        })
    }
}

super::try_from_proto!(types::Event => RecordedEvent);
