//! Bad rows beneath the code: named by the self-check, mended where the alias table knows them, and never in the way
//! of another run. The scenarios of the requirements stand here under their own names.

use autopack_domain::{Finding, FindingCode as Code, Reason};
use autopack_wire::{registry as pb, status::from_status};
use run_registry::{RegistryConfig, SelfRepair};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(
    state_ready_in_the_database,
    state_ready_in_the_database_is_mended_at_the_start_if_that_is_asked_for,
    a_repair_touches_no_row_that_a_worker_may_hold,
    phase_without_a_run,
    run_id_equal_to_phase_id,
    every_kind_of_bad_row_is_named_and_fails_no_list,
    the_documentation_names_tables_plans_and_requests,
);

async fn diagnose(h: &Harness, run: &str) -> Vec<Finding> {
    let request = pb::DiagnoseRequest {
        run_id: run.into(),
        ..Default::default()
    };
    let answer = h.clients.doctor().diagnose(request).await.unwrap();
    let found = answer.into_inner().findings.into_iter();
    found.map(|f| Finding::try_from(f).unwrap()).collect()
}

async fn repair(h: &Harness, validate_only: bool) -> pb::RepairResponse {
    let request = pb::RepairRequest {
        validate_only,
        ..Default::default()
    };
    let answer = h.clients.doctor().repair(request).await.unwrap();
    answer.into_inner()
}

async fn aside(h: &Harness) -> Vec<String> {
    let mut registry = h.clients.registry.clone();
    let answer = registry.get_info(pb::GetInfoRequest {}).await.unwrap();
    answer.into_inner().set_aside
}

async fn listed(h: &Harness) -> Vec<String> {
    let mut registry = h.clients.registry.clone();
    let list = registry.list_runs(pb::ListRunsRequest::default()).await;
    let runs = list.unwrap().into_inner().runs;
    runs.into_iter().map(|run| run.id).collect()
}

/// Runs `demo` and `other`, then this damage, then a start that may mend.
async fn damaged(place: &Place, damage: &[(&str, &str)], mode: SelfRepair) -> Harness {
    let h = Harness::start(place).await;
    h.create(request(PLAN)).await.unwrap();
    let other = PLAN.replace("id: demo", "id: other");
    h.create(request(&other)).await.unwrap();
    h.stop().await;
    for (table, sql) in damage {
        place.damage(table, sql).await;
    }
    let config = RegistryConfig {
        self_repair: mode,
        ..place.config("http://one:1")
    };
    let mut h = Harness::stand_by(place, config).await;
    if let Some(serving) = &h.serving {
        assert!(serving.until_active().await, "{:?}", h.supervisor.running());
    }
    h.worker = h.register().await;
    h
}

const DEMO: &str = "(SELECT uid FROM run WHERE id = 'demo')";

/// The run goes from its bootstrap to its end.
async fn is_worked_on(h: &Harness, id: &str) {
    let run = h.run(id).await.run.unwrap();
    h.bootstrap(&run).await;
    for phase in [0, 1] {
        let lease = h.lease(&run, phase).await;
        h.settle(&run, &lease, "").await.unwrap();
    }
    assert_eq!(h.state(id).await, "STATE_DONE_SUCCESS");
}

