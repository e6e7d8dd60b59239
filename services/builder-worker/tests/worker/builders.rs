//! Builders: patches, commands, and what of them is refused.

use autopack_domain::Cause;
use autopack_domain::phase::PhaseOutcome;
use autopack_domain::plan::BuilderSpec;

use crate::world::{World, adding, command, phase, readme, until};

#[tokio::test]
async fn a_patch_lands_with_its_trailers_and_the_checkout_is_untouched() {
    let mut world = World::new();
    world.fake.state().completed_tier = Some(("T1".into(), 0));
    let spec = world.patch_phase("P1", &readme("Uno"));
    let report = world.execute(spec).await;
    assert_eq!(
        (report.cause, report.outcome),
        (None, Some(PhaseOutcome::Committed))
    );
    assert_eq!(world.branch().as_deref(), Some(report.commit.as_str()));
    let base = world.fake.state().run.base_sha.clone();
    assert_eq!(
        world.git(&["rev-parse", &format!("{}^", report.commit)]),
        base
    );
    assert_eq!(
        world.git(&["show", "-s", "--format=%an <%ae>%n%B", &report.commit]),
        "Autopack <autopack@localhost>\nP1: Phase P1\n\nAutopack-Run: demo\n\
         Autopack-Run-Uid: 00000000-0000-0000-0000-000000000001\nAutopack-Phase: P1\nAutopack-Attempt: 1\n\
         Autopack-Fence: 1\nAutopack-Builder: patch\nAutopack-Gate: not_required"
    );
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    until("the snapshot is told", || {
        !world.fake.state().snapshots.is_empty()
    })
    .await;
    assert_eq!(world.fake.state().snapshots, [(0, report.commit.clone())]);
    assert_eq!(world.private_ref("tier/T1"), Some(report.commit.clone()));
    assert_eq!(world.private_ref("attempt/P1/1"), Some(report.commit));
}

#[tokio::test]
async fn a_noop_costs_two_calls_and_touches_nothing() {
    let mut world = World::new();
    let report = world.execute(phase("P1", BuilderSpec::Noop)).await;
    assert_eq!(report.outcome, Some(PhaseOutcome::NoChange));
    assert_eq!(report.gate, "not_required");
    assert_eq!(world.fake.state().calls, ["lease_job", "settle"]);
    assert!(!world.path("data/repos").read_dir().unwrap().any(|_| true));
    assert_eq!(world.branch(), None);
}

#[tokio::test]
async fn patches_that_cannot_land_say_why() {
    let mut world = World::new();
    let unreadable = world.patch_phase("P1", b"nonsense\n");
    assert_eq!(
        world.execute(unreadable).await.cause,
        Some(Cause::PatchUnreadable)
    );
    let elsewhere =
        b"--- a/README.md\n+++ b/README.md\n@@ -1,3 +1,3 @@\n # Other\n \n-Zero\n+Uno\n";
    let elsewhere = world.patch_phase("P2", elsewhere);
    assert_eq!(
        world.execute(elsewhere).await.cause,
        Some(Cause::PatchDoesNotApply)
    );
    let mut lost = world.patch_phase("P3", &readme("Uno"));
    if let Some(BuilderSpec::Patch { patches }) = &mut lost.builder {
        patches[0].digest = "0".repeat(64);
    }
    assert_eq!(
        world.execute(lost).await.cause,
        Some(Cause::PatchUnreadable)
    );
    assert_eq!(world.branch(), None);
}

#[tokio::test]
async fn a_patch_that_is_there_already_completes_without_a_commit() {
    let mut world = World::new();
    let first = world.patch_phase("P1", &readme("Uno"));
    let landed = world.execute(first).await;
    let again = world.patch_phase("P2", &readme("Uno"));
    let report = world.execute(again).await;
    assert_eq!(report.outcome, Some(PhaseOutcome::AlreadyPresent));
    assert_eq!(world.branch(), Some(landed.commit));
}

#[tokio::test]
async fn out_of_scope_is_refused_with_every_path_and_the_work_is_kept() {
    let mut world = World::new();
    let mut spec = world.patch_phase("P1", &[readme("Uno"), adding("docs/a.md", "a")].concat());
    spec.scope.paths = Some(vec!["src/**".into()]);
    let report = world.execute(spec).await;
    assert_eq!(report.cause, Some(Cause::OutOfScope));
    assert!(report.detail.contains("README.md") && report.detail.contains("docs/a.md"));
    assert_eq!(world.branch(), None);
    let kept = world.private_ref("attempt/P1/1").unwrap();
    assert!(!kept.is_empty());
    assert!(
        world
            .fake
            .artifact(&report, "diff")
            .unwrap()
            .contains("+Uno")
    );
    assert!(report.failure.is_some());
}

