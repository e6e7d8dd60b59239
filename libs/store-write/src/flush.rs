//! The working set of a batch as multi-row statements.
//!
//! Invariant: each row is written once per batch, with its last value; the order of tables satisfies the
//! foreign keys.

use autopack_domain::Timestamp;
use autopack_store::{
    entity::{
        attempt, backlog, event, failure, integration_status, issue, job, phase, promotion, repair,
        request, run, run_document, tier, usage_event,
    },
    rows::{self, event::StoredEvent},
};
use sea_orm::DbErr;

use crate::{batch::Batch, line::Line, session::Session};

/// Writes what the session collected in the transaction of `batch`, and commits it; tells in how many statements.
pub(crate) async fn flush(
    session: &mut Session,
    line: &mut Line,
    mut batch: Batch,
    events: &[StoredEvent],
    now: Timestamp,
) -> Result<u64, DbErr> {
    let pending = &session.pending;
    let mut projects = Vec::new();
    let mut runs = Vec::new();
    let mut documents = Vec::new();
    let mut tiers = Vec::new();
    let mut phases = Vec::new();
    let mut attempts = Vec::new();
    let mut jobs = Vec::new();
    let mut promotions = Vec::new();
    let mut looks = Vec::new();
    let mut usage = Vec::new();
    let mut failures = Vec::new();
    let mut issues = Vec::new();
    let mut repairs = Vec::new();
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
                &changes.source,
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
        promotions.extend(
            changes
                .promotions
                .values()
                .map(|p| rows::promotion::write(*uid, p)),
        );
        looks.extend(
            changes
                .integration
                .iter()
                .map(|i| rows::promotion::write_status(*uid, i)),
        );
        for (n, fact) in changes.usage.iter().enumerate() {
            // Unique in the run: the last event's number leaves room for the facts of a batch.
            let number = aggregate.run.last_event * 1000 + n as u64;
            usage.push(usage_row(*uid, number, fact, now));
        }
        issues.extend(changes.issues.iter().filter_map(|(place, key)| {
            let issue = aggregate.issues.get(*place, key)?;
            Some(rows::issue::write(*uid, *place, issue))
        }));
        failures.extend(changes.failures.iter().map(|f| failure_row(*uid, f, now)));
        repairs.extend(changes.repairs.iter().map(|r| repair_row(*uid, r, now)));
    }
    let unreadable = pending.unreadable.iter();
    issues.extend(unreadable.map(|((run, _), issue)| rows::issue::write(*run, None, issue)));
    batch.projects(projects, &pending.settings, now);
    batch.upsert::<run::Entity, _>(runs);
    batch.upsert::<run_document::Entity, _>(documents);
    batch.upsert::<tier::Entity, _>(tiers);
    batch.upsert::<phase::Entity, _>(phases);
    batch.upsert::<attempt::Entity, _>(attempts);
    batch.upsert::<job::Entity, _>(jobs);
    batch.upsert::<promotion::Entity, _>(promotions);
    batch.upsert::<integration_status::Entity, _>(looks);
    batch.insert::<usage_event::Entity, _>(usage);
    batch.upsert::<failure::Entity, _>(failures);
    batch.upsert::<issue::Entity, _>(issues);
    for ((run, _), issue) in &pending.unreadable {
        batch.count_unreadable(*run, issue.occurrences > 1);
    }
    batch.insert::<repair::Entity, _>(repairs);
    let entries = pending.backlog.iter();
    let entries = entries.map(|((project, _), entry)| rows::backlog::write(project, entry));
    batch.upsert::<backlog::Entity, _>(entries.collect());
    batch.insert::<event::Entity, _>(events.iter().map(rows::event::write).collect());
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
    batch.insert::<request::Entity, _>(requests.collect());
    for (cursor, sequence) in &pending.cursors {
        batch.cursor(*cursor, *sequence);
    }
    batch.commit(line).await
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
        at: Set(fact.at.unwrap_or(now).0),
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

fn repair_row(
    uid: autopack_domain::RunUid,
    fact: &autopack_domain::event::RepairFact,
    now: Timestamp,
) -> repair::ActiveModel {
    use sea_orm::Set;
    repair::ActiveModel {
        uid: Set(fact.uid.to_string()),
        table_name: Set(fact.table.to_owned()),
        row_key: Set(fact.row.clone()),
        column_name: Set("state".to_owned()),
        run_uid: Set(uid.to_string()),
        before_value: Set(fact.before.clone()),
        after_value: Set(fact.after.to_owned()),
        rule: Set(autopack_domain::FindingCode::StateAlias.code().to_owned()),
        epoch: Set(i64::try_from(fact.epoch).unwrap_or(i64::MAX)),
        at: Set(now.0),
    }
}
