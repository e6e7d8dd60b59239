//! Older databases are taken over: each row is told, the figures are those of plain SQL on the originals, the self-check
//! is content afterwards, and a second import changes nothing.

use std::collections::BTreeMap;

use autopack_domain::Reason;
use autopack_wire::{
    client::Clients,
    registry::{self as pb, imported_run::Outcome},
    server::Principal,
    status::from_status,
    types::run::State,
};

use crate::{
    harness::{Harness, PLAN, Place, both, request},
    history::{
        LOWER, Original, RICH, corpus, findings, import, metrics, outcomes, repairs, replays,
    },
};

both!(
    both_real_databases_import_and_figures_agree_with_sql,
    a_second_import_changes_nothing,
    state_ready_is_mended_and_recorded,
    an_id_that_is_taken_and_a_run_with_faults_are_set_aside_alone,
    an_imported_run_never_gets_work,
    a_dry_run_changes_nothing,
    refusals_of_imports_are_named,
);

async fn both_real_databases_import_and_figures_agree_with_sql(place: Place) {
    let h = Harness::start(&place).await;
    let before = findings(&h).await;
    let mut stored = 0;
    for name in [RICH, LOWER] {
        let original = Original::read(&corpus(name)).await;
        rows_add_up(&original).await;
        let runs = original.runs();
        let answers = import(&h, &runs, false).await;
        // One run is in both files, in two states of its life: the later import is the one that is refused.
        for (answer, run) in answers.iter().zip(&runs) {
            let twin = name == LOWER && metrics(&h).await.contains_key(&run.id);
            if answer.outcome() == Outcome::SetAside {
                assert!(twin, "{answer:?}");
                assert!(
                    answer.reasons[0].problem.contains("another content"),
                    "{answer:?}"
                );
            } else {
                assert_eq!(answer.outcome(), Outcome::Imported, "{answer:?}");
                stored += 1;
            }
        }
        if name == RICH {
            figures(&h, &original).await;
        }
    }
    let found = findings(&h).await;
    assert_eq!(
        found, before,
        "the self-check finds nothing about what was imported"
    );
    let all = metrics(&h).await;
    assert_eq!(all.len(), stored);
    for id in all.keys().step_by(9) {
        replays(&h, id).await;
    }
    h.stop().await;
}

/// Rows in = rows of runs + rows set aside, for each table.
async fn rows_add_up(original: &Original) {
    for (table, rows) in &original.found.tables {
        let sql = format!("SELECT 'n', COUNT(*) FROM {table}");
        let counted = original.sql(&sql).await["n"];
        assert_eq!(i64::try_from(*rows).unwrap(), counted, "{table}");
        let of_runs = original
            .found
            .runs
            .iter()
            .filter_map(|run| run.rows.get(table));
        let aside = original
            .found
            .aside
            .iter()
            .filter(|row| &row.table == table);
        let aside: Vec<_> = aside.collect();
        assert!(aside.iter().all(|row| !row.reason.is_empty()));
        assert_eq!(of_runs.sum::<u64>() + aside.len() as u64, *rows, "{table}");
    }
}

