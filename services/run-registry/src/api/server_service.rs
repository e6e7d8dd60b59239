//! `ServerService`: what this registry offers.
//!
//! Invariant: the list of methods is read from the contract, for the services that are served at this address.

use autopack_wire::{
    contract, methods,
    registry::{self as pb, server_service_server},
};
use tonic::{Request, Response, Status};

use super::Api;

/// The package of the registry's own services; each of them is served wherever one is.
const OWN: &str = "autopack.registry.v1.";

#[tonic::async_trait]
impl server_service_server::ServerService for Api {
    async fn get_server_info(
        &self,
        _: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let config = &self.core.config;
        let served = |path: &str| {
            let service = path.trim_start_matches('/').split('/').next();
            service.is_some_and(|service| {
                service.starts_with(OWN) || config.beside.iter().any(|name| name == service)
            })
        };
        Ok(Response::new(pb::GetServerInfoResponse {
            version: config.version.clone(),
            contract_version: contract::VERSION.to_owned(),
            contract_digest: contract::digest().to_owned(),
            methods: methods::all()
                .map(|(path, _)| path)
                .filter(|path| served(path))
                .map(str::to_owned)
                .collect(),
            features: contract::FEATURES
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            database_identity: self.core.identity.clone(),
            database: config.database_masked.clone(),
        }))
    }
}
