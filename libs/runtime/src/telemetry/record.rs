//! Spans of what is on record: their ids follow from the record's, so whoever commits an end can tell it later.
//!
//! Invariant: a span is sent as it is recorded, ids and times included; sending it again sends the same span.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use autopack_domain::{Timestamp, trace::TraceContext};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Link, SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::trace::{
    Config, SamplingDecision, SpanData, SpanEvents, SpanExporter as _, SpanLinks,
};

use super::{
    TelemetryConfig, TelemetryError,
    bounded::SpanCounts,
    export::{TIMEOUT, resource},
};

/// A span of which both ends are known.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSpan {
    /// Trace and span.
    pub context: TraceContext,
    /// The span above; `None`: the root.
    pub parent: Option<u64>,
    /// Its name.
    pub name: &'static str,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known about it.
    pub attributes: Vec<KeyValue>,
    /// Why it failed; `None`: it did not.
    pub error: Option<String>,
    /// Whoever caused it from another trace.
    pub link: Option<TraceContext>,
}

/// Sends recorded spans.
#[derive(Debug)]
pub struct Recorder {
    exporter: SpanExporter,
    counts: Arc<SpanCounts>,
    sampler: Config,
}

/// The collector did not take the spans.
#[derive(Debug, thiserror::Error)]
#[error("the collector did not take {spans} spans: {why}")]
pub struct NotTaken {
    spans: usize,
    why: String,
}

/// A process has one collector.
static RECORDER: OnceLock<Arc<Recorder>> = OnceLock::new();

/// The process's recorder; `None`: traces are off.
pub fn recorder() -> Option<Arc<Recorder>> {
    RECORDER.get().cloned()
}

/// Makes the process's recorder, if there is an endpoint.
pub(super) fn set_up(
    config: &TelemetryConfig,
    counts: &Arc<SpanCounts>,
) -> Result<(), TelemetryError> {
    if let Some(made) = Recorder::new(config, Arc::clone(counts))? {
        let _ = RECORDER.set(Arc::new(made));
    }
    Ok(())
}

impl Recorder {
    /// A recorder for the endpoint, if there is one; within a tokio runtime.
    pub fn new(
        config: &TelemetryConfig,
        counts: Arc<SpanCounts>,
    ) -> Result<Option<Self>, TelemetryError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(None);
        };
        let mut exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| TelemetryError::Endpoint {
                endpoint: endpoint.clone(),
                why: error.to_string(),
            })?;
        exporter.set_resource(&resource(config));
        Ok(Some(Self {
            exporter,
            counts,
            sampler: Config::default(),
        }))
    }

    /// Whether a trace that begins now is kept, as `OTEL_TRACES_SAMPLER` says.
    pub fn keeps(&self, root: TraceContext, name: &str) -> bool {
        let trace = TraceId::from(root.trace);
        let sampler = &self.sampler.sampler;
        let result = sampler.should_sample(None, trace, name, &SpanKind::Internal, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    /// Sends spans and waits for the collector's answer, 5 s at most. Cancelled, they may have arrived or not.
    pub async fn send(&self, spans: Vec<RecordedSpan>) -> Result<(), NotTaken> {
        let count = spans.len();
        let spans = spans.into_iter().map(data).collect();
        let sent = tokio::time::timeout(TIMEOUT, self.exporter.export(spans)).await;
        let why = match sent {
            Ok(Ok(())) => {
                self.counts.add_sent(count);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        Err(NotTaken { spans: count, why })
    }

    /// Spans that are given up count as failed.
    pub fn give_up(&self, spans: usize) {
        self.counts.add_failed(spans);
    }
}

fn data(span: RecordedSpan) -> SpanData {
    let mut links = SpanLinks::default();
    links.links.extend(
        span.link
            .map(|link| Link::with_context(context(link, true))),
    );
    SpanData {
        span_context: context(span.context, false),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: span.parent.is_some(),
        span_kind: SpanKind::Internal,
        name: span.name.into(),
        start_time: time(span.start),
        end_time: time(span.end.max(span.start)),
        attributes: span.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("autopack").build(),
    }
}

fn context(at: TraceContext, remote: bool) -> SpanContext {
    let flags = if at.sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    SpanContext::new(
        TraceId::from(at.trace),
        SpanId::from(at.span),
        flags,
        remote,
        TraceState::default(),
    )
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or(0))
}
