//! The exporter: OTLP over gRPC, in batches, from a thread of its own.
//!
//! Invariant: its queue is bounded; when the collector is slow, spans are dropped, not work delayed.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use super::{TelemetryConfig, TelemetryError};

/// How long one batch may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The provider for the endpoint, if there is one.
pub(super) fn provider(
    config: &TelemetryConfig,
) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Endpoint {
            endpoint: endpoint.clone(),
            why: error.to_string(),
        })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(config))
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

/// Who sends; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(config: &TelemetryConfig) -> Resource {
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
