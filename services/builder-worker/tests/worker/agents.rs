//! Agents: driven by their adapters, judged by what they left, charged for what they used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use autopack_adapters::Manifest;
use autopack_adapters::kit::{self, Fault};
use autopack_domain::Cause;
use autopack_domain::phase::PhaseOutcome;
use autopack_domain::plan::{Adapter, AgentSpec, BuilderSpec, PhaseSpec, UnknownUsage};
use autopack_domain::run::settle::Report;
use autopack_domain::usage::Provenance;
use autopack_sandbox::Sandbox;
use builder_worker::agents::{conform, find};
use serde_json::Value;

use crate::world::{World, phase};

/// A stand-in for the adapter's agent that does `work` and plays the fault.
fn stand_in(world: &World, adapter: Adapter, fault: Fault, work: &str) -> AgentSpec {
    let scene = kit::scene(Manifest::of(adapter), fault, work);
    let folder = world.path(&format!("bin-{adapter}-{fault:?}"));
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(kit::PROGRAM);
    fs::write(&program, scene.script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join(kit::EVENTS), scene.stream).unwrap();
    AgentSpec {
        program: program.to_string_lossy().into_owned(),
        timeout_seconds: 60,
        ..AgentSpec::new(adapter)
    }
}

fn agent(id: &str, spec: AgentSpec) -> PhaseSpec {
    phase(id, BuilderSpec::Agent(spec))
}

fn fact<'r>(report: &'r Report, name: &str) -> &'r Value {
    report.facts.get(name).unwrap_or(&Value::Null)
}

/// What was booked for the attempt, on the way and at its end: total and provenance.
fn booked(world: &World, report: &Report) -> (u64, Vec<Provenance>) {
    let state = world.fake.state();
    let all = || state.usage.iter().chain(&report.usage);
    let mut provenances: Vec<Provenance> = all().map(|usage| usage.provenance).collect();
    provenances.dedup();
    (all().map(|usage| usage.total).sum(), provenances)
}

#[tokio::test]
async fn every_adapters_agent_lands_its_work_and_is_charged_what_it_told() {
    for manifest in Manifest::all() {
        let adapter = manifest.adapter();
        let mut world = World::new();
        let mut spec = stand_in(&world, adapter, Fault::None, "echo made > a.txt");
        spec.prompt = "Also mind the margins.".into();
        let report = world.execute(agent("P1", spec)).await;
        let name = &manifest.name;
        let end = (report.cause, report.outcome);
        assert_eq!(
            end,
            (None, Some(PhaseOutcome::Committed)),
            "{name}: {}",
            report.detail
        );
        assert_eq!(
            world.git(&["show", &format!("{}:a.txt", report.commit)]),
            "made"
        );
        let seen = world.path(&format!("bin-{adapter}-None/prompt-seen"));
        let seen = fs::read_to_string(seen).unwrap();
        assert!(
            seen.contains("Do it.") && seen.contains("Also mind the margins."),
            "{name}: {seen}"
        );
        let should = kit::transcript(adapter, "success").unwrap().usage;
        let (total, provenances) = booked(&world, &report);
        assert_eq!(total, should.total, "{name}");
        if should.total > 0 {
            assert_eq!(provenances.last(), Some(&should.provenance), "{name}");
        }
        assert_eq!(fact(&report, "agent"), name.as_str());
        assert_eq!(
            fact(&report, "agent_usage")["total"],
            should.total,
            "{name}"
        );
        assert!(!report.usage_unknown, "{name}");
        assert!(
            world.fake.artifact(&report, "agent-stream").is_some(),
            "{name}"
        );
        let message = world.git(&["show", "-s", "--format=%B", &report.commit]);
        assert!(message.contains("Autopack-Builder: agent"), "{message}");
    }
}

#[tokio::test]
async fn a_claim_of_failure_fails_and_a_claim_of_success_is_judged() {
    let mut world = World::new();
    let work = "echo made > a.txt";
    let failed = stand_in(&world, Adapter::Claude, Fault::ExitZeroAfterError, work);
    let report = world.execute(agent("P1", failed)).await;
    assert_eq!(report.cause, Some(Cause::BuilderFailed));
    assert!(
        report.detail.contains("Claude Code gave up (turn_limit)"),
        "{}",
        report.detail
    );
    assert_eq!(fact(&report, "agent_claim"), "turn_limit");
    assert_eq!(fact(&report, "agent_anomalies")[0], "exit_says_success");
    let silent = stand_in(&world, Adapter::Claude, Fault::NoFinalEvent, work);
    let report = world.execute(agent("P2", silent)).await;
    assert_eq!(report.cause, Some(Cause::BuilderFailed));
    assert!(
        report.detail.contains("without its final event"),
        "{}",
        report.detail
    );
    assert_eq!(fact(&report, "agent_usage")["provenance"], "derived");
    let lazy = stand_in(&world, Adapter::Claude, Fault::None, ":");
    let report = world.execute(agent("P3", lazy)).await;
    assert_eq!(report.cause, Some(Cause::NoChange), "{}", report.detail);
    let odd = stand_in(&world, Adapter::Claude, Fault::ExitOneAfterSuccess, work);
    let report = world.execute(agent("P4", odd)).await;
    assert_eq!(
        report.outcome,
        Some(PhaseOutcome::Committed),
        "{}",
        report.detail
    );
    assert_eq!(fact(&report, "agent_anomalies")[0], "exit_says_failure");
}

