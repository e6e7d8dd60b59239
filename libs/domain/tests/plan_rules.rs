//! Rules of reading a plan, one table or case each: defaults and their sources, precedence, older forms.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use autopack_domain::{
    Source,
    plan::{
        BuilderSpec, Complexity, GateProfile, ModelSpec, Normalised, PhaseSpec, ReadOptions,
        StepKind, WarningCode, explain, patch_paths, plan_digest, read_builder, read_plan,
        set_patch_digest,
    },
};

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
fn defaults_and_their_sources() {
    let read = read(&v1("", "task_category: security_auth"));
    let run = &read.plan.run;
    assert_eq!(
        (run.budgets.tokens, run.budgets.phases, run.budgets.minutes),
        (5_000_000, 25, 120)
    );
    assert_eq!((run.base.as_str(), run.priority), ("HEAD", 5));
    let phase = phases(&read)[0];
    assert_eq!(
        (phase.complexity, phase.gate.profile),
        (Complexity::High, GateProfile::Strict)
    );
    assert_eq!(
        (phase.max_attempts, phase.tokens, &phase.gate.steps),
        (None, None, &None)
    );
    assert_eq!(phase.scope.paths, None);
    for (path, source) in [
        ("run.goal", Source::Plan),
        ("run.id", Source::Derived),
        ("run.project", Source::Repository),
        ("run.base", Source::Builtin),
        ("run.budgets.tokens", Source::Builtin),
        ("run.budgets.phases", Source::Builtin),
        ("tiers[0].name", Source::Derived),
        ("tiers[0].phases[0].complexity", Source::Category),
        ("tiers[0].phases[0].gate.profile", Source::Category),
        ("tiers[0].phases[0].gate.steps", Source::Repository),
        ("tiers[0].phases[0].max_attempts", Source::Category),
        ("tiers[0].phases[0].builder_mode", Source::Builtin),
        ("tiers[0].phases[0].name", Source::Derived),
        ("tiers[0].phases[0].depends_on", Source::Derived),
        ("tiers[0].phases[0].limits.files", Source::Builtin),
    ] {
        assert_eq!(read.provenance.get(path), Some(&source), "{path}");
    }
    assert_eq!(read.unbuilt.len(), 1);
    assert!(explain(&read).contains("complexity: \"high\""));
}

#[test]
fn the_cap_on_phases_grows_with_the_plan() {
    let list: Vec<String> = (0..40)
        .map(|n| format!("{{ id: P{n}, goal: x }}"))
        .collect();
    let list = list.join(", ");
    let text = format!(
        "schema: autopack/plan/v1\nrun: {{ goal: x }}\ntiers: [{{ id: T1, phases: [{list}] }}]\n"
    );
    let read = read(&text);
    assert_eq!(read.plan.run.budgets.phases, 40);
    assert_eq!(read.provenance["run.budgets.phases"], Source::Derived);
    let text = text.replace(
        "goal: x }\ntiers",
        "goal: x, budgets: { phases: 3 } }\ntiers",
    );
    let capped = read_with(&text, &ReadOptions::default());
    assert_eq!(capped.plan.run.budgets.phases, 3);
    assert_eq!(capped.warnings[0].code, WarningCode::PhaseCapLow);
}

#[test]
fn flags_win_over_the_plan_and_the_environment_fills_gaps() {
    let options = ReadOptions {
        default_builder: Some(BuilderSpec::Noop),
        project: Some("flagged".to_owned()),
        run_id: "from-flag".parse().ok(),
        base: Some("v1.2".to_owned()),
        ci_profile: Some(GateProfile::Strict),
        max_attempts: Some(7),
        ..ReadOptions::default()
    };
    let run = "id: a, project: b, base: c, default_builder: { kind: external }";
    let with = read_with(&v1(run, ""), &options);
    let (run, phase) = (&with.plan.run, phases(&with)[0]);
    assert_eq!(run.id.as_ref().unwrap().as_str(), "from-flag");
    assert_eq!(
        (run.project.as_str(), run.base.as_str()),
        ("flagged", "v1.2")
    );
    assert_eq!(phase.builder, Some(BuilderSpec::Noop));
    assert_eq!(
        (phase.max_attempts, phase.gate.profile),
        (Some(7), GateProfile::Strict)
    );
    for (path, source) in [
        ("run.id", Source::Flag),
        ("tiers[0].phases[0].builder", Source::Flag),
        ("tiers[0].phases[0].max_attempts", Source::Environment),
        ("tiers[0].phases[0].gate.profile", Source::Environment),
    ] {
        assert_eq!(with.provenance[path], source, "{path}");
    }
    let own = read_with(
        &v1(
            "max_attempts: 2, gate: { profile: normal }",
            "builder: { kind: external }, max_attempts: 1",
        ),
        &options,
    );
    let phase = phases(&own)[0];
    assert_eq!(phase.builder, Some(BuilderSpec::external()));
    assert_eq!(
        (phase.max_attempts, phase.gate.profile),
        (Some(1), GateProfile::Normal)
    );
    for bad in ["-x", "", "a b", "a..b", "HEAD:x"] {
        let options = ReadOptions {
            base: Some(bad.to_owned()),
            ..ReadOptions::default()
        };
        assert_eq!(
            read_plan(&v1("", ""), &options).expect_err(bad)[0].path,
            "--base"
        );
    }
    let options = ReadOptions {
        max_attempts: Some(0),
        ..ReadOptions::default()
    };
    assert_eq!(
        read_plan(&v1("", ""), &options).expect_err("0")[0].path,
        "MAX_ATTEMPTS"
    );
}

