//! What went out comes back equal; what does not convert is refused with all faults.

use std::fmt::Debug;

use autopack_domain::{
    Fault, Timestamp,
    attempt::Attempt,
    integration::Seen,
    phase::Phase,
    plan::{BuilderSpec, Plan},
    promotion::{Promotion, PromotionState},
    run::{Job, JobState, Run},
    states::{AttemptState, PhaseState, RunState, TierState},
    strategy::Strategy,
    tier::Tier,
    usage::Usage,
};
use proptest::prelude::*;
use prost::Message;

use super::{RecordedEvent, read, samples, snapshot_from_proto, snapshot_to_proto, time_to_proto};
use crate::{registry, types};

/// Through bytes, so that a field that is not encoded is found too.
fn round_trip<'a, D, P>(value: &'a D)
where
    D: PartialEq + Debug + TryFrom<P, Error = Vec<Fault>>,
    P: Message + Default + From<&'a D>,
{
    let bytes = P::from(value).encode_to_vec();
    let back = D::try_from(P::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(back, *value);
}

#[test]
fn records_come_back_equal() {
    round_trip::<Run, types::Run>(&samples::run());
    round_trip::<Attempt, types::Attempt>(&samples::attempt());
    round_trip::<Job, types::RepositoryJob>(&samples::job());
    round_trip::<Usage, types::Usage>(&samples::usage());
    round_trip::<RecordedEvent, types::Event>(&samples::event());
    let tier = samples::tier();
    assert_eq!(
        <(usize, Tier)>::try_from(types::Tier::from((3, &tier))).unwrap(),
        (3, tier)
    );
    let phase = samples::phase("P1.1", 0);
    assert_eq!(
        <(usize, Phase)>::try_from(types::Phase::from((4, &phase))).unwrap(),
        (4, phase)
    );
    let fault = Fault::new("a.b", "wrong").allowed(["x", "y"]).example("x");
    assert_eq!(Fault::from(types::Fault::from(&fault)), fault);
}

#[test]
fn documents_come_back_equal() {
    round_trip::<Plan, types::Plan>(&samples::plan());
    round_trip::<Strategy, types::Strategy>(&samples::strategy());
    for builder in samples::builders().into_iter().chain([
        super::builder::sample_agent(),
        super::builder::sample_model(),
    ]) {
        round_trip::<BuilderSpec, types::Builder>(&builder);
    }
}

#[test]
fn absent_values_come_back_absent() {
    let mut run = samples::run();
    (
        run.first_lease_at,
        run.paused_at,
        run.started_at,
        run.completed_at,
        run.cause,
    ) = (None, None, None, None, None);
    run.tokens.cap = None;
    round_trip::<Run, types::Run>(&run);
    let mut attempt = samples::attempt();
    (attempt.worker, attempt.intent, attempt.cause, attempt.tests) = (None, None, None, None);
    attempt.facts.clear();
    round_trip::<Attempt, types::Attempt>(&attempt);
    let mut event = samples::event();
    (
        event.event.tier,
        event.event.phase,
        event.event.attempt,
        event.event.job,
    ) = (None, None, None, None);
    round_trip::<RecordedEvent, types::Event>(&event);
}

#[test]
fn a_promotion_and_what_was_seen_come_back_equal() {
    let promotion = samples::promotion();
    round_trip::<Promotion, types::Promotion>(&promotion);
    let bare = Promotion {
        intent: None,
        cause: None,
        finished_at: None,
        ..promotion
    };
    round_trip::<Promotion, types::Promotion>(&bare);
    let seen = samples::seen();
    round_trip::<Seen, types::IntegrationView>(&seen);
}

#[test]
fn every_state_has_its_number_and_name() {
    fn check<D, P>(all: &[D], name: fn(P) -> &'static str, spelling: fn(D) -> &'static str)
    where
        D: Copy + PartialEq + Debug + TryFrom<P, Error = Vec<Fault>>,
        P: Copy + From<D>,
    {
        for state in all {
            let proto = P::from(*state);
            assert_eq!(name(proto), format!("STATE_{}", spelling(*state)));
            assert_eq!(D::try_from(proto).unwrap(), *state);
        }
    }
    check::<_, types::run::State>(RunState::ALL, |s| s.as_str_name(), RunState::as_str);
    check::<_, types::tier::State>(TierState::ALL, |s| s.as_str_name(), TierState::as_str);
    check::<_, types::phase::State>(PhaseState::ALL, |s| s.as_str_name(), PhaseState::as_str);
    check::<_, types::attempt::State>(AttemptState::ALL, |s| s.as_str_name(), AttemptState::as_str);
    check::<_, types::repository_job::State>(JobState::ALL, |s| s.as_str_name(), JobState::as_str);
    check::<_, types::promotion::State>(
        PromotionState::ALL,
        |s| s.as_str_name(),
        PromotionState::as_str,
    );
}

#[test]
fn all_faults_are_reported_with_their_paths() {
    let mut event = types::Event::from(&samples::event());
    event.kind = "nonsense".into();
    event.time = None;
    let run = event.run.as_mut().unwrap();
    run.uid = "not-a-uid".into();
    run.state = 99;
    run.priority = 10;
    run.counts = None;
    event.phase.as_mut().unwrap().outcome = "maybe".into();
    event.attempt.as_mut().unwrap().facts_json = "[1]".into();
    let faults = RecordedEvent::try_from(event).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "kind",
            "time",
            "run.uid",
            "run.state",
            "run.priority",
            "run.counts",
            "phase.outcome",
            "attempt.facts_json"
        ]
    );
    assert!(
        faults[3].allowed.contains(&"STATE_QUEUED".to_owned()),
        "{faults:?}"
    );
    assert_eq!(
        faults[6].allowed,
        ["committed", "no_change", "already_present"]
    );
}

