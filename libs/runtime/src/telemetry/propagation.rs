//! W3C trace context in headers, messages and outbox rows.
//!
//! Invariant: a text that is not a trace context is ignored; it never fails a request.

use autopack_domain::trace::TraceContext as W3c;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::environment;

const TRACEPARENT: &str = "traceparent";

/// Reads headers for the propagator.
#[derive(Debug)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// One `traceparent`, as messages and rows carry it.
struct One(Option<String>);

impl Extractor for One {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

impl Injector for One {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

/// What a process tells others as the parent of their spans in place of its own span: a span on record, which will be
/// told even if this process dies.
#[derive(Clone, Debug)]
struct OnRecord(SpanContext);

/// The context that others are told: of the record that the current span belongs to, else its own.
fn told() -> Context {
    let context = Span::current().context();
    match context.get::<OnRecord>() {
        Some(OnRecord(record)) => Context::new().with_remote_span_context(record.clone()),
        None => context,
    }
}

/// Writes the current span's context into headers; nothing if traces are off.
pub fn inject(headers: &mut HeaderMap) {
    let context = told();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    }
}

/// The same for a command line: where it has no span of its own, `TRACEPARENT` names whoever started it.
pub fn inject_caller(headers: &mut HeaderMap) {
    inject(headers);
    if headers.contains_key(TRACEPARENT) {
        return;
    }
    let given = environment("TRACEPARENT").filter(|text| W3c::parse(text).is_some());
    if let Some(value) = given.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The caller's context from headers; give it to [`set_parent_context`].
pub fn extract(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract(&HeaderExtractor(headers))
}

/// The current span's context as one text; `None` if traces are off.
pub fn current_traceparent() -> Option<String> {
    let context = told();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut one = One(None);
    TraceContextPropagator::new().inject_context(&context, &mut one);
    one.0
}

/// Makes a span a child of what a message or row names; before the span is entered.
pub fn set_parent(span: &Span, traceparent: &str) {
    let one = One(Some(traceparent.to_owned()));
    set_parent_context(span, TraceContextPropagator::new().extract(&one));
}

/// Makes a span a child of a span on record, and so every span that others make on behalf of it; before it is entered.
pub fn set_record(span: &Span, traceparent: &str) {
    let one = One(Some(traceparent.to_owned()));
    let parent = TraceContextPropagator::new().extract(&one);
    let record = OnRecord(parent.span().span_context().clone());
    set_parent_context(span, parent.with_value(record));
}

/// Makes a span a child of a caller's context; before the span is entered.
pub fn set_parent_context(span: &Span, parent: Context) {
    if parent.span().span_context().is_valid()
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "a span has no parent");
    }
}
