//! Logs, traces and metrics of a process.
//!
//! Invariant: no endpoint, no exporter and no noise; a collector that fails or hangs never blocks work.

mod bounded;
mod export;
mod log;
mod meters;
pub mod propagation;
mod record;

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

pub use bounded::{QUEUE, SpanCounts};
pub use meters::Meters;
pub use propagation::{
    HeaderExtractor, current_traceparent, extract, inject, set_parent, set_record,
};
pub use record::{NotTaken, RecordedSpan, Recorder, recorder};

use crate::switches::flag;

/// Libraries below the exporter: their spans would describe its own work, and so never end.
const NEVER_EXPORTED: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "tonic",
    "tower",
];
/// Complaints of the exporter; metrics tell of lost spans, the log need not.
const NEVER_LOGGED: &str =
    "opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,opentelemetry_otlp=off";

/// What to log and where to send traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// `service.name`.
    pub service_name: String,
    /// `service.version`.
    pub service_version: String,
    /// `service.instance.id`.
    pub instance_id: Option<String>,
    /// JSON lines instead of text.
    pub json_logs: bool,
    /// What to log, such as `info` or `run_registry=debug,warn`.
    pub log_filter: String,
    /// The collector, such as `http://localhost:4317`; `None`: no traces.
    pub otlp_endpoint: Option<String>,
    /// The collector for metrics; `None`: they are only there to be fetched.
    pub metrics_endpoint: Option<String>,
    /// How often metrics are sent; `None`: every 15 s.
    pub metrics_period: Option<Duration>,
}

impl TelemetryConfig {
    /// The defaults: text, warnings, no traces.
    pub fn new(service_name: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            service_version: env!("CARGO_PKG_VERSION").to_owned(),
            instance_id: None,
            json_logs: false,
            log_filter: "warn".to_owned(),
            otlp_endpoint: None,
            metrics_endpoint: None,
            metrics_period: None,
        }
    }

    /// The defaults with what the standard variables say; the SDK reads the rest of them itself.
    pub fn from_environment(service_name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut config = Self::new(service_name);
        if let Some(name) = set("OTEL_SERVICE_NAME") {
            config.service_name = name;
        }
        if let Some(filter) = set("AUTOPACK_LOG").or_else(|| set("RUST_LOG")) {
            config.log_filter = filter;
        }
        config.json_logs = set("AUTOPACK_LOG_FORMAT").is_some_and(|format| format == "json");
        let off = |name| set(name).is_some_and(|value| flag(name, &value).unwrap_or(false));
        let none = |name| set(name).is_some_and(|exporter| exporter == "none");
        let endpoint = |name| set(name).or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
        if !off("OTEL_SDK_DISABLED") {
            config.otlp_endpoint = endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
                .filter(|_| !none("OTEL_TRACES_EXPORTER"));
            config.metrics_endpoint = endpoint("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
                .filter(|_| !none("OTEL_METRICS_EXPORTER"));
        }
        let period = set("OTEL_METRIC_EXPORT_INTERVAL").and_then(|text| text.parse().ok());
        config.metrics_period = period
            .filter(|millis| *millis > 0)
            .map(Duration::from_millis);
        config
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("`{filter}` is not a log filter such as `info` or `run_registry=debug,warn`: {why}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// The endpoint does not parse.
    #[error("`{endpoint}` is not a collector's address such as `http://localhost:4317`: {why}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// A process has one log.
    #[error("telemetry is set up already")]
    Twice,
}

/// Keeps the exporter; shut it down last.
#[derive(Debug)]
#[must_use = "spans are lost without `shutdown`"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    counts: Arc<SpanCounts>,
}

/// Sets up logs and traces for the whole process; within a tokio runtime if there is an endpoint.
pub fn init(config: &TelemetryConfig) -> Result<Guard, TelemetryError> {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = std::io::stderr().is_terminal() && !no_colour;
    init_with(config, colour, std::io::stderr)
}

/// The same with logs written elsewhere than to stderr.
pub fn init_with<W>(
    config: &TelemetryConfig,
    colour: bool,
    writer: W,
) -> Result<Guard, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let quiet = format!("{},{NEVER_LOGGED}", config.log_filter);
    let filter = EnvFilter::try_new(&quiet).map_err(|why| TelemetryError::Filter {
        filter: config.log_filter.clone(),
        why: why.to_string(),
    })?;
    let counts = Arc::new(SpanCounts::default());
    let provider = export::provider(config, &counts)?;
    record::set_up(config, &counts)?;
    opentelemetry::global::set_text_map_propagator(
        opentelemetry_sdk::propagation::TraceContextPropagator::new(),
    );
    let traces = provider.as_ref().map(|provider| {
        let exported = NEVER_EXPORTED.map(|target| (target, LevelFilter::OFF));
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("autopack"))
            .with_location(false)
            .with_threads(false)
            .with_filter(
                Targets::new()
                    .with_default(LevelFilter::INFO)
                    .with_targets(exported),
            )
    });
    let text = tracing_subscriber::fmt::layer().with_writer(writer);
    let logs = if config.json_logs {
        text.event_format(log::JsonLines).boxed()
    } else {
        text.with_ansi(colour).boxed()
    };
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(traces)
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    Ok(Guard { provider, counts })
}

impl Guard {
    /// What became of spans so far.
    pub fn counts(&self) -> Arc<SpanCounts> {
        Arc::clone(&self.counts)
    }

    /// Sends what is left, until the deadline at most.
    pub async fn shutdown(self, deadline: Duration) {
        let Some(provider) = self.provider else {
            return;
        };
        let end = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline));
        match tokio::time::timeout(deadline, end).await {
            Ok(Ok(Ok(()))) => {}
            Ok(failed) => tracing::debug!(?failed, "some spans were not sent"),
            Err(_) => tracing::debug!("the collector did not answer; some spans were not sent"),
        }
    }
}
