//! Metrics of a process: for Prometheus to fetch, and to a collector by OTLP.
//!
//! Invariant: names are those of [`crate::metrics`], letter for letter; a collector that is down costs one failed
//! export a period, from a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
        exporter::PushMetricExporter,
    },
};
use prometheus::{Encoder as _, TextEncoder};

use super::{TelemetryConfig, TelemetryError, export};

/// How often metrics are sent; `OTEL_METRIC_EXPORT_INTERVAL` says otherwise.
const PERIOD: Duration = Duration::from_secs(15);

/// The metrics of this process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Meters {
    registry: prometheus::Registry,
    provider: SdkMeterProvider,
    failures: Arc<AtomicU64>,
}

impl Meters {
    /// Sets up the process's metrics; within a tokio runtime if there is an endpoint.
    pub fn init(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let registry = prometheus::Registry::new();
        let refused = |why: String| TelemetryError::Endpoint {
            endpoint: config.metrics_endpoint.clone().unwrap_or_default(),
            why,
        };
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_counter_suffixes()
            .without_units()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| refused(error.to_string()))?;
        let failures = Arc::new(AtomicU64::new(0));
        let mut builder = SdkMeterProvider::builder()
            .with_reader(prometheus)
            .with_resource(export::resource(config));
        if let Some(endpoint) = &config.metrics_endpoint {
            let inner = MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(export::TIMEOUT)
                .build()
                .map_err(|error| refused(error.to_string()))?;
            let counted = Counted {
                inner,
                failures: Arc::clone(&failures),
            };
            let period = config.metrics_period.unwrap_or(PERIOD);
            let reader = PeriodicReader::builder(counted).with_interval(period);
            builder = builder.with_reader(reader.build());
        }
        let provider = builder.build();
        opentelemetry::global::set_meter_provider(provider.clone());
        Ok(Self {
            registry,
            provider,
            failures,
        })
    }

    /// All metrics in Prometheus's text form.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Reads how many exports by OTLP failed.
    pub fn failures_reader(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let failures = Arc::clone(&self.failures);
        move || failures.load(Ordering::Relaxed)
    }

    /// Sends what is left, until the deadline at most.
    pub async fn shutdown(self, deadline: Duration) {
        let provider = self.provider;
        let end = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline));
        if !matches!(tokio::time::timeout(deadline, end).await, Ok(Ok(Ok(())))) {
            tracing::debug!("the last metrics were not sent");
        }
    }
}

/// Counts exports that fail.
struct Counted {
    inner: MetricExporter,
    failures: Arc<AtomicU64>,
}

impl PushMetricExporter for Counted {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.inner.export(metrics).await;
        if result.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