#[test]
fn gates_are_merged_key_by_key() {
    let run = "gate: { profile: strict, setup: [prepare], steps: [test] }";
    for (gate, profile, setup, steps) in [
        ("", GateProfile::Strict, 1, Some(1)),
        ("gate: {}", GateProfile::Strict, 1, Some(1)),
        ("gate: { profile: normal }", GateProfile::Normal, 1, Some(1)),
        ("gate: { steps: [a, b] }", GateProfile::Strict, 1, Some(2)),
        ("gate: { steps: [] }", GateProfile::Strict, 0, Some(0)),
        ("gate: { setup: [] }", GateProfile::Strict, 0, Some(1)),
    ] {
        let read = read(&v1(run, gate));
        let found = &phases(&read)[0].gate;
        let lengths = (found.setup.len(), found.steps.as_ref().map(Vec::len));
        assert_eq!(
            (found.profile, lengths),
            (profile, (setup, steps)),
            "{gate}"
        );
        assert!(found.setup.iter().all(|step| step.kind == StepKind::Check));
        assert!(
            found
                .steps
                .iter()
                .flatten()
                .all(|step| step.kind == StepKind::Test && step.timeout_seconds == 600)
        );
    }
}

#[test]
fn scope_and_dependencies_tell_left_out_from_empty() {
    for (scope, paths) in [
        ("", None),
        ("scope: {}", None),
        ("scope: { paths: [] }", Some(vec![])),
        (
            "scope: { paths: [./a//b, a/b, 'src/**'] }",
            Some(vec!["a/b", "src/**"]),
        ),
    ] {
        let read = read(&v1("", scope));
        let found = phases(&read)[0].scope.paths.clone();
        assert_eq!(
            found,
            paths.map(|list| list.iter().map(ToString::to_string).collect()),
            "{scope}"
        );
    }
    let read = read(
        "schema: autopack/plan/v1\nrun: { goal: x }\ntiers:\n\
         - { id: T1, phases: [{ id: A, goal: x }, { id: B, goal: x }, { id: C, goal: x, depends_on: [] }] }\n\
         - { id: T2, phases: [{ id: D, goal: x }, { id: E, goal: x, depends_on: [A, D] }] }\n",
    );
    let found: Vec<String> = phases(&read)
        .iter()
        .map(|phase| {
            phase
                .depends_on
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    assert_eq!(found, ["", "A", "", "", "A,D"]);
}

#[test]
fn patches_get_their_digests() {
    let text = v1("", "builder: { kind: patch, patch: [a.patch, ./b.patch] }");
    let mut plan = read(&text).plan;
    let before = plan_digest(&plan);
    let found: Vec<_> = patch_paths(&plan)
        .map(|(phase, index, patch)| (phase.id.clone(), index, patch.path.clone()))
        .collect();
    assert_eq!(
        found
            .iter()
            .map(|(_, index, path)| (*index, path.as_str()))
            .collect::<Vec<_>>(),
        [(0, "a.patch"), (1, "b.patch")]
    );
    let id = found[0].0.clone();
    assert!(
        set_patch_digest(&mut plan, &id, 1, "ff") && !set_patch_digest(&mut plan, &id, 2, "ff")
    );
    assert!(!set_patch_digest(
        &mut plan,
        &"other".parse().unwrap(),
        0,
        "ff"
    ));
    assert_ne!(plan_digest(&plan), before);
}

#[test]
fn builders_of_the_command_line() {
    assert_eq!(read_builder("noop"), Ok(BuilderSpec::Noop));
    assert_eq!(read_builder("external"), Ok(BuilderSpec::external()));
    assert_eq!(
        read_builder("model: m-1"),
        Ok(BuilderSpec::Model(ModelSpec::new("m-1")))
    );
    let Ok(BuilderSpec::Agent(agent)) = read_builder("agent:codex") else {
        panic!()
    };
    assert_eq!(
        (agent.adapter.as_str(), agent.timeout_seconds),
        ("codex", 1800)
    );
    let Ok(BuilderSpec::Command {
        run,
        timeout_seconds: 1800,
        ..
    }) = read_builder("command:echo a:b")
    else {
        panic!()
    };
    assert_eq!(run, "echo a:b");
    assert!(matches!(
        read_builder("{ kind: command, run: make, timeout_seconds: 5 }"),
        Ok(BuilderSpec::Command {
            timeout_seconds: 5,
            ..
        })
    ));
    for bad in [
        "",
        "nop",
        "command:",
        "replay:a/b",
        "agent:clod",
        "agent:acp",
        "[",
        "{ kind: noop, x: 1 }",
        "magic:x",
    ] {
        let faults = read_builder(bad).expect_err(bad);
        assert!(
            !faults.is_empty() && faults.iter().all(|fault| fault.path.starts_with("builder")),
            "{bad}: {faults:?}"
        );
    }
}