async fn state_ready_in_the_database(place: Place) {
    let ready = "UPDATE run SET state = 'READY' WHERE id = 'demo'";
    let h = damaged(&place, &[("run", ready)], SelfRepair::Report).await;
    assert_eq!(aside(&h).await.len(), 1);
    assert_eq!(listed(&h).await, ["other"], "the list answers");
    let found = diagnose(&h, "demo").await;
    let finding = found.iter().find(|f| f.code == Code::StateAlias);
    let finding = finding.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(finding.value.as_deref(), Some("READY"));
    assert_eq!(finding.safe.as_deref(), Some("RUN_CREATED"));
    assert!(finding.valid.contains(&"PLAN_BOOTSTRAP".to_owned()));
    assert_eq!(finding.run, "demo");
    // Told, not done.
    let would = repair(&h, true).await.repairs;
    assert_eq!(would.len(), 1, "{would:?}");
    assert_eq!(aside(&h).await.len(), 1);
    let done = repair(&h, false).await;
    assert_eq!(done.repairs.len(), 1, "{done:?}");
    let record = &done.repairs[0];
    assert_eq!(
        (
            record.table.as_str(),
            record.before.as_str(),
            record.after.as_str()
        ),
        ("run", "READY", "RUN_CREATED")
    );
    assert_eq!(record.rule, "STATE_ALIAS");
    assert!(
        done.left.iter().all(|f| f.code == "CONSTRAINT_MISSING"),
        "{:?}",
        done.left
    );
    assert!(aside(&h).await.is_empty(), "the run is served again");
    is_worked_on(&h, "demo").await;
    is_worked_on(&h, "other").await;
    assert!(repair(&h, false).await.repairs.is_empty(), "once");
    let request = pb::ListRepairsRequest { limit: 0 };
    let kept = h.clients.doctor().list_repairs(request).await;
    assert_eq!(kept.unwrap().into_inner().repairs, done.repairs);
    h.stop().await;
}

async fn state_ready_in_the_database_is_mended_at_the_start_if_that_is_asked_for(place: Place) {
    let lower = format!("UPDATE phase SET state = 'queued' WHERE run_uid = {DEMO}");
    let damage = [
        ("run", "UPDATE run SET state = 'READY' WHERE id = 'demo'"),
        ("phase", lower.as_str()),
    ];
    let h = damaged(&place, &damage, SelfRepair::Safe).await;
    assert!(aside(&h).await.is_empty());
    let request = pb::ListRepairsRequest { limit: 0 };
    let kept = h.clients.doctor().list_repairs(request).await;
    assert_eq!(kept.unwrap().into_inner().repairs.len(), 3);
    is_worked_on(&h, "demo").await;
    h.stop().await;
}

async fn a_repair_touches_no_row_that_a_worker_may_hold(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    h.lease(&run, 0).await;
    let damage = "UPDATE phase SET state = 'queued' WHERE idx = 1";
    place.damage("phase", damage).await;
    let done = repair(&h, false).await;
    assert!(done.repairs.is_empty(), "{done:?}");
    let left = done.left.iter().find(|f| f.code == "STATE_ALIAS");
    let left = left.unwrap_or_else(|| panic!("{:?}", done.left));
    assert!(
        left.safe.is_none() && left.fix.contains("lease"),
        "{left:?}"
    );
    h.stop().await;
}

async fn phase_without_a_run(place: Place) {
    let orphan = "INSERT INTO phase (run_uid, idx, id, tier, place, state, attempts_made, attempts_charged, infra_charged, crashes, conflicts, detail, commit_sha, tokens_reserved, tokens_settled) VALUES ('0197a4c2-0000-7000-8000-00000000beef', 0, 'lonely', 0, 0, 'QUEUED', 0, 0, 0, 0, 0, '', '', 0, 0)";
    let h = damaged(&place, &[("phase", orphan)], SelfRepair::Safe).await;
    assert_eq!(listed(&h).await.len(), 2);
    let found = diagnose(&h, "").await;
    let orphan = found.iter().find(|f| f.code == Code::RowOrphaned);
    let orphan = orphan.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(
        (orphan.place.table.as_str(), orphan.place.column.as_str()),
        ("phase", "run_uid")
    );
    assert!(
        orphan.place.row.ends_with("beef/0") && orphan.safe.is_none(),
        "{orphan:?}"
    );
    is_worked_on(&h, "demo").await;
    h.stop().await;
}