/// What reports say of the rich database, against plain SQL on it.
async fn figures(h: &Harness, original: &Original) {
    let all = metrics(h).await;
    let of = |sql: &'static str| async move { original.sql(sql).await };
    let mut states: BTreeMap<String, i64> = BTreeMap::new();
    for run in all.values() {
        let state = run.run.as_ref().unwrap().state();
        *states
            .entry(state.as_str_name().replace("STATE_", ""))
            .or_default() += 1;
    }
    let want = of(
        "SELECT CASE WHEN state LIKE 'DONE%' THEN state ELSE 'DONE_CANCELLED' END, COUNT(*) FROM runs GROUP BY 1",
    );
    assert_eq!(states, want.await);
    let per_run = |figure: fn(&pb::RunMetrics) -> u64| -> BTreeMap<String, i64> {
        let one = |(id, run): (&String, &pb::RunMetrics)| {
            (id.clone(), i64::try_from(figure(run)).unwrap())
        };
        all.iter().map(one).collect()
    };
    let complete = per_run(|r| r.run.as_ref().unwrap().counts.unwrap().complete.into());
    let want = of(
        "SELECT r.id, SUM(p.state = 'COMPLETE') FROM runs r JOIN phases p ON p.run_id = r.id GROUP BY 1",
    );
    assert_eq!(complete, want.await);
    let failed = per_run(|r| r.run.as_ref().unwrap().counts.unwrap().failed.into());
    let want = of(
        "SELECT r.id, SUM(p.state = 'FAILED') FROM runs r JOIN phases p ON p.run_id = r.id GROUP BY 1",
    );
    assert_eq!(failed, want.await);
    let skipped = per_run(|r| r.run.as_ref().unwrap().counts.unwrap().skipped.into());
    let want = of(
        "SELECT r.id, SUM(p.state NOT IN ('COMPLETE', 'FAILED')) FROM runs r JOIN phases p ON p.run_id = r.id GROUP BY 1",
    );
    assert_eq!(skipped, want.await);
    let tokens = per_run(|r| r.run.as_ref().unwrap().tokens.unwrap().settled);
    let want = of(
        "SELECT run_id, SUM(tokens) FROM (SELECT p.run_id AS run_id, COALESCE((SELECT SUM(u.prompt_tokens + u.completion_tokens) \
         FROM llm_usage_events u WHERE u.run_id = p.run_id AND u.phase_id = p.phase_id), p.tokens_used) AS tokens FROM phases p) GROUP BY 1",
    );
    assert_eq!(tokens, want.await);
    let caps = per_run(|r| r.run.as_ref().unwrap().tokens.unwrap().cap.unwrap());
    assert_eq!(caps, of("SELECT id, token_cap FROM runs").await);
    let made = of(
        "SELECT p.run_id, SUM(MAX(p.builder_attempts, EXISTS (SELECT 1 FROM llm_usage_events u WHERE u.run_id = p.run_id AND u.phase_id = p.phase_id))) FROM phases p GROUP BY 1",
    );
    let mut attempts = BTreeMap::new();
    let mut usage: BTreeMap<String, i64> = BTreeMap::new();
    for id in all.keys() {
        let request = pb::ListAttemptsRequest {
            run_id: id.clone(),
            phase_id: String::new(),
        };
        let listed = h
            .clients
            .registry
            .clone()
            .list_attempts(request)
            .await
            .unwrap();
        let n = listed.into_inner().attempts.len();
        attempts.insert(id.clone(), i64::try_from(n).unwrap());
        let request = pb::ListFactsRequest { run_id: id.clone() };
        let facts = h
            .clients
            .registry
            .clone()
            .list_facts(request)
            .await
            .unwrap();
        for event in facts.into_inner().usage {
            let used = event.usage.unwrap();
            *usage.entry(used.role).or_default() += i64::try_from(used.total).unwrap();
        }
    }
    assert_eq!(attempts, made.await);
    let want = of(
        "SELECT role, SUM(prompt_tokens + completion_tokens) FROM llm_usage_events WHERE run_id IN (SELECT id FROM runs) GROUP BY 1",
    );
    assert_eq!(usage, want.await);
    assert!(
        all.values().all(|run| !run.promotion_eligible),
        "no branch, no promotion"
    );
    tiers(h, original, &all).await;
}

/// Phases of each tier, and where the phases of foreign tiers went.
async fn tiers(h: &Harness, original: &Original, all: &BTreeMap<String, pb::RunMetrics>) {
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for id in all.keys() {
        let request = pb::GetRunReportRequest { run_id: id.clone() };
        let report = h.clients.reports().get_run_report(request).await.unwrap();
        for metrics in report.into_inner().tiers {
            let tier = metrics.tier.unwrap();
            let at = format!("{id}/{}", tier.id);
            counted.insert(at, metrics.phase_count.into());
        }
    }
    let want = original.sql(
        "SELECT p.run_id || '/' || COALESCE(t.tier_id, 'without-tier'), COUNT(*) FROM phases p \
         LEFT JOIN tiers t ON t.id = p.tier_id AND t.run_id = p.run_id GROUP BY 1",
    );
    assert_eq!(counted, want.await);
}

