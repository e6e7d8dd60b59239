//! The telemetry service as its callers see it: what a run used, and the counters as a stream.

use std::time::Duration;

use autopack_testkit::cluster::{Node, key_of};
use autopack_testkit::{Cluster, Phase, Plan, TempRepo};
use autopack_wire::telemetry::{
    GetRunUsageRequest, StreamMetricsRequest, StreamMetricsResponse,
    telemetry_service_client::TelemetryServiceClient,
};
use tonic::{Code, Request, transport::Endpoint};

use crate::rig::BOUND;

/// A request of a reader.
fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = format!("Bearer {}", key_of("reader")).parse().unwrap();
    request.metadata_mut().insert("authorization", key);
    request.set_timeout(BOUND);
    request
}

fn point(answer: &StreamMetricsResponse, name: &str) -> Option<f64> {
    let points = answer.points.iter().filter(|point| point.name == name);
    points
        .map(|point| point.value)
        .reduce(|sum, value| sum + value)
}

async fn usage(node: &Node) {
    let channel = Endpoint::from_shared(node.address())
        .unwrap()
        .connect_lazy();
    let mut client = TelemetryServiceClient::new(channel);
    let named = |run_id: &str| {
        asked(GetRunUsageRequest {
            run_id: run_id.to_owned(),
        })
    };
    let found = client.get_run_usage(named("used")).await.unwrap();
    let found = found.into_inner();
    assert_eq!(found.state, "DONE_FAILED_REQUIRES_HUMAN_REVIEW");
    assert_eq!((found.tokens, found.attempts), (734, 2));
    let [sum] = &found.usage[..] else {
        panic!("one sum: {found:?}")
    };
    assert_eq!((sum.provider.as_str(), sum.model.as_str()), ("p", "m-1"));
    assert_eq!((sum.prompt, sum.completion, sum.reports), (700, 34, 1));
    assert_eq!(sum.provenance, "derived", "the total is a sum");
    assert_eq!(found.failures.get("BUILDER_FAILED"), Some(&1));
    let by_uid = client.get_run_usage(named(&found.run_uid)).await.unwrap();
    assert_eq!(by_uid.into_inner().tokens, 734);
    let missing = client.get_run_usage(named("nobody")).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");

    let every = |millis: u64| {
        let interval = Duration::from_millis(millis).try_into().unwrap();
        asked(StreamMetricsRequest {
            interval: Some(interval),
        })
    };
    let refused = client.stream_metrics(every(1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let mut stream = client
        .stream_metrics(every(100))
        .await
        .unwrap()
        .into_inner();
    let mut seen = Vec::new();
    loop {
        let answer = stream.message().await.unwrap().unwrap();
        seen.push(answer.time);
        let ended = point(&answer, "autopack_telemetry_runs_ended_total");
        let tokens = point(&answer, "autopack_telemetry_tokens_total");
        if (ended, tokens) == (Some(1.0), Some(734.0)) {
            assert_eq!(
                point(&answer, "autopack_telemetry_attempts_ended_total"),
                Some(2.0)
            );
            break;
        }
    }
    let next = stream.message().await.unwrap().unwrap();
    assert!(!seen.contains(&next.time), "an answer each interval");

    let nobody = Request::new(GetRunUsageRequest {
        run_id: "used".to_owned(),
    });
    let refused = client.get_run_usage(nobody).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[test]
fn usage_of_a_run_and_the_counters_are_told_to_a_reader() {
    let repo = TempRepo::small();
    let mut cluster = Cluster::up(1);
    cluster.start_telemetry().ready();
    let report = r#"{"provider":"p","model":"m-1","role":"builder","prompt_tokens":700,"completion_tokens":34}"#;
    let line = format!("printf '%s\\n' '{report}' > \"$AUTOPACK_USAGE_FILE\"; echo a > a.txt");
    let plan = Plan::new("used")
        .phase(Phase::command("P1", &line))
        .phase(Phase::command("P2", "exit 3").set("max_attempts", 1))
        .write(&cluster.folder("used"));
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    let cli = cluster.cli("operator");
    cli.call(&["submit", plan, "--repo", at, "--watch"])
        .expect_code(3);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(usage(&cluster.telemetry));
    let node = &cluster.telemetry;
    assert_eq!(node.healthcheck(&[]).code, Some(0));
    assert_eq!(node.healthcheck(&["--ready"]).code, Some(0));
    for node in cluster.schedulers.iter().chain(&cluster.workers) {
        assert_eq!(node.healthcheck(&["--ready"]).code, Some(0));
    }
    cluster.telemetry.kill();
    let dead = cluster.telemetry.healthcheck(&[]);
    assert_eq!(dead.code, Some(1), "{dead:?}");
}
