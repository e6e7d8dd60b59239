//! Read queries around jobs that are not phases.

use autopack_domain::{
    RunUid,
    run::{Job, JobKind, JobState},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{StoreError, entity::job, rows};

/// Whether a look at the integration branch is under way by this job.
pub(crate) fn is_look(job: &Job) -> bool {
    job.kind == JobKind::IntegrationStatus && job.state != JobState::Done
}

/// The jobs of a run: the latest of its own, and what is live beside it. A kind that is not known is a fault of the
/// run.
pub(crate) async fn of_run<C: ConnectionTrait>(db: &C, run: &str) -> Result<Vec<Job>, StoreError> {
    let found = job::Entity::find()
        .filter(job::Column::RunUid.eq(run))
        .order_by_desc(job::Column::Uid)
        .all(db)
        .await?;
    let mut own = false;
    let mut kept = Vec::new();
    for row in found {
        let aside = JobKind::parse(&row.kind).is_some_and(JobKind::is_aside);
        let keep = if aside {
            row.state != JobState::Done.as_str()
        } else {
            !std::mem::replace(&mut own, true)
        };
        if keep {
            kept.push(rows::job::read(row)?);
        }
    }
    Ok(kept)
}

/// Uids of runs that have a live job, whether they have ended or not.
pub async fn runs_with_jobs<C: ConnectionTrait>(db: &C) -> Result<Vec<RunUid>, StoreError> {
    let found: Vec<String> = job::Entity::find()
        .filter(job::Column::State.ne(JobState::Done.as_str()))
        .select_only()
        .column(job::Column::RunUid)
        .distinct()
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.iter().filter_map(|uid| uid.parse().ok()).collect())
}
