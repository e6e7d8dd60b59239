//! A bound around the span exporter, with counts.
//!
//! Invariant: a span that ends is queued, or dropped and counted, at once; ending a span never waits. What was queued is
//! later counted as sent or failed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanProcessor},
};

/// Spans that wait for the collector, at most.
pub const QUEUE: usize = 2048;

/// What became of spans.
#[derive(Debug, Default)]
pub struct SpanCounts {
    waiting: AtomicUsize,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl SpanCounts {
    /// Accepted by the collector.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Lost because the collector refused them or did not answer in time.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn add_sent(&self, spans: usize) {
        self.sent.fetch_add(spans as u64, Ordering::Relaxed);
    }

    pub(super) fn add_failed(&self, spans: usize) {
        self.failed.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Lost because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Counts what the collector takes.
#[derive(Debug)]
struct Counted {
    inner: SpanExporter,
    counts: Arc<SpanCounts>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let size = batch.len();
        self.counts.waiting.fetch_sub(size, Ordering::Relaxed);
        let result = self.inner.export(batch).await;
        let counter = if result.is_ok() {
            &self.counts.sent
        } else {
            &self.counts.failed
        };
        counter.fetch_add(size as u64, Ordering::Relaxed);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Batches spans up to [`QUEUE`].
#[derive(Debug)]
pub(super) struct Bounded {
    inner: BatchSpanProcessor,
    counts: Arc<SpanCounts>,
}

impl Bounded {
    pub(super) fn new(exporter: SpanExporter, counts: Arc<SpanCounts>) -> Self {
        let counted = Counted {
            inner: exporter,
            counts: Arc::clone(&counts),
        };
        // Twice the bound: the library's own queue, which drops in silence, never fills.
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(2 * QUEUE)
            .build();
        let inner = BatchSpanProcessor::builder(counted)
            .with_batch_config(config)
            .build();
        Self { inner, counts }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let room = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        let order = Ordering::Relaxed;
        if self.counts.waiting.fetch_update(order, order, room).is_ok() {
            self.inner.on_end(span);
        } else {
            self.counts.dropped.fetch_add(1, order);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
