//! Where a phase stands between its submissions, and what a worker is to apply.

use autopack_domain::submission::{Awaited, Handoff, Submission, Wait};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&Handoff> for types::Handoff {
    fn from(handoff: &Handoff) -> Self {
        Self {
            awaited: handoff
                .wait
                .map_or_else(String::new, |w| w.what.as_str().to_owned()),
            deadline_time: handoff.wait.map(|w| time_to_proto(w.until)),
            submission: handoff.submission.as_ref().map(Into::into),
            audit: handoff.audit,
            unbooked: handoff.usage.iter().map(Into::into).collect(),
            approval: handoff.approval.as_ref().map(Into::into),
        }
    }
}

impl Decode<types::Handoff> for Handoff {
    fn decode(message: types::Handoff, at: &At<'_>) -> Option<Self> {
        let what =
            at.field("awaited")
                .word_optional(&message.awaited, Awaited::parse, Awaited::spellings);
        let until = at
            .field("deadline_time")
            .time_optional(message.deadline_time);
        let submission = at.field("submission").message_optional(message.submission);
        let usage = at.field("unbooked").list(message.unbooked);
        let approval = at.field("approval").message_optional(message.approval);
        let wait = match (what?, until?) {
            (Some(what), Some(until)) => Some(Wait { what, until }),
            (None, None) => None,
            _ => return at.fault("`awaited` and `deadline_time` come together"),
        };
        Some(Self {
            wait,
            submission: submission?,
            audit: message.audit,
            usage: usage?,
            approval: approval?,
        })
    }
}

impl From<&Submission> for types::Submission {
    fn from(submission: &Submission) -> Self {
        Self {
            builder: submission.builder.clone(),
            digest: submission.digest.clone(),
            size: submission.size,
            submit_time: Some(time_to_proto(submission.at)),
            auditor: submission.auditor.clone(),
            audit_digest: submission.audit_digest.clone(),
        }
    }
}

impl Decode<types::Submission> for Submission {
    fn decode(message: types::Submission, at: &At<'_>) -> Option<Self> {
        let submitted = at.field("submit_time").time(message.submit_time)?;
        Some(Self {
            builder: message.builder,
            digest: message.digest,
            size: message.size,
            at: submitted,
            auditor: message.auditor,
            audit_digest: message.audit_digest,
        })
    }
}

super::try_from_proto!(types::Handoff => Handoff, types::Submission => Submission);