async fn run_id_equal_to_phase_id(place: Place) {
    let h = Harness::start(&place).await;
    let one = |id: &str, phase: &str| {
        format!(
            "{{ schema: autopack/plan/v1, run: {{ id: {id}, goal: g, project: demo }}, tiers: [{{ id: T1, phases: [{{ id: {phase}, goal: g, builder: {{ kind: noop }}, gate: {{ steps: [] }} }}] }}] }}"
        )
    };
    for n in 0..5 {
        let plan = one(&format!("build-{n}"), &format!("build-{n}-phase1"));
        let made = h.create(request(&plan)).await.unwrap();
        assert!(made.warnings.is_empty(), "{:?}", made.warnings);
    }
    let made = h.create(request(&one("odd", "odd"))).await.unwrap();
    assert_eq!(made.warnings.len(), 1, "a warning, and the run is there");
    assert_eq!(made.warnings[0].code, "ID_CONVENTION");
    assert_eq!(made.warnings[0].path, "tiers[0].phases[0].id");
    let found = diagnose(&h, "").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code, Code::RunIdEqualsPhaseId);
    assert!(!found[0].code.is_error() && found[0].run == "odd");
    let ids = pb::InferIdsRequest::default();
    let ids = h.clients.doctor().infer_ids(ids).await.unwrap();
    let ids = ids.into_inner();
    assert_eq!(
        (
            ids.single_phase_same_id,
            ids.single_phase_parent_child,
            ids.multi_phase_parent_child
        ),
        (1, 5, 0)
    );
    assert!(ids.convention == "parent_child" && !ids.assumed);
    assert_eq!(ids.offenders.len(), 1);
    h.stop().await;
}

async fn every_kind_of_bad_row_is_named_and_fails_no_list(place: Place) {
    // Each damages `demo` alone; what it must be called, and where.
    let cases: Vec<(&str, String, Code, &str)> = vec![
        (
            "run",
            "UPDATE run SET state = 'RUNNING' WHERE id = 'demo'".into(),
            Code::ValueUnknown,
            "state",
        ),
        (
            "run",
            "UPDATE run SET priority = 77 WHERE id = 'demo'".into(),
            Code::ValueMalformed,
            "priority",
        ),
        (
            "run",
            "UPDATE run SET facts = '[]' WHERE id = 'demo'".into(),
            Code::JsonInvalid,
            "facts",
        ),
        (
            "run",
            "UPDATE run SET id_fold = 'x' WHERE id = 'demo'".into(),
            Code::RecordDiffers,
            "id_fold",
        ),
        (
            "run",
            "UPDATE run SET count_queued = 9 WHERE id = 'demo'".into(),
            Code::RecordDiffers,
            "count_queued",
        ),
        (
            "run_document",
            format!("UPDATE run_document SET strategy = '{{}}' WHERE run_uid = {DEMO}"),
            Code::JsonInvalid,
            "strategy",
        ),
        (
            "run_document",
            format!("DELETE FROM run_document WHERE run_uid = {DEMO}"),
            Code::RowMissing,
            "",
        ),
        (
            "tier",
            format!("UPDATE tier SET state = 'OPEN' WHERE run_uid = {DEMO}"),
            Code::ValueUnknown,
            "state",
        ),
        (
            "tier",
            format!("DELETE FROM tier WHERE run_uid = {DEMO}"),
            Code::RowMissing,
            "",
        ),
        (
            "phase",
            format!("UPDATE phase SET outcome = 'fine' WHERE run_uid = {DEMO}"),
            Code::ValueUnknown,
            "outcome",
        ),
        (
            "phase",
            format!("UPDATE phase SET tier = 9 WHERE run_uid = {DEMO}"),
            Code::RowMissing,
            "tier",
        ),
        (
            "phase",
            format!("DELETE FROM phase WHERE run_uid = {DEMO}"),
            Code::RowMissing,
            "",
        ),
    ];
    let h = Harness::start(&place).await;
    for n in 0..=cases.len() {
        let plan = PLAN.replace("id: demo", &format!("id: demo-{n}"));
        h.create(request(&plan)).await.unwrap();
    }
    h.stop().await;
    for (n, (table, sql, ..)) in cases.iter().enumerate() {
        let sql = sql.replace("'demo'", &format!("'demo-{n}'"));
        place
            .damage(table, &sql.replace("'x'", &format!("'x{n}'")))
            .await;
    }
    let h = Harness::start(&place).await;
    let found = diagnose(&h, "").await;
    for (n, (table, sql, code, column)) in cases.iter().enumerate() {
        let hit = found.iter().any(|f| {
            let of = (f.code, f.place.table.as_str(), f.place.column.as_str());
            of == (*code, *table, *column) && f.run == format!("demo-{n}")
        });
        assert!(hit, "{sql}: {found:#?}");
    }
    let last = format!("demo-{}", cases.len());
    assert!(listed(&h).await.contains(&last));
    is_worked_on(&h, &last).await;
    assert!(
        repair(&h, false).await.repairs.is_empty(),
        "none of these is safe"
    );
    h.stop().await;
}

