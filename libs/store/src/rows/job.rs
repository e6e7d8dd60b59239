//! `job`.

use autopack_domain::{
    Fence, JobUid, RunUid, WorkerUid,
    run::{Job, JobKind, JobState},
};
use sea_orm::ActiveValue::Set;

use super::{closed, parse, signed, small, time, unsigned};
use crate::{CorruptRow, entity::job};

/// A row as a job.
pub fn read(row: job::Model) -> Result<Job, CorruptRow> {
    let id = row.uid.clone();
    Ok(Job {
        uid: parse("job", &id, "uid", &row.uid, |t| t.parse::<JobUid>().ok())?,
        kind: closed(
            "job",
            &id,
            "kind",
            &row.kind,
            JobKind::parse,
            JobKind::spellings,
        )?,
        state: closed(
            "job",
            &id,
            "state",
            &row.state,
            JobState::parse,
            JobState::spellings,
        )?,
        fence: Fence(unsigned(row.fence)),
        worker: row
            .worker_uid
            .as_deref()
            .map(|w| parse("job", &id, "worker_uid", w, |t| t.parse::<WorkerUid>().ok()))
            .transpose()?,
        failures: small(row.failures),
        not_before: time(row.not_before),
    })
}

/// A job as a row.
pub fn write(run: RunUid, job: &Job) -> job::ActiveModel {
    job::ActiveModel {
        uid: Set(job.uid.to_string()),
        run_uid: Set(run.to_string()),
        kind: Set(job.kind.as_str().to_owned()),
        state: Set(job.state.as_str().to_owned()),
        fence: Set(signed(job.fence.0)),
        worker_uid: Set(job.worker.map(|w| w.to_string())),
        failures: Set(job.failures.into()),
        not_before: Set(job.not_before.map(|t| t.0)),
    }
}
