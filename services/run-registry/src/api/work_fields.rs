//! Fields of what workers send.
//!
//! Invariant: a text of a worker is cut, never refused, so that no end of a job is lost for its length.

use autopack_domain::{
    Cause, Fault, Fence, JobUid, RunUid,
    approval::ApprovalRequest,
    issue::NewIssue,
    promotion::{PromotionIntent, PromotionState},
    usage::Usage,
};
use autopack_wire::{convert::read, types};
use tonic::Status;

use super::decode::{faults, uid, word};

/// Bytes of a detail at most.
pub(super) const MAX_DETAIL: usize = 64 << 10;

pub(super) fn usage_list(list: Vec<types::Usage>) -> Result<Vec<Usage>, Status> {
    list.into_iter()
        .map(|u| Usage::try_from(u).map_err(faults))
        .collect()
}

pub(super) fn issue_list(list: Vec<types::NewIssue>) -> Result<Vec<NewIssue>, Status> {
    read(|at| at.field("issues").list(list)).map_err(faults)
}

pub(super) fn request_of(
    request: Option<types::ApprovalRequest>,
) -> Result<Option<ApprovalRequest>, Status> {
    read(|at| at.field("approval").message_optional(request)).map_err(faults)
}

pub(super) fn cause_of(text: &str) -> Result<Cause, Status> {
    word(
        "cause",
        text,
        Cause::parse(text),
        Cause::ALL.iter().map(|c| c.code()).collect(),
    )
}

pub(super) fn bounded(text: String, max: usize) -> String {
    if text.len() <= max {
        text
    } else {
        text.chars().take(max / 4).collect()
    }
}

pub(super) fn held(run: &str, job: &str, fence: u64) -> Result<(RunUid, JobUid, Fence), Status> {
    Ok((uid("run_uid", run)?, uid("job_uid", job)?, Fence(fence)))
}

/// The move that a worker is about to make; neither: it has seen that the one that is stored was not made.
pub(super) fn intent_of(from: String, commit: String) -> Result<Option<PromotionIntent>, Status> {
    let missing = match (from.is_empty(), commit.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => return Ok(Some(PromotionIntent { from, commit })),
        (true, false) => "from",
        (false, true) => "commit",
    };
    let problem = "is missing: a move has both `from` and `commit`, and none has neither";
    Err(faults(vec![Fault::new(missing, problem)]))
}

/// How a promotion ended, as a worker may say it.
pub(super) fn promoted(state: types::promotion::State) -> Result<PromotionState, Status> {
    match state {
        types::promotion::State::Landed => Ok(PromotionState::Landed),
        types::promotion::State::AlreadyThere => Ok(PromotionState::AlreadyThere),
        _ => {
            let allowed = vec!["STATE_LANDED", "STATE_ALREADY_THERE"];
            word("state", "that", None, allowed)
        }
    }
}
