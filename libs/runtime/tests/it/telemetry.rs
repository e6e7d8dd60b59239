//! Traces reach a collector. One test sets up the process's telemetry, so it holds all that needs it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use autopack_domain::{Timestamp, TraceContext};
use autopack_runtime::{
    attributes,
    telemetry::{
        self, RecordedSpan, TelemetryConfig, TelemetryError, current_traceparent, extract, inject,
        propagation, recorder, set_parent, set_record,
    },
};
use tracing::{Instrument as _, info_span};

use crate::collector::Collector;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const OUTSIDE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_arrive_with_service_name_attributes_and_parents() {
    assert_eq!(current_traceparent(), None, "traces are off until set up");
    let (collector, address) = Collector::start().await;
    let config = TelemetryConfig {
        instance_id: Some("one".into()),
        otlp_endpoint: Some(format!("http://{address}")),
        json_logs: true,
        log_filter: "it=error".into(),
        ..TelemetryConfig::new("run-registry")
    };
    let log = Log::default();
    let keep = log.clone();
    let guard = telemetry::init_with(&config, false, move || keep.clone()).unwrap();
    assert!(matches!(
        telemetry::init(&config),
        Err(TelemetryError::Twice)
    ));

    let root = info_span!("lease", { attributes::RUN_ID } = "demo-1");
    set_parent(&root, OUTSIDE);
    let (text, headers) = async {
        let mut headers = http::HeaderMap::new();
        inject(&mut headers);
        tracing::error!(fence = 7, "a line of the log");
        (current_traceparent().unwrap(), headers)
    }
    .instrument(root)
    .await;
    let line: serde_json::Value = serde_json::from_slice(&log.0.lock().unwrap()).unwrap();
    assert_eq!(line["message"], "a line of the log");
    assert_eq!(line["fence"], 7);
    assert_eq!(line["trace_id"], OUTSIDE[3..35]);
    assert_eq!(headers["traceparent"], text.as_str());
    assert_eq!(text[..35], OUTSIDE[..35], "the same trace");

    let remote = info_span!("work");
    propagation::set_parent_context(&remote, extract(&headers));
    remote.in_scope(|| {});
    let orphan = info_span!("orphan");
    set_parent(&orphan, "not a trace context");
    orphan.in_scope(|| {});
    drop((remote, orphan));

    let process = info_span!("process");
    set_record(&process, OUTSIDE);
    let told = process.in_scope(|| info_span!("stage").in_scope(current_traceparent));
    assert_eq!(
        told.as_deref(),
        Some(OUTSIDE),
        "others are told of the record"
    );
    drop(process);
    let ended = RecordedSpan {
        context: TraceContext::parse(OUTSIDE).unwrap(),
        parent: None,
        name: "run",
        start: Timestamp(1_000_000),
        end: Timestamp(2_500_000),
        attributes: Vec::new(),
        error: Some("it failed".to_owned()),
        link: None,
    };
    recorder().unwrap().send(vec![ended]).await.unwrap();

    guard.shutdown(Duration::from_secs(5)).await;
    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|s| s.name == name).unwrap();
    let (lease, work) = (named("lease"), named("work"));
    assert_eq!(work.parent_span_id, lease.span_id);
    assert_eq!(work.trace_id, lease.trace_id);
    assert_ne!(named("orphan").trace_id, lease.trace_id);
    assert!(lease.attributes.iter().any(|a| a.key == "autopack.run.id"));
    let (run, process) = (named("run"), named("process"));
    assert_eq!(process.parent_span_id, run.span_id);
    assert_eq!(named("stage").parent_span_id, process.span_id);
    assert!(run.parent_span_id.is_empty());
    let times = (run.start_time_unix_nano, run.end_time_unix_nano);
    assert_eq!(times, (1_000_000_000, 2_500_000_000));
    assert_eq!(run.status.as_ref().unwrap().message, "it failed");
    assert_eq!(spans.len(), 6, "the exporter's own work is not traced");
    let resource = |key: &str| collector.resource(key);
    assert_eq!(resource("service.name").as_deref(), Some("run-registry"));
    assert_eq!(resource("service.namespace").as_deref(), Some("autopack"));
    assert_eq!(resource("service.instance.id").as_deref(), Some("one"));
}

#[test]
fn the_standard_variables_are_honoured() {
    let from = |pairs: &[(&str, &str)]| {
        TelemetryConfig::from_environment("svc", &|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(from(&[]), TelemetryConfig::new("svc"));
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    assert_eq!(
        from(&[endpoint]).otlp_endpoint.as_deref(),
        Some("http://c:4317")
    );
    assert_eq!(
        from(&[endpoint, ("OTEL_SDK_DISABLED", "true")]).otlp_endpoint,
        None
    );
    let none = ("OTEL_TRACES_EXPORTER", "none");
    assert_eq!(from(&[endpoint, none]).otlp_endpoint, None);
    assert_eq!(
        from(&[("OTEL_SERVICE_NAME", "other")]).service_name,
        "other"
    );
    assert!(from(&[("AUTOPACK_LOG_FORMAT", "json")]).json_logs);
}

#[test]
fn a_bad_filter_is_told_before_anything_is_set_up() {
    let config = TelemetryConfig {
        log_filter: "a=b=c".into(),
        ..TelemetryConfig::new("svc")
    };
    assert!(matches!(
        telemetry::init(&config),
        Err(TelemetryError::Filter { .. })
    ));
}
