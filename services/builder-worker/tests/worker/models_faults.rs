//! What goes wrong with models: pauses, empty accounts, broken streams, wrong figures, answers that cannot be used.

use std::time::Duration;

use autopack_domain::Cause;
use autopack_domain::plan::{ModelSpec, UnknownUsage};
use autopack_domain::run::settle::Report;
use autopack_domain::usage::Provenance;
use autopack_testkit::ModelServer;
use autopack_testkit::model_server::Play;
use serde_json::json;

use crate::models::{KEY, booked, fact, files, list, model, world, world_with};
use crate::world::{World, until};

fn refuse(status: u16, retry: Option<&str>, code: &str, words: &str) -> Play {
    let headers = retry.map(|retry| ("retry-after", retry.to_owned()));
    let body = json!({ "error": { "type": code, "code": code, "message": words } });
    Play::Refuse(status, headers.into_iter().collect(), body)
}

pub(crate) async fn one(world: &mut World, id: &str, name: &str) -> Report {
    world.execute(model(id, ModelSpec::new(name))).await
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_gets_the_phase_back_later() {
    for name in ["claude-test", "gpt-test"] {
        let server = ModelServer::start();
        let mut world = world(&server);
        server.push(refuse(429, Some("120"), "rate_limit_error", "slow down"));
        let report = one(&mut world, "P1", name).await;
        assert_eq!(
            report.cause,
            Some(Cause::ProviderPaused),
            "{}",
            report.detail
        );
        let pause = report.pause.unwrap();
        assert!(
            pause > Duration::from_secs(110) && pause <= Duration::from_mins(2),
            "{pause:?}"
        );
        assert!(
            report.usage.is_empty() && !report.usage_unknown,
            "a refusal costs nothing"
        );
        // Another phase does not even ask.
        let report = one(&mut world, "P2", name).await;
        assert_eq!(report.cause, Some(Cause::ProviderPaused));
        assert_eq!(server.counted().calls, 1);
        assert_eq!(fact(&report, "provider")["rejected"], 1);
    }
}

#[tokio::test]
async fn a_short_wait_is_waited_for() {
    let server = ModelServer::start();
    let mut world = world_with(&server, |config| {
        config.model_patience = Duration::from_secs(5);
    });
    server.push(refuse(429, Some("0"), "rate_limit_error", "slow down"));
    server.push(Play::Say(files(&[("create", "a.txt", "a\n")])));
    let report = one(&mut world, "P1", "gpt-test").await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(server.counted().calls, 2);
    assert!(
        fact(&report, "warnings")
            .to_string()
            .contains("asked again")
    );
}

#[tokio::test]
async fn an_empty_account_is_told_apart_and_another_model_takes_its_place() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(refuse(
        429,
        None,
        "insufficient_quota",
        "You exceeded your current quota",
    ));
    let report = one(&mut world, "P1", "gpt-test").await;
    assert_eq!(
        report.cause,
        Some(Cause::ProviderExhausted),
        "{}",
        report.detail
    );
    assert!(report.pause.unwrap() > Duration::from_secs(890));
    server.push(Play::Say(files(&[("create", "a.txt", "a\n")])));
    let spec = ModelSpec {
        fallback: vec!["claude-test".into()],
        ..ModelSpec::new("gpt-test")
    };
    let report = world.execute(model("P2", spec.clone())).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(fact(&report, "model_route"), "fallback");
    assert_eq!(report.usage[0].provider, "anthropic");
    // What must be built by the right model waits for it.
    let mut safe = model("P3", spec);
    safe.task_category = "security_auth_change".into();
    let report = world.execute(safe).await;
    assert_eq!(
        report.cause,
        Some(Cause::ProviderExhausted),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn a_provider_found_empty_in_an_attempt_is_replaced_in_the_same_attempt() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(refuse(
        400,
        None,
        "invalid_request_error",
        "Your credit balance is too low",
    ));
    server.push(Play::Say(files(&[("create", "a.txt", "a\n")])));
    let spec = ModelSpec {
        fallback: vec!["gpt-test".into()],
        ..ModelSpec::new("claude-test")
    };
    let report = world.execute(model("P1", spec)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(
        (server.counted().calls, booked(&report).0),
        (2, server.counted().total)
    );
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_after_five_times() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.always(|_| refuse(500, None, "api_error", "Internal"));
    let mut waits = Vec::new();
    for n in 1..=6 {
        let report = one(&mut world, &format!("P{n}"), "claude-test").await;
        assert_eq!(
            report.cause,
            Some(Cause::ProviderPaused),
            "{}",
            report.detail
        );
        waits.push(report.pause.unwrap().as_secs());
        if n == 6 {
            assert_eq!(fact(&report, "provider")["state"], "open");
            assert_eq!(fact(&report, "provider")["changes"]["closed_to_open"], 1);
        }
    }
    assert_eq!(
        (&waits[..5], server.counted().calls),
        (&[5, 10, 15, 20, 60][..], 5)
    );
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_booked_by_name_and_tried_later() {
    for (name, provenance) in [
        ("claude-test", Provenance::Derived),
        ("gpt-test", Provenance::Estimated),
    ] {
        let server = ModelServer::start();
        let mut world = world(&server);
        server.push(Play::Break("half of an answer, and then".into()));
        let spec = ModelSpec {
            unknown_usage: UnknownUsage::Estimate,
            ..ModelSpec::new(name)
        };
        let report = world.execute(model("P1", spec)).await;
        assert_eq!(
            report.cause,
            Some(Cause::ProviderPaused),
            "{}",
            report.detail
        );
        assert!(
            report.detail.contains("ended in the middle"),
            "{}",
            report.detail
        );
        assert_eq!(booked(&report).1, [provenance], "{name}");
        assert_eq!(
            fact(&report, "model_usage")["provenance"],
            provenance.as_str()
        );
        if provenance == Provenance::Derived {
            assert_eq!(booked(&report).0, server.counted().total);
        }
    }
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(Play::Fail("half".into(), "overloaded_error"));
    let report = one(&mut world, "P1", "claude-test").await;
    assert_eq!(report.cause, Some(Cause::ProviderPaused));
    assert!(
        report.detail.contains("overloaded_error"),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn figures_that_are_wrong_or_missing_are_never_called_reported() {
    let server = ModelServer::start();
    let mut world = world(&server);
    let answer = |name: &str| files(&[("create", name, "x\n")]);
    server.push(Play::Miscount(answer("a.txt")));
    let report = one(&mut world, "P1", "gpt-test").await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(
        booked(&report),
        (server.counted().total + 1000, vec![Provenance::Derived])
    );
    assert!(
        fact(&report, "warnings")
            .to_string()
            .contains("do not add up")
    );
    world.fake.state().run.tip = report.commit.clone();
    for (id, policy) in [
        ("P2", UnknownUsage::Charge),
        ("P3", UnknownUsage::Estimate),
        ("P4", UnknownUsage::Refuse),
    ] {
        server.push(Play::Untold(answer(&format!("{id}.txt"))));
        let spec = ModelSpec {
            unknown_usage: policy,
            ..ModelSpec::new("gpt-test")
        };
        let report = world.execute(model(id, spec)).await;
        let failed = (policy == UnknownUsage::Refuse).then_some(Cause::BuilderFailed);
        assert_eq!(report.cause, failed, "{id}: {}", report.detail);
        match policy {
            UnknownUsage::Estimate => assert_eq!(booked(&report).1, [Provenance::Estimated]),
            UnknownUsage::Charge | UnknownUsage::Refuse => {
                assert!(report.usage_unknown && report.usage.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_key_is_shown_nowhere_and_a_refused_one_is_final() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(refuse(
        401,
        None,
        "authentication_error",
        &format!("invalid key {KEY}"),
    ));
    let report = one(&mut world, "P1", "claude-test").await;
    assert_eq!(report.cause, Some(Cause::ProviderRefused));
    assert!(report.detail.contains("wrong_key"), "{}", report.detail);
    server.push(Play::Say(files(&[(
        "create",
        "a.txt",
        &format!("{KEY}\n"),
    )])));
    let other = one(&mut world, "P2", "claude-test").await;
    let answer = world.fake.artifact(&other, "model-answer").unwrap();
    for text in [
        format!("{report:?}{other:?}"),
        answer,
        format!("{:?}", list(&server)),
    ] {
        assert!(!text.contains(KEY), "{text}");
    }
    server.push(refuse(404, None, "not_found_error", "model: nope"));
    let report = one(&mut world, "P3", "claude-nope").await;
    assert_eq!(report.cause, Some(Cause::ProviderRefused));
    assert!(
        report.detail.contains("`claude-nope` (wrong_model)"),
        "{}",
        report.detail
    );
}

#[tokio::test]
async fn a_question_too_long_is_asked_again_with_less() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(refuse(
        400,
        None,
        "invalid_request_error",
        "prompt is too long: 9 tokens > 8 maximum",
    ));
    server.push(Play::Say(files(&[("create", "a.txt", "a\n")])));
    let report = one(&mut world, "P1", "claude-test").await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(fact(&report, "context")["cap"], 30_000);
}

#[tokio::test]
async fn a_model_that_says_nothing_is_given_up_in_time() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.always(|_| Play::Hang);
    let spec = ModelSpec {
        timeout_seconds: 1,
        ..ModelSpec::new("claude-test")
    };
    let report = world.execute(model("P1", spec)).await;
    assert_eq!(
        report.cause,
        Some(Cause::BuilderTimeout),
        "{}",
        report.detail
    );
    assert!(report.usage_unknown, "what it used is not known");
    // One whose worker ends is given back.
    let uid = world
        .offer(model("P2", ModelSpec::new("claude-test")))
        .await;
    until("the second call has come", || server.counted().calls == 2).await;
    world.shut_down().await;
    assert!(world.fake.state().released.contains(&uid));
}

#[tokio::test]
async fn four_fifths_of_a_week_send_phases_elsewhere() {
    let server = ModelServer::start();
    server.always(|call| {
        let name = call.body["model"].as_str().unwrap_or_default();
        Play::Say(files(&[("create", &format!("{name}.txt"), "x\n")]))
    });
    let mut world = world_with(&server, |config| {
        let list = config.models.as_mut().unwrap();
        list.providers.get_mut("openai").unwrap().weekly_tokens = Some(100);
    });
    let with = |fallback: &[&str]| ModelSpec {
        fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
        ..ModelSpec::new("gpt-test")
    };
    let report = world.execute(model("P1", with(&["claude-test"]))).await;
    assert_eq!(fact(&report, "model"), "gpt-test", "{}", report.detail);
    let report = world.execute(model("P2", with(&["claude-test"]))).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(fact(&report, "model"), "claude-test");
    let report = world.execute(model("P3", with(&[]))).await;
    assert_eq!(report.cause, Some(Cause::ProviderExhausted));
    assert!(report.detail.contains("weekly_tokens"), "{}", report.detail);
    assert_eq!(server.counted().calls, 2);
}
