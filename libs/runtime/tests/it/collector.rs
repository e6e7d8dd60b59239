//! A collector for tests: keeps the spans it gets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Span},
};
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
pub(crate) struct Collector {
    received: Arc<Mutex<Vec<ResourceSpans>>>,
}

impl Collector {
    /// Starts one on a free port; it ends with the test's runtime.
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let serve = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(serve);
        (collector, address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|r| r.scope_spans.clone());
        scopes.flat_map(|scope| scope.spans).collect()
    }

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        let received = self.received.lock().unwrap();
        let resource = received.first()?.resource.clone()?;
        let found = resource.attributes.into_iter().find(|a| a.key == key)?;
        match found.value?.value? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans;
        self.received.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
