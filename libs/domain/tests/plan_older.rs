//! Older forms of plans: what they become, and which warnings say so.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use autopack_domain::{
    Source,
    plan::{
        BuilderSpec, Complexity, Normalised, PhaseSpec, PlanForm, ReadOptions, RunScope, StepKind,
        WarningCode, read_plan,
    },
};

/// The example "Create a Run" of the deployment guide, as it stands there.
const GUIDE: &str = r#"{
    "run": {
      "run_id": "run-001",
      "safety_profile": "normal",
      "run_scope": "incremental",
      "token_cap": 5000000,
      "max_phases": 25
    },
    "tiers": [
      {
        "tier_id": "T1",
        "tier_index": 0,
        "name": "Core Features",
        "description": "Tier 1: Core feature implementation"
      }
    ],
    "phases": [
      {
        "phase_id": "P1.1",
        "phase_index": 0,
        "tier_id": "T1",
        "name": "Implement user authentication",
        "description": "Add JWT-based authentication",
        "task_category": "feature_scaffolding",
        "complexity": "medium",
        "builder_mode": "compose"
      }
    ]
  }"#;

fn read(text: &str) -> Normalised {
    read_with(text, &ReadOptions::default())
}

fn read_with(text: &str, options: &ReadOptions) -> Normalised {
    read_plan(text, options).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

fn phases(normalised: &Normalised) -> Vec<&PhaseSpec> {
    normalised
        .plan
        .tiers
        .iter()
        .flat_map(|tier| &tier.phases)
        .collect()
}

fn v1(run: &str, phase: &str) -> String {
    format!(
        "schema: autopack/plan/v1\nrun: {{ goal: Do it, {run} }}\n\
         tiers: [{{ id: T1, phases: [{{ id: P1, goal: Do it, {phase} }}] }}]\n"
    )
}

#[test]
fn the_example_of_the_guide_gives_three_warnings() {
    let read = read(GUIDE);
    let warnings: Vec<_> = read
        .warnings
        .iter()
        .map(|w| (w.code, w.path.as_str(), w.original.as_str()))
        .collect();
    assert_eq!(
        warnings,
        [
            (WarningCode::UnknownValue, "run.run_scope", "incremental"),
            (
                WarningCode::UnusualValue,
                "phases[0].builder_mode",
                "compose"
            ),
            (WarningCode::BuilderExternal, "phases", ""),
        ]
    );
    assert_eq!(read.form, PlanForm::CreationPayload);
    assert_eq!(read.plan.run.id.as_ref().unwrap().as_str(), "run-001");
    assert_eq!(read.plan.run.run_scope, RunScope::MultiTier);
    assert_eq!(
        (read.plan.run.budgets.tokens, read.plan.run.budgets.phases),
        (5_000_000, 25)
    );
    let phase = phases(&read)[0];
    assert_eq!(phase.builder, Some(BuilderSpec::external()));
    assert_eq!(phase.builder_mode, "compose");
    assert_eq!(
        (phase.name.as_str(), phase.goal.as_str()),
        (
            "Implement user authentication",
            "Add JWT-based authentication"
        )
    );
    assert_eq!(
        read.provenance["tiers[0].phases[0].builder"],
        Source::OlderForm
    );
    assert!(read.unbuilt.is_empty());
}

#[test]
fn forms_are_told_apart() {
    for (text, form) in [
        (v1("", ""), PlanForm::V1),
        (
            "phases: [{ id: a, goal: x }]".to_owned(),
            PlanForm::PhasesOnly,
        ),
        (
            "run: { goal: x }\nphases: [{ id: a, goal: x }]".to_owned(),
            PlanForm::PhasesOnly,
        ),
        (
            "phases: [{ phase_id: a, goal: x }]".to_owned(),
            PlanForm::OlderRun,
        ),
        (
            "goal: x\nphases: [{ id: a, goal: x }]".to_owned(),
            PlanForm::OlderRun,
        ),
        (
            "run: { run_id: x }\nphases: [{ id: a, goal: x }]".to_owned(),
            PlanForm::CreationPayload,
        ),
        (
            "tiers: []\nphases: [{ id: a, goal: x }]".to_owned(),
            PlanForm::CreationPayload,
        ),
    ] {
        let read = read(&text);
        assert_eq!(read.form, form, "{text}");
        assert_eq!(read.plan.tiers[0].id.as_str(), "T1", "{text}");
        assert_eq!(
            read.unbuilt.is_empty(),
            form == PlanForm::CreationPayload,
            "{text}"
        );
        assert!(!read.plan.run.goal.is_empty(), "{text}");
    }
}

#[test]
fn tiers_are_made_up_while_the_text_lists_none() {
    let text = "phases: [{ id: a, goal: x, tier_id: One }, { id: b, goal: x, tier_id: 'T 2' }, { id: c, goal: x, tier_id: One }]";
    let read = read(text);
    let tiers: Vec<_> = read
        .plan
        .tiers
        .iter()
        .map(|tier| (tier.id.as_str(), tier.phases.len()))
        .collect();
    assert_eq!(tiers, [("One", 2), ("T-2", 1)]);
    assert_eq!(read.provenance["tiers[0].id"], Source::OlderForm);
    assert_eq!(read.warnings[0].code, WarningCode::IdChanged);
}

/// Values that were found in stored data of the older system.
#[test]
fn older_values_become_defaults_with_a_named_warning() {
    use WarningCode::{
        AnnotationDropped, EntryMoved, IdChanged, PathChanged, ScopeText, UnknownKey, UnknownValue,
        UnusualValue, ValueChanged,
    };
    for (phase, codes) in [
        ("\"complexity\": \"MEDIUM\"", vec![]),
        ("\"complexity\": \"SIMPLE\"", vec![UnknownValue]),
        ("\"complexity\": \"MEDIUM-HIGH\"", vec![UnknownValue]),
        ("\"complexity\": null, \"scope\": null", vec![]),
        ("\"complexity\": 3", vec![UnknownValue]),
        ("\"builder_mode\": \"BUILD\"", vec![UnusualValue]),
        ("\"task_category\": \"IMPLEMENT_FEATURE\"", vec![]),
        ("\"estimated_tokens\": 5", vec![UnknownKey]),
        (
            "\"scope\": \"{\\\"paths\\\": [\\\"a\\\"]}\"",
            vec![ScopeText],
        ),
        ("\"scope\": \"the login only\"", vec![ScopeText]),
        ("\"scope\": [\"a\", \"b\"]", vec![ScopeText]),
        ("\"scope\": 7", vec![ScopeText]),
        ("\"scope\": {\"paths\": [\"a\\\\b\"]}", vec![PathChanged]),
        ("\"scope\": {\"paths\": []}", vec![ValueChanged]),
        ("\"scope\": {\"paths\": \"src/\"}", vec![]),
        (
            "\"scope\": {\"deliverables\": [\"src/x.py modifications\"]}",
            vec![AnnotationDropped],
        ),
        (
            "\"scope\": {\"deliverables\": [\"A nice report\", 5]}",
            vec![EntryMoved, EntryMoved],
        ),
        (
            "\"scope\": {\"protected_paths\": [\".git/\"]}",
            vec![EntryMoved],
        ),
        (
            "\"scope\": {\"read_only_context\": [{}, 1, \"a\"]}",
            vec![EntryMoved, EntryMoved],
        ),
        ("\"max_attempts\": 0, \"token_cap\": 0", vec![]),
        ("\"max_attempts\": \"3\"", vec![]),
        ("\"display_name\": 12", vec![ValueChanged]),
        ("\"x-own\": 12", vec![]),
        ("\"name\": \"two\\nlines\"", vec![ValueChanged]),
        ("\"description\": \"bell\\u0007\"", vec![ValueChanged]),
    ] {
        let text = format!("{{\"phases\": [{{\"phase_id\": \"p\", \"goal\": \"x\", {phase}}}]}}");
        let read = read(&text);
        assert_eq!(
            read.warnings
                .iter()
                .map(|warning| warning.code)
                .collect::<Vec<_>>(),
            codes,
            "{phase}"
        );
        assert_eq!(phases(&read)[0].complexity, Complexity::Medium, "{phase}");
    }
    for (id, mended) in [
        ("my phase", "my-phase"),
        ("../x", "x"),
        ("a..b", "a.b"),
        ("ä1", "1"),
        ("a.lock", "a-lock"),
    ] {
        let read = read(&format!(
            "{{\"phases\": [{{\"phase_id\": \"{id}\", \"goal\": \"x\"}}]}}"
        ));
        assert_eq!(
            (phases(&read)[0].id.as_str(), read.warnings[0].code),
            (mended, IdChanged)
        );
        assert_eq!(read.warnings[0].original, id);
    }
}

#[test]
fn older_texts_find_their_place() {
    let read = read(
        r#"{"run_id": "r", "phases": [
            {"phase_id": "a", "description": "d"},
            {"phase_id": "b", "goal": "g", "description": "d", "scope": {"notes": ["n"]}},
            {"phase_id": "c", "description": "d", "scope": {"goal": "s", "test_cmd": "t"}},
            {"phase_id": "d", "name": "n"}]}"#,
    );
    let found: Vec<_> = phases(&read)
        .iter()
        .map(|p| (p.name.clone(), p.goal.clone(), p.description.clone()))
        .collect();
    let expected = [
        ("d", "d", ""),
        ("g", "g", "d\n\nNotes:\n- n\n"),
        ("s", "s", "d"),
        ("n", "n", ""),
    ];
    assert_eq!(
        found,
        expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
    let steps = phases(&read)[2].gate.steps.clone().unwrap();
    assert_eq!(
        (steps[0].run.as_str(), steps[0].kind),
        ("t", StepKind::Test)
    );
    assert_eq!(
        read.provenance["tiers[0].phases[2].gate.steps"],
        Source::OlderForm
    );
    assert_eq!(read.plan.run.goal, "d; g; s; n");
}
