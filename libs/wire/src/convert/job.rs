//! Jobs that are not phases.

use autopack_domain::{
    Fence,
    run::{Job, JobKind, JobState},
};

use super::{
    at::{At, Decode},
    time::time_to_proto,
};
use crate::types;

impl From<&Job> for types::RepositoryJob {
    fn from(job: &Job) -> Self {
        Self {
            uid: job.uid.to_string(),
            kind: job.kind.as_str().to_owned(),
            state: types::repository_job::State::from(job.state).into(),
            fence: job.fence.0,
            worker: job.worker.map_or_else(String::new, |w| w.to_string()),
            failures: job.failures,
            not_before_time: job.not_before.map(time_to_proto),
        }
    }
}

impl Decode<types::RepositoryJob> for Job {
    fn decode(message: types::RepositoryJob, at: &At<'_>) -> Option<Self> {
        let uid = at.field("uid").parse(&message.uid);
        let kind = at
            .field("kind")
            .word(&message.kind, JobKind::parse, JobKind::spellings);
        let state = JobState::decode(message.state, &at.field("state"));
        let worker = at.field("worker").parse_optional(&message.worker);
        let not_before = at
            .field("not_before_time")
            .time_optional(message.not_before_time);
        Some(Self {
            uid: uid?,
            kind: kind?,
            state: state?,
            fence: Fence(message.fence),
            worker: worker?,
            failures: message.failures,
            not_before: not_before?,
        })
    }
}

super::try_from_proto!(types::RepositoryJob => Job);