async fn a_second_import_changes_nothing(place: Place) {
    let h = Harness::start(&place).await;
    let runs = Original::read(&corpus(RICH)).await.runs();
    let first = import(&h, &runs, false).await;
    assert_eq!(
        outcomes(&first),
        BTreeMap::from([("OUTCOME_IMPORTED", runs.len())])
    );
    let (before, kept) = (metrics(&h).await, repairs(&h).await);
    let mut renamed = runs.clone();
    for run in &mut renamed {
        run.origin.name = "the same file under another name.db".into();
    }
    let second = import(&h, &renamed, false).await;
    assert_eq!(
        outcomes(&second),
        BTreeMap::from([("OUTCOME_PRESENT", runs.len())])
    );
    for (a, b) in first.iter().zip(&second) {
        assert_eq!(
            (&a.run_id, &a.run_uid, &a.state),
            (&b.run_id, &b.run_uid, &b.state)
        );
    }
    assert_eq!(metrics(&h).await, before);
    assert_eq!(repairs(&h).await, kept);
    h.stop().await;
}

async fn state_ready_is_mended_and_recorded(place: Place) {
    let h = Harness::start(&place).await;
    let lower = Original::read(&corpus(LOWER)).await;
    let answers = import(&h, &lower.runs(), false).await;
    assert_eq!(
        outcomes(&answers),
        BTreeMap::from([("OUTCOME_IMPORTED", 1)])
    );
    assert_eq!(answers[0].repairs.len(), 8, "a run and seven phases");
    let mut ready = lower.runs().remove(0);
    ready.id = "ready-run".into();
    ready.state = "READY".into();
    let answers = import(&h, &[ready], false).await;
    assert_eq!(answers[0].repairs[0].after, "RUN_CREATED");
    let kept = repairs(&h).await;
    assert_eq!(kept.len(), 16);
    let of = |table: &str, before: &str, after: &str| {
        let wanted = (table.to_owned(), before.to_owned(), after.to_owned());
        kept.iter().filter(|one| **one == wanted).count()
    };
    assert_eq!(of("phase", "queued", "QUEUED"), 14);
    assert_eq!(of("run", "queued", "QUEUED"), 1);
    assert_eq!(of("run", "READY", "RUN_CREATED"), 1);
    assert_eq!(h.state("ready-run").await, "STATE_DONE_CANCELLED");
    let run = h.run("ready-run").await.run.unwrap();
    assert_eq!(
        (run.cause.as_str(), run.detail.as_str()),
        ("IMPORTED_UNFINISHED", "it was RUN_CREATED")
    );
    replays(&h, "ready-run").await;
    h.stop().await;
}

async fn an_id_that_is_taken_and_a_run_with_faults_are_set_aside_alone(place: Place) {
    let h = Harness::start(&place).await;
    h.create(request(PLAN)).await.unwrap();
    let sound = Original::read(&corpus(LOWER)).await.runs().remove(0);
    let mut taken = sound.clone();
    taken.id = "DEMO".into();
    let mut unknown = sound.clone();
    unknown.id = "unknown-state".into();
    unknown.phases[3].state = "BLOCKED".into();
    let mut contradicts = sound.clone();
    contradicts.id = "contradicts".into();
    contradicts.state = "DONE_SUCCESS".into();
    let answers = import(&h, &[taken, unknown, sound, contradicts], false).await;
    let outcome: Vec<Outcome> = answers.iter().map(pb::ImportedRun::outcome).collect();
    let aside = Outcome::SetAside;
    assert_eq!(outcome, [aside, aside, Outcome::Imported, aside]);
    assert!(
        answers[0].reasons[0]
            .problem
            .contains("`demo` is stored already"),
        "{:?}",
        answers[0]
    );
    let reason = &answers[1].reasons[0];
    assert_eq!(reason.path, "phases[3].state");
    assert!(reason.allowed.contains(&"SKIPPED".to_owned()), "{reason:?}");
    assert!(
        answers[3].reasons[0].problem.contains("DONE_SUCCESS"),
        "{:?}",
        answers[3]
    );
    assert_eq!(h.state("demo").await, "STATE_QUEUED", "left as it was");
    assert_eq!(metrics(&h).await.len(), 2);
    h.stop().await;
}

