//! Any bytes as any message that becomes a domain value: the first byte chooses the message, the rest is its body.
//!
//! Invariant: what is no message, and what is no value, is refused with faults of a bounded size; nothing panics.

use autopack_domain::{
    Fault, Finding,
    approval::{Approval, ApprovalRequest},
    attempt::Attempt,
    integration::Seen,
    issue::NewIssue,
    phase::Phase,
    plan::{BuilderSpec, GateSpec, PhaseSpec, Plan},
    promotion::Promotion,
    run::{Job, Run},
    strategy::{PhaseStrategy, Strategy},
    submission::{Handoff, Submission},
    tier::Tier,
    usage::Usage,
    worker::WorkerProfile,
};
use autopack_wire::{
    convert::{RecordedEvent, snapshot_from_proto},
    registry, types,
};
use prost::Message;

/// Reads the body of a message.
type Reader = fn(&[u8]) -> Answer;

/// Every message with a reader, in an order that is only added to.
pub(crate) const READERS: &[(&str, Reader)] = &[
    (
        "RegisterWorkerRequest",
        into::<registry::RegisterWorkerRequest, WorkerProfile>,
    ),
    ("NewIssue", into::<types::NewIssue, NewIssue>),
    ("Usage", into::<types::Usage, Usage>),
    ("Gate", into::<types::Gate, GateSpec>),
    ("IntegrationView", into::<types::IntegrationView, Seen>),
    ("Attempt", into::<types::Attempt, Attempt>),
    ("Builder", into::<types::Builder, BuilderSpec>),
    ("Event", into::<types::Event, RecordedEvent>),
    ("RepositoryJob", into::<types::RepositoryJob, Job>),
    ("Phase", into::<types::Phase, (usize, Phase)>),
    ("Tier", into::<types::Tier, (usize, Tier)>),
    ("Run", into::<types::Run, Run>),
    ("Plan", into::<types::Plan, Plan>),
    ("PhaseSpec", into::<types::PhaseSpec, PhaseSpec>),
    ("Promotion", into::<types::Promotion, Promotion>),
    ("Strategy", into::<types::Strategy, Strategy>),
    ("PhaseStrategy", into::<types::PhaseStrategy, PhaseStrategy>),
    ("Handoff", into::<types::Handoff, Handoff>),
    ("Submission", into::<types::Submission, Submission>),
    ("Approval", into::<types::Approval, Approval>),
    (
        "ApprovalRequest",
        into::<types::ApprovalRequest, ApprovalRequest>,
    ),
    ("GetSnapshotResponse", snapshot),
    ("Finding", finding),
];

/// What became of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// They are no such message.
    NoMessage,
    /// The message is no value.
    Refused,
    /// They are one.
    Read,
}

/// Reads the bytes; nothing at all is no message.
pub(crate) fn request(data: &[u8]) -> Answer {
    match data.split_first() {
        Some((first, body)) => READERS[usize::from(*first) % READERS.len()].1(body),
        None => Answer::NoMessage,
    }
}

fn into<P: Message + Default, D: TryFrom<P, Error = Vec<Fault>>>(body: &[u8]) -> Answer {
    match P::decode(body) {
        Ok(message) => told(D::try_from(message).err(), body),
        Err(_) => Answer::NoMessage,
    }
}

fn snapshot(body: &[u8]) -> Answer {
    match registry::GetSnapshotResponse::decode(body) {
        Ok(message) => told(snapshot_from_proto(message).err(), body),
        Err(_) => Answer::NoMessage,
    }
}

fn finding(body: &[u8]) -> Answer {
    match registry::Finding::decode(body) {
        Ok(message) => match Finding::try_from(message) {
            Ok(_) => Answer::Read,
            Err(_) => Answer::Refused,
        },
        Err(_) => Answer::NoMessage,
    }
}

/// Faults are there, and grow no faster than what they are about.
fn told(faults: Option<Vec<Fault>>, body: &[u8]) -> Answer {
    let Some(faults) = faults else {
        return Answer::Read;
    };
    assert!(!faults.is_empty(), "refused without a fault");
    assert!(
        faults.len() <= 100 + 40 * body.len(),
        "{} faults of {} bytes",
        faults.len(),
        body.len()
    );
    Answer::Refused
}
