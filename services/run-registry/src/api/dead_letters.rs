//! Dead letters as messages.

use autopack_domain::Timestamp;
use autopack_wire::{convert::time_to_proto, registry as pb};

use crate::app::dead_letters::{KnownLetter, Place};

/// A letter with what the registry knows of its job.
pub(super) fn dead_letter(known: KnownLetter) -> pb::DeadLetter {
    let letter = known.letter;
    pb::DeadLetter {
        id: letter.id,
        reason: letter.reason.as_str().to_owned(),
        detail: letter.detail,
        subject: letter.subject,
        sequence: letter.sequence,
        deliveries: letter.deliveries,
        time: Some(time_to_proto(Timestamp(letter.at))),
        headers: letter.headers.into_iter().collect(),
        body: letter.body,
        job_uid: known.job.map_or_else(String::new, |job| job.to_string()),
        kind: known.kind,
        run_id: known.run.map_or_else(String::new, |(_, name)| name),
        phase_id: known.phase,
        wanted: known.place == Place::Wanted,
    }
}
