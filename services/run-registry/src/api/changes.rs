//! `ListChanges`: what a projection of the log has to write anew.

use autopack_wire::registry as pb;
use tonic::{Response, Status};

use super::{Api, decode::refuse};

pub(super) async fn list(
    api: &Api,
    request: pb::ListChangesRequest,
) -> Result<Response<pb::ListChangesResponse>, Status> {
    let found = api
        .core
        .list_changes(request.after_sequence, request.page_size)
        .await
        .map_err(refuse)?;
    Ok(Response::new(pb::ListChangesResponse {
        run_uids: found.runs,
        sequence: found.sequence,
        more: found.more,
    }))
}