/// Claude's stream with this end, and no word before it.
fn claude_ends(world: &World, words: &str) -> AgentSpec {
    let spec = stand_in(world, Adapter::Claude, Fault::ExitZeroAfterError, ":");
    let end = serde_json::json!({
        "type": "result", "subtype": "error_during_execution", "is_error": true, "session_id": "s", "result": words
    });
    let stream = world
        .path("bin-claude-ExitZeroAfterError")
        .join(kit::EVENTS);
    fs::write(stream, format!("{end}\n")).unwrap();
    spec
}

#[tokio::test]
async fn a_provider_that_asks_an_agent_to_wait_costs_no_attempt() {
    let mut world = World::idle();
    let mut config = world.config();
    config.providers.patience = Duration::from_millis(1);
    world.start_on(config, |_| {});
    for (id, words, cause, least) in [
        (
            "P1",
            "API Error: 429 rate limit reached",
            Cause::ProviderPaused,
            50,
        ),
        (
            "P2",
            "You exceeded your current quota",
            Cause::ProviderExhausted,
            890,
        ),
        // It asks to wait, and nobody was let through for longer than one waits.
        (
            "P3",
            "API Error: 429 rate limit reached",
            Cause::ProviderExhausted,
            50,
        ),
    ] {
        let spec = claude_ends(&world, words);
        let report = world.execute(agent(id, spec)).await;
        assert_eq!(report.cause, Some(cause), "{id}: {}", report.detail);
        assert!(report.pause.unwrap().as_secs() > least, "{id}: {report:?}");
        assert!(
            !report.usage_unknown && report.usage.is_empty(),
            "{id}: nothing was used"
        );
    }
    let spec = claude_ends(&world, "segmentation fault");
    let report = world.execute(agent("P4", spec)).await;
    assert_eq!(
        (report.cause, report.pause),
        (Some(Cause::BuilderFailed), None)
    );
}

#[tokio::test]
async fn one_that_does_not_end_is_ended_and_its_work_is_kept() {
    let mut world = World::new();
    for (fault, id) in [(Fault::HangAfterEnd, "P1"), (Fault::SignalsIgnored, "P2")] {
        let work = format!("echo {id} > {id}.txt");
        let spec = stand_in(&world, Adapter::Opencode, fault, &work);
        let report = world.execute(agent(id, spec)).await;
        assert_eq!(
            report.outcome,
            Some(PhaseOutcome::Committed),
            "{}",
            report.detail
        );
        let anomalies = fact(&report, "agent_anomalies").to_string();
        assert!(anomalies.contains("hung_after_end"), "{anomalies}");
    }
}

#[tokio::test]
async fn tokens_that_nobody_told_are_never_zero() {
    let mut world = World::new();
    let policies = [
        (UnknownUsage::Charge, "P1"),
        (UnknownUsage::Estimate, "P2"),
        (UnknownUsage::Refuse, "P3"),
    ];
    for (unknown_usage, id) in policies {
        // It ends before it tells any.
        let work = format!("echo {id} > {id}.txt");
        let told = stand_in(&world, Adapter::Goose, Fault::None, &work);
        let stream = world.path("bin-goose-None").join(kit::EVENTS);
        fs::write(
            stream,
            kit::transcript(Adapter::Goose, "older").unwrap().bytes,
        )
        .unwrap();
        let before = world.fake.state().usage.len();
        let report = world
            .execute(agent(
                id,
                AgentSpec {
                    unknown_usage,
                    ..told
                },
            ))
            .await;
        assert_eq!(world.fake.state().usage.len(), before);
        match unknown_usage {
            UnknownUsage::Charge => {
                assert_eq!(report.cause, None, "{}", report.detail);
                assert!(report.usage_unknown && report.usage.is_empty());
            }
            UnknownUsage::Estimate => {
                assert_eq!(report.cause, None, "{}", report.detail);
                assert!(!report.usage_unknown && report.usage[0].total > 0);
                assert_eq!(report.usage[0].provenance, Provenance::Estimated);
            }
            UnknownUsage::Refuse => {
                assert_eq!(report.cause, Some(Cause::BuilderFailed));
                assert!(report.usage_unknown);
                assert!(report.detail.contains("unknown_usage"), "{}", report.detail);
            }
        }
    }
}