async fn the_documentation_names_tables_plans_and_requests(place: Place) {
    let h = Harness::start(&place).await;
    let ask = async |subject: &str| {
        let request = pb::DescribeSchemaRequest {
            subject: subject.into(),
        };
        h.clients.doctor().describe_schema(request).await
    };
    let field = |subject: &pb::SchemaSubject, name: &str| {
        let found = subject.fields.iter().find(|f| f.name == name);
        found
            .unwrap_or_else(|| panic!("{name}: {subject:?}"))
            .clone()
    };
    let phase = ask("phase").await.unwrap().into_inner().subjects.remove(0);
    let state = field(&phase, "state");
    assert!(
        state.required && state.allowed.contains(&"QUEUED".to_owned()),
        "{state:?}"
    );
    let cause = field(&phase, "cause");
    assert!(
        !cause.required && cause.allowed.contains(&"GATE_FAILED".to_owned()),
        "{cause:?}"
    );
    assert!(phase.example_json.contains("QUEUED"));
    let plan = ask("plan").await.unwrap().into_inner().subjects.remove(0);
    assert!(field(&plan, "run.goal").required);
    let base = field(&plan, "run.base");
    assert_eq!(
        (base.default_value.as_str(), base.required),
        ("HEAD", false)
    );
    let create = ask("CreateRunRequest")
        .await
        .unwrap()
        .into_inner()
        .subjects
        .remove(0);
    assert!(field(&create, "document").required);
    let document = ask("run_document")
        .await
        .unwrap()
        .into_inner()
        .subjects
        .remove(0);
    assert!(
        field(&document, "plan")
            .json_schema
            .contains("protected_paths")
    );
    let issues = ask("ListIssuesRequest")
        .await
        .unwrap()
        .into_inner()
        .subjects
        .remove(0);
    let severity = field(&issues, "severity");
    assert_eq!(severity.allowed, ["minor", "major"]);
    assert_eq!(
        (severity.default_value.as_str(), severity.example.as_str()),
        ("\"\"", "\"minor\"")
    );
    for subject in [&plan, &create, &issues] {
        for f in &subject.fields {
            let at = format!("{}.{}: {f:?}", subject.name, f.name);
            assert!(!f.description.is_empty() && !f.example.is_empty(), "{at}");
            assert_eq!(f.required, f.default_source.is_empty(), "{at}");
        }
    }
    // A request and a plan of nothing but what is said to be required (of a phase, its name or its goal), and who builds.
    let required = |subject: &pb::SchemaSubject| -> Vec<String> {
        let fields = subject.fields.iter().filter(|f| f.required);
        fields.map(|f| f.name.clone()).collect()
    };
    assert_eq!(required(&create), ["document", "repository"]);
    let top: Vec<String> = required(&plan)
        .into_iter()
        .filter(|path| path.matches('.').count() < 3)
        .collect();
    assert_eq!(
        top,
        [
            "schema",
            "run",
            "run.goal",
            "tiers",
            "tiers[].id",
            "tiers[].phases",
            "tiers[].phases[].id"
        ]
    );
    let request = pb::CreateRunRequest {
        document: r#"{"schema":"autopack/plan/v1","run":{"goal":"g"},"tiers":[{"id":"T1","phases":[{"id":"P1.1","goal":"g"}]}]}"#.into(),
        repository: "/r".into(),
        default_builder_json: r#"{"kind":"noop"}"#.into(),
        ..pb::CreateRunRequest::default()
    };
    let made = h
        .clients
        .registry
        .clone()
        .create_run(request)
        .await
        .unwrap()
        .into_inner();
    assert!(made.run.is_some(), "{made:?}");
    let all = ask("").await.unwrap().into_inner();
    assert!(all.subjects.len() > 20 && all.known.len() > all.subjects.len());
    let refused = ask("phases").await.unwrap_err();
    assert!(
        from_status(&refused).is(Reason::ArgumentInvalid),
        "{refused:?}"
    );
    h.stop().await;
}