#[tokio::test]
async fn a_command_lands_and_its_usage_is_booked_once() {
    let mut world = World::new();
    world.fake.state().previous = ("GATE_FAILED".into(), "tests::x is red".into());
    let script = r#"
        grep -q 'Do it.' "$AUTOPACK_GOAL_FILE" && grep -q 'tests::x is red' "$AUTOPACK_PREVIOUS_FAILURE_FILE" || exit 9
        test "$AUTOPACK_RUN_ID/$AUTOPACK_PHASE_ID/$AUTOPACK_ATTEMPT" = demo/P1/1 || exit 8
        git status --porcelain | grep -q . && exit 7
        echo '{"model": "m", "total_tokens": 10}' > "$AUTOPACK_USAGE_FILE"
        sleep 0.3
        echo '{"model": "m", "total_tokens": 15}' >> "$AUTOPACK_USAGE_FILE"
        mkdir -p src && echo hi > src/new.txt && echo noise > debug.log"#;
    let report = world.execute(command("P1", script)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let booked = world.fake.state().usage.clone();
    assert!(!booked.is_empty(), "nothing was booked while it ran");
    let all: u64 = booked
        .iter()
        .chain(&report.usage)
        .map(|usage| usage.total)
        .sum();
    assert_eq!(all, 25);
    assert!(!report.usage_unknown);
    let commit = world.branch().unwrap();
    assert_eq!(
        world.git(&["show", "--name-only", "--format=", &commit]),
        "src/new.txt"
    );
}

#[tokio::test]
async fn a_command_that_writes_nothing_has_failed_unless_that_is_allowed() {
    let mut world = World::new();
    let report = world.execute(command("P1", "echo I am done")).await;
    assert_eq!(report.cause, Some(Cause::NoChange));
    assert!(
        world
            .fake
            .artifact(&report, "output")
            .unwrap()
            .contains("I am done")
    );
    let mut spec = command("P2", "true");
    spec.allow_noop = true;
    assert_eq!(
        world.execute(spec).await.outcome,
        Some(PhaseOutcome::NoChange)
    );
    assert_eq!(world.branch(), None);
}

#[tokio::test]
async fn ends_of_a_command_have_their_causes_and_nothing_of_it_lands() {
    let mut world = World::new();
    let mut slow = command("P3", "echo x > new.txt; sleep 60");
    if let Some(BuilderSpec::Command {
        timeout_seconds, ..
    }) = &mut slow.builder
    {
        *timeout_seconds = 1;
    }
    for (spec, cause) in [
        (
            command("P1", "echo x > new.txt; echo broken >&2; exit 3"),
            Cause::BuilderFailed,
        ),
        (command("P2", "no-such-agent --go"), Cause::BuilderNotFound),
        (command("P4", "sh -c 'exit 127'"), Cause::BuilderFailed),
        (slow, Cause::BuilderTimeout),
        (phase("P5", BuilderSpec::external()), Cause::BuilderNotFound),
    ] {
        let id = spec.id.clone();
        let report = world.execute(spec).await;
        assert_eq!(report.cause, Some(cause), "{id}: {}", report.detail);
    }
    assert_eq!(world.branch(), None);
    // Rule: what a failed builder wrote is held by a reference.
    assert!(world.private_ref("attempt/P1/1").is_some());
    assert!(world.private_ref("attempt/P3/1").is_some());
}

#[tokio::test]
async fn deliverables_and_nested_repositories_are_judged() {
    let mut world = World::new();
    let mut missing = command("P1", "echo x > a.txt");
    missing.scope.deliverables = vec!["b.txt".into()];
    assert_eq!(
        world.execute(missing).await.cause,
        Some(Cause::DeliverableMissing)
    );
    let mut ignored = command("P2", "echo x > a.txt; mkdir out; echo y > out/b.txt");
    ignored.scope.deliverables = vec!["out/b.txt".into()];
    assert_eq!(
        world.execute(ignored).await.cause,
        Some(Cause::DeliverableIgnored)
    );
    let nested = command("P3", "git init -q sub && echo x > sub/f && echo y > a.txt");
    let report = world.execute(nested).await;
    assert_eq!(
        report.cause,
        Some(Cause::SubmoduleChanged),
        "{}",
        report.detail
    );
    let escape = command("P4", "ln -s /etc/passwd link");
    assert_eq!(world.execute(escape).await.cause, Some(Cause::PathEscape));
}

#[tokio::test]
async fn a_broken_usage_file_is_a_warning_and_usage_is_unknown() {
    let mut world = World::new();
    let report = world
        .execute(command(
            "P1",
            "echo x > a.txt; echo nonsense > $AUTOPACK_USAGE_FILE",
        ))
        .await;
    assert_eq!(report.cause, None);
    assert!(report.usage_unknown && report.usage.is_empty());
    assert!(report.facts["warnings"].to_string().contains("usage file"));
}

#[tokio::test]
async fn issues_of_the_builder_are_settled_with_the_attempt_and_bad_lines_are_a_warning() {
    let mut world = World::new();
    let line = r#"echo x > a.txt; echo '{"key": "docs__a__odd", "category": "docs", "paths": ["a.txt"]}' > $AUTOPACK_ISSUES_FILE; echo nonsense >> $AUTOPACK_ISSUES_FILE"#;
    let report = world.execute(command("P1", line)).await;
    assert_eq!(report.cause, None);
    let issue = &report.issues[0];
    assert_eq!(
        (issue.key.as_str(), issue.source.as_str()),
        ("docs__a__odd", "builder")
    );
    assert_eq!(report.issues.len(), 1);
    assert!(report.facts["warnings"].to_string().contains("issues file"));
    let failing = format!("{line}; exit 1");
    let report = world.execute(command("P2", &failing)).await;
    assert!(report.cause.is_some());
    assert_eq!(report.issues.len(), 1, "also of an attempt that failed");
}
