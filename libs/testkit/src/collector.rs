//! An OTLP collector beside the test: it takes spans and metrics by gRPC, as a real one does, and keeps them.
//!
//! Invariant: what a test reads is what arrived, span for span, doubled ones included.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    metrics_service_server::{MetricsService, MetricsServiceServer},
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use tokio::runtime::Runtime;
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Trace id, 32 hex digits.
    pub trace: String,
    /// Span id, 16 hex digits.
    pub id: String,
    /// The span above; empty: none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `service.name` of the process that sent it.
    pub service: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Its status is an error, with this text.
    pub error: Option<String>,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// Traces and spans that it links to.
    pub links: Vec<(String, String)>,
}

/// A collector on a port of the loopback interface.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
    /// Ends the server with the value.
    _runtime: Runtime,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<Arrived>>>,
    /// `service.name` and name of each metric.
    metrics: Arc<Mutex<Vec<(String, String)>>>,
}

impl Collector {
    /// Starts one on a free port.
    #[track_caller]
    pub fn start() -> Self {
        Self::at(0)
    }

    /// Starts one on this port.
    #[track_caller]
    pub fn at(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let kept = Kept::default();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(MetricsServiceServer::new(kept.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        runtime.spawn(serving);
        Self {
            address,
            kept,
            _runtime: runtime,
        }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables of a process that sends here, soon.
    pub fn env(&self) -> [(&'static str, String); 3] {
        env(&self.endpoint())
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Arrived> {
        lock(&self.kept.spans).clone()
    }

    /// The spans of one trace so far.
    pub fn trace(&self, id: &str) -> Vec<Arrived> {
        let spans = lock(&self.kept.spans);
        spans.iter().filter(|s| s.trace == id).cloned().collect()
    }

    /// Names of metrics that a service has sent so far.
    pub fn metrics(&self, service: &str) -> Vec<String> {
        let metrics = lock(&self.kept.metrics);
        let of_service = metrics.iter().filter(|(from, _)| from == service);
        of_service.map(|(_, name)| name.clone()).collect()
    }
}

/// The variables of a process that sends to this endpoint, soon.
pub fn env(endpoint: &str) -> [(&'static str, String); 3] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200".to_owned()),
    ]
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = lock(&self.spans);
        for from in request.into_inner().resource_spans {
            let service = service(from.resource.as_ref());
            let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| arrived(span, &service)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let mut kept = lock(&self.metrics);
        for from in request.into_inner().resource_metrics {
            let service = service(from.resource.as_ref());
            let scopes = from.scope_metrics.into_iter();
            let names = scopes
                .flat_map(|scope| scope.metrics)
                .map(|metric| metric.name);
            for name in names {
                let found = (service.clone(), name);
                if !kept.contains(&found) {
                    kept.push(found);
                }
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn arrived(span: Span, service: &str) -> Arrived {
    let status = span.status.unwrap_or_default();
    let failed = status.code == StatusCode::Error as i32;
    Arrived {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        service: service.to_owned(),
        attributes: attributes(&span.attributes),
        error: failed.then_some(status.message),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        links: span
            .links
            .iter()
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
    }
}

fn service(resource: Option<&Resource>) -> String {
    let all = resource.map(|resource| attributes(&resource.attributes));
    let name = all.and_then(|mut all| all.remove("service.name"));
    name.unwrap_or_default()
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let shown = all
        .iter()
        .map(|one| (one.key.clone(), text(one.value.as_ref())));
    shown.collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
