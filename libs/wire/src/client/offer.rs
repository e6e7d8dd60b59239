//! What a registry offers, learnt before it is needed.
//!
//! Invariant: `GetServerInfo` first, reflection next; where neither answers nothing is known to be missing, and the calls
//! themselves will tell. A registry that cannot be reached is an error, never an empty offer.

use std::{collections::BTreeSet, time::Duration};

use futures::stream;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{Clients, GrpcService};
use crate::{methods, registry::GetServerInfoRequest};

/// How long reflection may take as a whole.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// `GetServerInfo`.
    ServerInfo,
    /// Server reflection.
    Reflection,
    /// Nobody: the server has neither.
    Nobody,
}

impl Told {
    /// The spelling in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerInfo => "server info",
            Self::Reflection => "reflection",
            Self::Nobody => "nobody",
        }
    }
}

/// What is known of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who told.
    pub told: Told,
    /// Version of the contract; empty: unknown.
    pub contract_version: String,
    /// Digest of the contract; empty: unknown.
    pub contract_digest: String,
    /// Methods that are served, as `/package.Service/Method`.
    pub methods: BTreeSet<String>,
    /// Features, by name.
    pub features: BTreeSet<String>,
    /// The database's identity; empty: unknown.
    pub database_identity: String,
}

impl Offer {
    /// Asks the registry behind the clients, and records what it lacks as their gaps.
    pub async fn learn(clients: &Clients) -> Result<Self, Status> {
        let mut server = clients.server();
        let offer = match server.get_server_info(GetServerInfoRequest {}).await {
            Ok(answer) => {
                let info = answer.into_inner();
                Self {
                    told: Told::ServerInfo,
                    contract_version: info.contract_version,
                    contract_digest: info.contract_digest,
                    methods: info.methods.into_iter().collect(),
                    features: info.features.into_iter().collect(),
                    database_identity: info.database_identity,
                }
            }
            Err(status) if status.code() == Code::Unimplemented => {
                Self::reflected(clients.transport.clone()).await?
            }
            Err(status) => return Err(status),
        };
        for path in offer.missing() {
            clients.gaps().note(path);
        }
        Ok(offer)
    }

    /// What reflection says; an offer of nobody where it is not served.
    async fn reflected(transport: GrpcService) -> Result<Self, Status> {
        let asked = tokio::time::timeout(PATIENCE, served(transport));
        let asked = asked.await.unwrap_or_else(|_| {
            Err(Status::deadline_exceeded(
                "server reflection did not answer in time",
            ))
        });
        let (told, methods) = match asked {
            Ok(methods) => (Told::Reflection, methods),
            Err(status) if status.code() == Code::Unimplemented => (Told::Nobody, BTreeSet::new()),
            Err(status) => return Err(status),
        };
        Ok(Self {
            told,
            contract_version: String::new(),
            contract_digest: String::new(),
            methods,
            features: BTreeSet::new(),
            database_identity: String::new(),
        })
    }

    /// Methods of the registry's services that this program knows and the server lacks, in order.
    pub fn missing(&self) -> Vec<&'static str> {
        if self.told == Told::Nobody {
            return Vec::new();
        }
        methods::all()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with("/autopack.registry."))
            .filter(|path| !self.methods.contains(*path))
            .collect()
    }

    /// Whether the server is known to have a feature. One that tells no features has none.
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }
}

/// The methods of every service that reflection lists.
async fn served(transport: GrpcService) -> Result<BTreeSet<String>, Status> {
    let mut found = BTreeSet::new();
    let listed = ask(
        transport.clone(),
        MessageRequest::ListServices(String::new()),
    )
    .await?;
    let MessageResponse::ListServicesResponse(list) = listed else {
        return Err(unreadable());
    };
    let services = list.service.into_iter().map(|service| service.name);
    for service in services.filter(|name| name.starts_with("autopack.")) {
        let asked = MessageRequest::FileContainingSymbol(service.clone());
        let MessageResponse::FileDescriptorResponse(files) = ask(transport.clone(), asked).await?
        else {
            return Err(unreadable());
        };
        for bytes in files.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice()).map_err(|_| unreadable())?;
            for described in &file.service {
                let name = format!("{}.{}", file.package(), described.name());
                if name == service {
                    let paths = described.method.iter();
                    found.extend(paths.map(|method| format!("/{name}/{}", method.name())));
                }
            }
        }
    }
    Ok(found)
}

/// One question to reflection.
async fn ask(transport: GrpcService, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut client = ServerReflectionClient::new(transport);
    let asked = client.server_reflection_info(stream::iter([request]));
    let mut answers = asked.await?.into_inner();
    let answer = answers.message().await?;
    answer
        .and_then(|answer| answer.message_response)
        .ok_or_else(unreadable)
}

fn unreadable() -> Status {
    Status::internal("the answer of server reflection cannot be read")
}
