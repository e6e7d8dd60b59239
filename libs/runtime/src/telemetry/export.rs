//! The exporter: OTLP over gRPC, in batches, from a thread of its own.
//!
//! Invariant: its queue is bounded; when the collector is slow, spans are dropped, not work delayed.

use std::{sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use super::{
    TelemetryConfig, TelemetryError,
    bounded::{Bounded, SpanCounts},
};

/// How long one batch may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The provider for the endpoint, if there is one.
pub(super) fn provider(
    config: &TelemetryConfig,
    counts: &Arc<SpanCounts>,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Endpoint {
            endpoint: endpoint.clone(),
            why: error.to_string(),
        })?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Bounded::new(exporter, Arc::clone(counts)))
        .with_resource(resource(config))
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

/// Who sends; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
pub(super) fn resource(config: &TelemetryConfig) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.namespace", "autopack"),
        KeyValue::new("service.version", config.service_version.clone()),
    ];
    if let Some(id) = &config.instance_id {
        attributes.push(KeyValue::new("service.instance.id", id.clone()));
    }
    Resource::builder()
        .with_attributes(attributes)
        .with_service_name(config.service_name.clone())
        .build()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use opentelemetry::trace::{Tracer as _, TracerProvider as _};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_collector_that_never_answers_blocks_nobody() {
        // It accepts connections, as the system does for a listener, and says nothing.
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = TelemetryConfig {
            otlp_endpoint: Some(format!("http://{}", deaf.local_addr().unwrap())),
            ..TelemetryConfig::new("svc")
        };
        let counts = Arc::new(SpanCounts::default());
        let provider = provider(&config, &counts).unwrap().unwrap();
        let before = Instant::now();
        let tracer = provider.tracer("test");
        for _ in 0..10_000 {
            drop(tracer.start("work"));
        }
        assert!(before.elapsed() < Duration::from_secs(2));
        let dropped = counts.dropped();
        assert!(
            dropped >= 10_000 - 2 * 2048,
            "the queue is bounded: {dropped}"
        );
        let guard = super::super::Guard {
            provider: Some(provider),
            counts: Arc::clone(&counts),
        };
        guard.shutdown(Duration::from_secs(1)).await;
        assert!(before.elapsed() < Duration::from_secs(4));
        assert_eq!(counts.sent(), 0);
    }

    #[tokio::test]
    async fn a_bad_endpoint_is_told_at_the_start() {
        let config = TelemetryConfig {
            otlp_endpoint: Some("not an address".into()),
            ..TelemetryConfig::new("svc")
        };
        let refused = provider(&config, &Arc::default()).map(|_| ());
        assert!(matches!(refused, Err(TelemetryError::Endpoint { .. })));
    }
}
