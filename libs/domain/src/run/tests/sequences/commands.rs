//! The commands that a sequence is made of, and how often each is drawn.

use proptest::{
    bool::ANY as COIN,
    option, prop_oneof, sample,
    strategy::{Just, Strategy as Gen},
};

use super::{super::*, OUTSIDE, PHASES};
use crate::submission::Recommendation;

/// One command; numbers choose among what is there.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Start,
    Pause,
    Resume,
    Cancel,
    Retry(Option<usize>),
    Offer(usize),
    OfferAgain(usize),
    Lease(usize),
    Stage(usize, AttemptState),
    Use(usize, u64),
    Prepare(usize),
    Settle(usize, Option<Cause>, u64),
    Lose(usize, bool),
    Exhaust(usize),
    Minutes,
    Job(JobKind),
    LeaseJob,
    FailJob(Cause),
    EndJob(bool),
    Issue(Option<usize>, u8, bool, bool),
    Submit(bool, bool, u64),
    AskAudit,
    Audit(Recommendation),
    Overdue,
    Set(usize, PhaseState),
    Later(i64),
}

/// Something that may go wrong with an attempt, of each kind of charge.
fn cause() -> impl Gen<Value = Cause> {
    sample::select(vec![
        Cause::GateFailed,
        Cause::NoChange,
        Cause::WorkerError,
        Cause::DiskFull,
        Cause::MergeConflict,
        Cause::OutOfScope,
        Cause::RepositoryUnavailable,
    ])
}

pub(super) fn command() -> impl Gen<Value = Command> {
    let which = 0..8_usize;
    let stage = sample::select(vec![
        AttemptState::Building,
        AttemptState::Governing,
        AttemptState::Gating,
        AttemptState::Landing,
        AttemptState::Succeeded,
    ]);
    let place = option::of(0..PHASES);
    let word = sample::select(vec![
        Recommendation::Approve,
        Recommendation::Approve,
        Recommendation::Revise,
        Recommendation::Escalate,
    ]);
    // Mostly what leads somewhere, of the phase that may be set by hand.
    let phase = prop_oneof![6 => Just(OUTSIDE), 1 => 0..PHASES];
    let state = prop_oneof![
        3 => sample::select(vec![PhaseState::Failed, PhaseState::Skipped, PhaseState::Queued]),
        1 => sample::select(PhaseState::ALL.to_vec()),
    ];
    prop_oneof![
        2 => Just(Command::Start),
        1 => Just(Command::Pause),
        2 => Just(Command::Resume),
        1 => Just(Command::Cancel),
        2 => option::of(0..PHASES).prop_map(Command::Retry),
        12 => (0..PHASES).prop_map(Command::Offer),
        1 => which.clone().prop_map(Command::OfferAgain),
        12 => which.clone().prop_map(Command::Lease),
        8 => (which.clone(), stage).prop_map(|(n, to)| Command::Stage(n, to)),
        2 => (which.clone(), 0..100_u64).prop_map(|(n, used)| Command::Use(n, used)),
        3 => which.clone().prop_map(Command::Prepare),
        12 => (which.clone(), option::of(cause()), 0..400_u64)
            .prop_map(|(n, cause, used)| Command::Settle(n, cause, used)),
        3 => (which.clone(), COIN).prop_map(|(n, kindly)| Command::Lose(n, kindly)),
        1 => (0..PHASES).prop_map(Command::Exhaust),
        1 => Just(Command::Minutes),
        4 => prop_oneof![Just(JobKind::Bootstrap), Just(JobKind::Cleanup)].prop_map(Command::Job),
        4 => Just(Command::LeaseJob),
        1 => cause().prop_map(Command::FailJob),
        4 => COIN.prop_map(Command::EndJob),
        4 => (place, 0..4_u8, COIN, COIN)
            .prop_map(|(at, key, major, ours)| Command::Issue(at, key, major, ours)),
        6 => (proptest::bool::weighted(0.8), COIN, 0..50_u64)
            .prop_map(|(there, review, used)| Command::Submit(there, review, used)),
        1 => Just(Command::AskAudit),
        3 => word.prop_map(Command::Audit),
        1 => Just(Command::Overdue),
        2 => (phase, state).prop_map(|(phase, to)| Command::Set(phase, to)),
        1 => (1..60_000_000_i64).prop_map(Command::Later),
    ]
}