#[test]
fn faults_of_a_plan_name_list_elements() {
    let mut plan = types::Plan::from(&samples::plan());
    plan.schema = "autopack/plan/v9".into();
    plan.tiers[0].phases[2].depends_on.push("a b".into());
    plan.tiers[0].phases[3].builder = Some(types::Builder { kind: None });
    plan.tiers[0].phases[6]
        .scope
        .as_mut()
        .unwrap()
        .paths
        .push("x".into());
    plan.tiers[0].phases[0].gate.as_mut().unwrap().steps[0].kind = "tset".into();
    let faults = Plan::try_from(plan).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "schema",
            "tiers[0].phases[0].gate.steps[0].kind",
            "tiers[0].phases[2].depends_on[1]",
            "tiers[0].phases[3].builder",
            "tiers[0].phases[6].scope.paths",
        ]
    );
    assert_eq!(faults[1].allowed, ["test", "check"]);
}

#[test]
fn an_unspecified_state_is_refused() {
    let mut job = types::RepositoryJob::from(&samples::job());
    job.state = 0;
    let faults = Job::try_from(job).unwrap_err();
    assert_eq!(
        (faults[0].path.as_str(), faults[0].problem.as_str()),
        ("state", "is not set")
    );
    assert_eq!(
        faults[0].allowed,
        ["STATE_OFFERED", "STATE_LEASED", "STATE_DONE"]
    );
}

#[test]
fn a_snapshot_comes_back_whole() {
    let aggregate = samples::aggregate();
    let bytes = snapshot_to_proto(&aggregate).encode_to_vec();
    let back =
        snapshot_from_proto(registry::GetSnapshotResponse::decode(bytes.as_slice()).unwrap())
            .unwrap();
    assert_eq!(back.run, aggregate.run);
    assert_eq!(
        (&back.plan, &back.strategy),
        (&aggregate.plan, &aggregate.strategy)
    );
    assert_eq!(
        (&back.tiers, &back.phases),
        (&aggregate.tiers, &aggregate.phases)
    );
    assert_eq!(
        (&back.attempts, &back.jobs),
        (&aggregate.attempts, &aggregate.jobs)
    );
    assert_eq!(back.depends(3), aggregate.depends(3));
}

#[test]
fn a_snapshot_that_would_not_hold_together_is_refused() {
    let sound = snapshot_to_proto(&samples::aggregate());
    let spoil = |change: fn(&mut registry::GetSnapshotResponse)| {
        let mut message = sound.clone();
        change(&mut message);
        snapshot_from_proto(message).unwrap_err()[0].path.clone()
    };
    assert_eq!(spoil(|m| m.plan = None), "plan");
    assert_eq!(spoil(|m| m.tiers.clear()), "tiers");
    assert_eq!(spoil(|m| m.phases[3].index = 9), "phases[3].index");
    assert_eq!(spoil(|m| m.phases[3].place = 77), "phases[3]");
    assert_eq!(spoil(|m| m.phases[3].tier = 1), "phases[3]");
    assert_eq!(spoil(|m| m.attempts[0].phase = 8), "attempts[0].phase");
    assert_eq!(
        spoil(|m| m.strategy.as_mut().unwrap().phase.truncate(2)),
        "strategy"
    );
    let mut shuffled = sound.clone();
    shuffled.phases.reverse();
    assert_eq!(
        snapshot_from_proto(shuffled).unwrap().phases,
        samples::aggregate().phases
    );
}

#[test]
fn times_outside_the_range_are_refused() {
    let bad = |seconds, nanos| {
        read(|at| {
            at.field("t")
                .time(Some(prost_types::Timestamp { seconds, nanos }))
        })
        .unwrap_err()[0]
            .path
            .clone()
    };
    assert_eq!(bad(0, -1), "t.nanos");
    assert_eq!(bad(0, 1_000_000_000), "t.nanos");
    assert_eq!(bad(i64::MAX, 0), "t.seconds");
    let span =
        |seconds, nanos| read(|at| at.duration(Some(prost_types::Duration { seconds, nanos })));
    assert!(span(-1, 0).is_err() && span(0, -1).is_err() && span(1, 5).is_ok());
}

proptest! {
    #[test]
    fn every_time_comes_back(micros in any::<i64>()) {
        let back = read(|at| at.time(Some(time_to_proto(Timestamp(micros)))));
        prop_assert_eq!(back, Ok(Timestamp(micros)));
    }

    #[test]
    fn no_message_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = registry::GetSnapshotResponse::decode(bytes.as_slice()) {
            let _ = snapshot_from_proto(message);
        }
        if let Ok(message) = types::Event::decode(bytes.as_slice()) {
            let _ = RecordedEvent::try_from(message);
        }
    }

    #[test]
    fn usage_and_counters_come_back(total: u64, prompt: Option<u64>, completion: Option<u64>, text in ".{0,20}") {
        let usage = Usage { total, prompt, completion, model: text, ..samples::usage() };
        prop_assert_eq!(Usage::try_from(types::Usage::from(&usage)), Ok(usage));
    }
}
