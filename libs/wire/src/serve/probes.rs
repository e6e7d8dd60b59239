//! Health checking and server reflection (v1 and v1alpha).
//!
//! Invariant: a service says NOT_SERVING until it is told otherwise, and again from the moment of shutdown.

use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Sets what health checks answer.
#[derive(Clone, Debug)]
pub struct Probes {
    reporter: HealthReporter,
    services: Vec<String>,
}

impl Probes {
    /// Every service, and the server as a whole, is ready or not.
    pub async fn set_ready(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// One name: a service, or a name of its own such as `liveness`.
    pub async fn set(&self, service: &str, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.reporter.set_service_status(service, status).await;
    }
}

/// Adds health (for the empty name and each named service, NOT_SERVING at first) and reflection to routes.
pub async fn with_probes(
    routes: Routes,
    services: &[&str],
) -> Result<(Routes, Probes), tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let services = std::iter::once("")
        .chain(services.iter().copied())
        .map(str::to_owned)
        .collect();
    let probes = Probes { reporter, services };
    probes.set_ready(false).await;
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(crate::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = routes
        .add_service(health)
        .add_service(builder().build_v1()?)
        .add_service(builder().build_v1alpha()?);
    Ok((routes, probes))
}
