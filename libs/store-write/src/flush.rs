//! The working set of a batch as multi-row statements.
//!
//! Invariant: each row is written once per batch, with its last value; the order of tables satisfies the
//! foreign keys.

use autopack_domain::Timestamp;
use autopack_store::{
    entity::{attempt, event, failure, job, phase, request, run, run_document, tier, usage_event},
    rows::{self, event::StoredEvent},
};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, Iterable,
    PrimaryKeyToColumn, Statement, sea_query::OnConflict,
};

use crate::session::Session;

/// SQLite takes at most 32,766 values a statement; this is well below for the widest table.
const ROWS: usize = 400;

pub(crate) async fn flush(
    session: &mut Session,
    events: &[StoredEvent],
    now: Timestamp,
) -> Result<u64, DbErr> {
    let mut written = 0;
    let pending = &session.pending;
    let db = &session.db;
    let mut projects = Vec::new();
    let mut runs = Vec::new();
    let mut documents = Vec::new();
    let mut tiers = Vec::new();
    let mut phases = Vec::new();
    let mut attempts = Vec::new();
    let mut jobs = Vec::new();
    let mut usage = Vec::new();
    let mut failures = Vec::new();
    for (uid, changes) in &pending.changes {
        let Some(aggregate) = session.cache.get(uid) else {
            continue;
        };
        if pending.created.contains(uid) {
            projects.push(aggregate.run.project.clone());
        }
        runs.push(rows::run::write(&aggregate.run));
        if changes.document {
            documents.push(rows::run::write_document(
                *uid,
                &aggregate.plan,
                &aggregate.strategy,
            ));
        }
        tiers.extend(
            changes
                .tiers
                .iter()
                .map(|&t| rows::tier::write(*uid, t, &aggregate.tiers[t])),
        );
        phases.extend(
            changes
                .phases
                .iter()
                .map(|&p| rows::phase::write(*uid, p, &aggregate.phases[p])),
        );
        attempts.extend(
            changes
                .attempts
                .values()
                .map(|a| rows::attempt::write(*uid, a)),
        );
        jobs.extend(changes.jobs.values().map(|j| rows::job::write(*uid, j)));
        for (n, fact) in changes.usage.iter().enumerate() {
            // Unique in the run: the last event's number leaves room for the facts of a batch.
            let number = aggregate.run.last_event * 1000 + n as u64;
            usage.push(usage_row(*uid, number, fact, now));
        }
        failures.extend(changes.failures.iter().map(|f| failure_row(*uid, f, now)));
    }
    for name in projects {
        db.execute_raw(Statement::from_sql_and_values(
            db.get_database_backend(),
            "INSERT INTO project (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
            [name.into(), now.0.into()],
        ))
        .await?;
    }
    for (name, ruleset) in &pending.rulesets {
        db.execute_raw(Statement::from_sql_and_values(
            db.get_database_backend(),
            "INSERT INTO project (name, ruleset, created_at) VALUES (?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET ruleset = excluded.ruleset",
            [name.clone().into(), ruleset.clone().into(), now.0.into()],
        ))
        .await?;
    }
    written += upsert::<run::Entity, _>(db, runs).await?;
    written += upsert::<run_document::Entity, _>(db, documents).await?;
    written += upsert::<tier::Entity, _>(db, tiers).await?;
    written += upsert::<phase::Entity, _>(db, phases).await?;
    written += upsert::<attempt::Entity, _>(db, attempts).await?;
    written += upsert::<job::Entity, _>(db, jobs).await?;
    written += insert::<usage_event::Entity, _>(db, usage).await?;
    written += upsert::<failure::Entity, _>(db, failures).await?;
    written +=
        insert::<event::Entity, _>(db, events.iter().map(rows::event::write).collect()).await?;
    let requests = pending
        .requests
        .iter()
        .map(|(key, uid)| request::ActiveModel {
            id: sea_orm::Set(key.id.clone()),
            method: sea_orm::Set(key.method.to_owned()),
            digest: sea_orm::Set(key.digest.clone()),
            run_uid: sea_orm::Set(uid.to_string()),
            at: sea_orm::Set(now.0),
        });
    written += insert::<request::Entity, _>(db, requests.collect()).await?;
    if let Some(cursor) = pending.cursor {
        db.execute_raw(Statement::from_sql_and_values(
            db.get_database_backend(),
            "UPDATE relay_cursor SET sequence = ? WHERE id = 1",
            [i64::try_from(cursor).unwrap_or(i64::MAX).into()],
        ))
        .await?;
        written += 1;
    }
    Ok(written)
}

/// Returns how many statements it took.
async fn insert<E, A>(db: &DatabaseConnection, rows: Vec<A>) -> Result<u64, DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let mut rows = rows.into_iter().peekable();
    let mut statements = 0;
    while rows.peek().is_some() {
        statements += 1;
        E::insert_many(rows.by_ref().take(ROWS))
            .exec_without_returning(db)
            .await?;
    }
    Ok(statements)
}

async fn upsert<E, A>(db: &DatabaseConnection, rows: Vec<A>) -> Result<u64, DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let mut rows = rows.into_iter().peekable();
    let mut statements = 0;
    while rows.peek().is_some() {
        statements += 1;
        let keys: Vec<E::Column> = E::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
            .collect();
        let names: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        let others = E::Column::iter().filter(|c| !names.contains(&format!("{c:?}")));
        let conflict = OnConflict::columns(keys).update_columns(others).to_owned();
        E::insert_many(rows.by_ref().take(ROWS))
            .on_conflict(conflict)
            .exec_without_returning(db)
            .await?;
    }
    Ok(statements)
}

fn usage_row(
    uid: autopack_domain::RunUid,
    number: u64,
    fact: &autopack_domain::event::UsageFact,
    now: Timestamp,
) -> usage_event::ActiveModel {
    use sea_orm::Set;
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    usage_event::ActiveModel {
        run_uid: Set(uid.to_string()),
        number: Set(signed(number)),
        phase: Set(fact.phase as i64),
        attempt_uid: Set(fact.attempt.to_string()),
        provider: Set(fact.usage.provider.clone()),
        model: Set(fact.usage.model.clone()),
        role: Set(fact.usage.role.clone()),
        purpose: Set(fact.usage.purpose.clone()),
        total: Set(signed(fact.usage.total)),
        prompt: Set(fact.usage.prompt.map(signed)),
        completion: Set(fact.usage.completion.map(signed)),
        provenance: Set(fact.usage.provenance.as_str().to_owned()),
        at: Set(now.0),
    }
}

fn failure_row(
    uid: autopack_domain::RunUid,
    fact: &autopack_domain::event::FailureFact,
    now: Timestamp,
) -> failure::ActiveModel {
    use sea_orm::Set;
    failure::ActiveModel {
        run_uid: Set(uid.to_string()),
        attempt_uid: Set(fact.attempt.to_string()),
        phase: Set(fact.phase as i64),
        cause: Set(fact.cause.clone()),
        class: Set(fact.class.clone()),
        signature: Set(fact.signature.clone()),
        raw: Set(fact.raw.clone()),
        at: Set(now.0),
    }
}
