//! `autopack artifact DIGEST`.

use autopack_domain::Reason;
use autopack_wire::registry::GetArtifactRequest;

use super::Context;
use crate::{
    error::{CliError, Exit, Outcome},
    output::stdout_bytes,
};

/// Writes the bytes as they are, piece by piece.
pub(super) async fn run(context: &Context, digest: &str) -> Outcome {
    let digest = digest.to_ascii_lowercase();
    if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(CliError::reason(
            Reason::ArtifactNotFound,
            "a digest is SHA-256: 64 hexadecimal digits",
        ));
    }
    let connection = context.connect().await?;
    let result = copy(&connection.clients, digest).await;
    connection.close().await;
    result
}

async fn copy(clients: &autopack_wire::client::Clients, digest: String) -> Outcome {
    let mut pieces = clients
        .artifacts
        .clone()
        .get_artifact(GetArtifactRequest { digest })
        .await?
        .into_inner();
    while let Some(piece) = pieces.message().await? {
        stdout_bytes(&piece.data);
    }
    Ok(Exit::Success)
}
