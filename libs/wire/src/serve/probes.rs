//! Health checking and server reflection (v1 and v1alpha).
//!
//! Invariant: a service says NOT_SERVING until it is told otherwise, and again from the moment of shutdown. Of a
//! service that runs apart, the empty name and `liveness` speak of the process alone, whatever it waits for.

use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// The health name that tells whether the process lives.
pub const LIVENESS: &str = "liveness";
/// The health name that tells whether the process can do its work.
pub const READINESS: &str = "readiness";

/// Sets what health checks answer.
#[derive(Clone, Debug)]
pub struct Probes {
    reporter: HealthReporter,
    services: Vec<String>,
}

impl Probes {
    /// Every name that was given is ready or not.
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
    let names = std::iter::once("").chain(services.iter().copied());
    probed(routes, names.map(str::to_owned).collect()).await
}

/// The same for a service that runs apart: the empty name and `liveness` are SERVING from now on; `readiness` and each
/// named service are NOT_SERVING until [`Probes::set_ready`].
pub async fn with_liveness(
    routes: Routes,
    services: &[&str],
) -> Result<(Routes, Probes), tonic_reflection::server::Error> {
    let names = std::iter::once(READINESS).chain(services.iter().copied());
    let (routes, probes) = probed(routes, names.map(str::to_owned).collect()).await?;
    for name in ["", LIVENESS] {
        probes.set(name, true).await;
    }
    Ok((routes, probes))
}

async fn probed(
    routes: Routes,
    services: Vec<String>,
) -> Result<(Routes, Probes), tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
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
