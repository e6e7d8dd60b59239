//! What a worker says about itself, jobs that are for another one, and whose clock counts.

use autopack_domain::Timestamp;
use autopack_domain::run::JobKind;
use builder_worker::ports::Abilities;

use crate::world::{World, adding, command, plan, until};

#[tokio::test]
async fn tools_labels_and_place_are_announced_and_versions_follow() {
    let mut world = World::idle();
    let mut config = world.config();
    config.name = "w1".into();
    config.labels = [("zone".to_owned(), "b".to_owned())].into();
    config.announce = vec!["git".into(), "no-such-tool".into()];
    config.address = "http://w1:7879".into();
    config.versions_after = Some(std::time::Duration::ZERO);
    world.start_on(config, |_| {});
    until("its tools' versions are known", || {
        let state = world.fake.state();
        state.presence.tool_versions.contains_key("git")
    })
    .await;
    let state = world.fake.state();
    let profile = &state.profile;
    assert_eq!((profile.name.as_str(), profile.slots), ("w1", 2));
    assert_eq!(profile.labels["zone"], "b");
    assert_eq!(profile.address, "http://w1:7879");
    assert!(profile.capabilities.contains("tool:git"));
    assert!(profile.capabilities.contains("tool:python3"));
    assert!(!profile.capabilities.contains("tool:no-such-tool"));
    assert!(!profile.host.is_empty() && !profile.version.is_empty());
    let versions = &state.presence.tool_versions;
    assert!(versions["git"].contains("git version"), "{versions:?}");
}

#[tokio::test]
async fn a_job_for_another_worker_goes_back_to_the_bus() {
    let mut world = World::new();
    world.fake.state().not_eligible = 3;
    let spec = world.patch_phase("P1", &adding("a.txt", "a"));
    assert_eq!(world.execute(spec).await.cause, None);
    let calls = world.fake.state().calls.clone();
    let asked = calls.iter().filter(|call| **call == "lease_job").count();
    assert_eq!(asked, 4, "each delivery asks once");
}

#[tokio::test]
async fn a_plan_passes_where_another_worker_has_the_tool() {
    let mut world = World::new();
    let phases = vec![command("P1", "make all"), command("P2", "no-such-agent go")];
    world
        .offer_job(JobKind::Bootstrap, Some(plan(phases.clone())))
        .await;
    until("the bootstrap failed", || {
        !world.fake.state().failed_jobs.is_empty()
    })
    .await;
    let (_, detail) = world.fake.state().failed_jobs.pop().unwrap();
    assert!(
        detail.contains("the worker has no program `no-such-agent`"),
        "{detail}"
    );
    let tools = ["tool:make".to_owned(), "tool:no-such-agent".to_owned()];
    world.fake.state().fleet = vec![Abilities {
        capabilities: tools.into(),
        ..Abilities::default()
    }];
    world
        .offer_job(JobKind::Bootstrap, Some(plan(phases)))
        .await;
    until("the bootstrap has ended", || {
        world.fake.state().bootstrapped.is_some()
    })
    .await;
    let facts = world.fake.state().bootstrapped.clone().unwrap().facts;
    assert_eq!(facts["phase_tools"], "make@0 no-such-agent@1");
    assert!(facts["preflight_warnings"].contains("no-such-agent"));
}

/// The test's worker has a clock that stands in 2023.
#[tokio::test]
async fn a_clock_that_is_wrong_decides_nothing() {
    let minutes = |n: i64| n * 60 * 1_000_000;
    let mut world = World::new();
    let own = 1_700_000_000_000_000;
    for (id, ahead) in [("P1", minutes(10)), ("P2", minutes(-10))] {
        let time = Timestamp(own + ahead);
        world.fake.state().time = Some(time);
        // The registry's word comes with the next heartbeat.
        until("the worker has heard the time", || {
            let state = world.fake.state();
            state.told >= 2
        })
        .await;
        // Due by the registry's clock, ten minutes early or late by the worker's own.
        world.due = Some(time);
        let spec = world.patch_phase(id, &adding(&format!("{id}.txt"), "a"));
        let report = world.execute(spec).await;
        assert_eq!(report.cause, None);
        let at = world.git(&["log", "-1", "--format=%ct", &report.commit]);
        let off = at.parse::<i64>().unwrap() - time.0 / 1_000_000;
        assert!((0..60).contains(&off), "{off} s off");
        world.fake.state().told = 0;
    }
}
