//! `ArtifactService`: streams of 256 KiB in and out; only the registry holds the store.

use std::pin::Pin;

use autopack_artifacts::ArtifactError;
use autopack_domain::{Fault, Reason, Refusal};
use autopack_wire::registry::{self as pb, artifact_service_server::ArtifactService};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Api,
    decode::{faults, refuse},
};

/// Bytes of an artifact at most.
const MAX: usize = 256 << 20;

#[tonic::async_trait]
impl ArtifactService for Api {
    type GetArtifactStream =
        Pin<Box<dyn Stream<Item = Result<pb::GetArtifactResponse, Status>> + Send>>;

    async fn put_artifact(
        &self,
        request: Request<Streaming<pb::PutArtifactRequest>>,
    ) -> Result<Response<pb::PutArtifactResponse>, Status> {
        let mut pieces = request.into_inner();
        let mut data = BytesMut::new();
        while let Some(piece) = pieces.message().await? {
            if data.len() + piece.data.len() > MAX {
                return Err(refuse(
                    Refusal::new(
                        Reason::LimitExceeded,
                        format!("an artifact has at most {MAX} bytes"),
                    )
                    .with("max", MAX),
                ));
            }
            data.extend_from_slice(&piece.data);
        }
        let stored = self
            .core
            .ports
            .artifacts
            .put(data.freeze())
            .await
            .map_err(store_failed)?;
        Ok(Response::new(pb::PutArtifactResponse {
            digest: stored.hex,
            size: stored.size,
        }))
    }

    async fn get_artifact(
        &self,
        request: Request<pb::GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        let digest = request.into_inner().digest;
        if self
            .core
            .ports
            .artifacts
            .stat(&digest)
            .await
            .map_err(store_failed)?
            .is_none()
        {
            return Err(refuse(missing(&digest)));
        }
        let pieces = self
            .core
            .ports
            .artifacts
            .get(&digest)
            .await
            .map_err(store_failed)?;
        let stream = pieces.map(|piece| {
            piece
                .map(|data: Bytes| pb::GetArtifactResponse { data })
                .map_err(store_failed)
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn stat_artifact(
        &self,
        request: Request<pb::StatArtifactRequest>,
    ) -> Result<Response<pb::StatArtifactResponse>, Status> {
        let found = self
            .core
            .ports
            .artifacts
            .stat(&request.into_inner().digest)
            .await
            .map_err(store_failed)?;
        Ok(Response::new(pb::StatArtifactResponse {
            exists: found.is_some(),
            size: found.map_or(0, |d| d.size),
        }))
    }
}

/// A failure of the store, as what the caller can do about it.
fn store_failed(error: ArtifactError) -> Status {
    let text = error.to_string();
    let refusal = match error {
        ArtifactError::InvalidDigest(_) => {
            let fault = Fault::new("digest", text)
                .example("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
            return faults(vec![fault]);
        }
        ArtifactError::NotFound(digest) => missing(&digest),
        ArtifactError::TooLarge { max } => {
            Refusal::new(Reason::LimitExceeded, text).with("max", max)
        }
        ArtifactError::Mismatch { expected, found } => Refusal::new(Reason::DataCorrupt, text)
            .with("artifact", expected)
            .with("found", found),
        ArtifactError::Source(_) | ArtifactError::Store(_) => {
            tracing::warn!(error = %text, "the artifact store failed");
            Refusal::new(Reason::RegistryUnavailable, text)
        }
    };
    refuse(refusal)
}

fn missing(digest: &str) -> Refusal {
    let text = format!("no artifact {digest}");
    Refusal::new(Reason::ArtifactNotFound, text).with("artifact", digest)
}