async fn an_imported_run_never_gets_work(place: Place) {
    let h = Harness::start(&place).await;
    let mut run = Original::read(&corpus(LOWER)).await.runs().remove(0);
    run.state = "DONE_FAILED_ENVIRONMENT".into();
    import(&h, &[run.clone()], false).await;
    assert_eq!(
        h.run(&run.id).await.run.unwrap().state(),
        State::DoneFailedEnvironment
    );
    let dispatch = pb::ListActiveRunsRequest::default();
    let active = h
        .clients
        .dispatch
        .clone()
        .list_active_runs(dispatch)
        .await
        .unwrap();
    assert!(
        active.into_inner().run_uids.is_empty(),
        "no scheduler hears of it"
    );
    let retry = pb::RetryRunRequest {
        run_id: run.id.clone(),
        ..Default::default()
    };
    let status = h
        .clients
        .registry
        .clone()
        .retry_run(retry)
        .await
        .unwrap_err();
    let error = from_status(&status);
    assert!(
        error.is(Reason::RunState) && error.message.contains("imported"),
        "{error:?}"
    );
    h.stop().await;
}

async fn a_dry_run_changes_nothing(place: Place) {
    let h = Harness::start(&place).await;
    let run = Original::read(&corpus(LOWER)).await.runs().remove(0);
    let answers = import(&h, &[run.clone(), run.clone()], true).await;
    assert_eq!(answers[0].outcome(), Outcome::Imported);
    assert_eq!(answers[0].state, "DONE_CANCELLED");
    assert_eq!(answers[0].repairs.len(), 8);
    assert!(answers[0].run_uid.is_empty());
    assert_eq!(
        answers[1].outcome(),
        Outcome::SetAside,
        "the id would be taken"
    );
    assert!(metrics(&h).await.is_empty());
    assert!(repairs(&h).await.is_empty());
    h.stop().await;
}

async fn refusals_of_imports_are_named(place: Place) {
    let h = Harness::start(&place).await;
    let refused = |clients: Clients, request: pb::ImportRunsRequest| async move {
        let status = clients.imports().import_runs(request).await.unwrap_err();
        from_status(&status)
    };
    let error = refused(
        h.clients.clone(),
        pb::ImportRunsRequest {
            documents: vec![String::new(); 201],
            ..Default::default()
        },
    );
    assert!(error.await.is(Reason::LimitExceeded));
    let error = refused(
        h.clients.clone(),
        pb::ImportRunsRequest {
            project: "no project".into(),
            ..Default::default()
        },
    );
    assert!(error.await.is(Reason::ArgumentInvalid));
    let reader = h.as_principal(Principal::Reader);
    let error = refused(reader, pb::ImportRunsRequest::default()).await;
    assert!(error.is(Reason::PermissionDenied), "{error:?}");
    let garbage = pb::ImportRunsRequest {
        documents: vec!["{".into(), r#"{"id":"x","more":1}"#.into()],
        ..Default::default()
    };
    let answer = h.clients.imports().import_runs(garbage).await.unwrap();
    for run in answer.into_inner().runs {
        assert_eq!(run.outcome(), Outcome::SetAside);
        assert_eq!(run.reasons[0].path, "document");
    }
    h.stop().await;
}