#[tokio::test]
async fn an_agent_gets_a_home_of_its_own_and_named_variables_only() {
    let mut world = World::new();
    let mut spec = stand_in(
        &world,
        Adapter::Claude,
        Fault::None,
        "env > a.txt; tr '\\0' ' ' < /proc/$$/cmdline > b.txt",
    );
    spec.env = [("MINE".to_owned(), "1".to_owned())].into();
    spec.model = "m-7".into();
    spec.max_turns = Some(9);
    let report = world.execute(agent("P1", spec)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let env = world.git(&["show", &format!("{}:a.txt", report.commit)]);
    let home = env
        .lines()
        .find_map(|line| line.strip_prefix("HOME="))
        .unwrap();
    assert!(
        env.contains(&format!("CLAUDE_CONFIG_DIR={home}/.claude")),
        "{env}"
    );
    assert!(
        env.contains("MINE=1") && !env.contains("CARGO_MANIFEST_DIR"),
        "{env}"
    );
    assert!(!home.is_empty() && std::env::var("HOME").unwrap_or_default() != home);
    let line = world.git(&["show", &format!("{}:b.txt", report.commit)]);
    assert!(
        line.contains("--model m-7 --max-turns 9") && !line.contains("Do it."),
        "{line}"
    );
}

#[tokio::test]
async fn a_program_that_is_missing_or_too_old_is_refused_by_name() {
    let mut world = World::new();
    let missing = AgentSpec {
        program: "no-such-agent".into(),
        ..AgentSpec::new(Adapter::Codex)
    };
    let report = world.execute(agent("P1", missing)).await;
    assert_eq!(report.cause, Some(Cause::BuilderNotFound));
    assert!(
        report.detail.contains("`no-such-agent`"),
        "{}",
        report.detail
    );
    let old = stand_in(&world, Adapter::Claude, Fault::None, ":");
    let script = fs::read_to_string(&old.program).unwrap();
    let script = script.replace("echo '2.1'", "echo '0.2.9 (Claude Code)'");
    fs::write(&old.program, script).unwrap();
    let report = world.execute(agent("P2", old)).await;
    assert_eq!(report.cause, Some(Cause::BuilderNotFound));
    assert!(
        report.detail.contains("0.2.9 is older than 1.0.0"),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn a_secret_in_the_stream_is_not_archived() {
    let mut world = World::new();
    let spec = stand_in(
        &world,
        Adapter::Plain,
        Fault::None,
        "echo x > a.txt; echo ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    );
    let report = world.execute(agent("P1", spec)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let stream = world.fake.artifact(&report, "agent-stream").unwrap();
    assert!(
        stream.contains("Formatting 3 files") && !stream.contains("ghp_abcdef"),
        "{stream}"
    );
}

#[tokio::test]
async fn every_adapter_survives_every_fault() {
    let temp = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::default();
    let mut wrong = Vec::new();
    for manifest in Manifest::all() {
        for fault in Fault::ALL {
            let folder = temp.path().join(format!("{}-{fault:?}", manifest.name));
            fs::create_dir(&folder).unwrap();
            for problem in conform(&sandbox, manifest, fault, &folder).await {
                wrong.push(format!("{}, {}: {problem}", manifest.name, fault.as_str()));
            }
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn programs_are_looked_for_and_asked() {
    let world = World::new();
    let claude = stand_in(&world, Adapter::Claude, Fault::NewerVersion, ":");
    let folder = world.path("path");
    fs::create_dir(&folder).unwrap();
    fs::copy(&claude.program, folder.join("claude")).unwrap();
    let path = std::env::join_paths([folder, "/usr/bin".into(), "/bin".into()]).unwrap();
    let scratch = world.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let look = |adapter| find_in(adapter, &path, &scratch);
    let found = look(Adapter::Claude).await;
    assert_eq!(found.probe.version.unwrap().to_string(), "999.0.0");
    assert!(
        format!("{:?}", found.verdict).contains("newer: true"),
        "{:?}",
        found.verdict
    );
    assert!(look(Adapter::Codex).await.path.is_none());
    assert!(look(Adapter::Plain).await.verdict.is_none());
}

async fn find_in(
    adapter: Adapter,
    path: &std::ffi::OsStr,
    scratch: &std::path::Path,
) -> builder_worker::agents::Found {
    find(&Sandbox::default(), Manifest::of(adapter), path, scratch).await
}
